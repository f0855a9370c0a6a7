//! The harness of the black-box suites in `tests/`: the built binary, its databases, its clients and its disasters.
//! It knows `signalbox` only from outside: command line, HTTP, signals, files. It never links its code.

pub mod backend;
pub mod browser;
pub mod client;
pub mod cluster;
pub mod control;
pub mod demo;
pub mod disk;
pub mod edge;
pub mod environment;
pub mod installation;
pub mod ledger;
pub mod load;
pub mod mixed;
pub mod pebble;
pub mod process;
pub mod server;
pub mod strace;
pub mod streams;
pub mod timing;
pub mod tls;
pub mod wire;
