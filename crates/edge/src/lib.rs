//! The weighted reverse proxy: a data plane of its own that outlives everything else. Routes reach it as data; it knows no
//! store, decides nothing about versions, and passes on no request that could be read in two ways.

mod access_log;
pub mod admin;
mod buffer;
mod choose;
mod control;
mod deadline;
mod disk;
mod edge;
mod error;
mod front;
mod handover;
pub mod histogram;
mod http1;
mod ids;
pub mod routes;
mod seats;
pub mod settings;
pub mod stats;
mod table;
mod ticket;
mod upstream;
mod worker;

pub use edge::{Listening, Start, run};
pub use error::EdgeError;
