//! What stands over one local instance: `signalbox shim`, a process of its own that outlives control. It starts the
//! service, keeps its output, restarts it, holds it below its limits, and tells how it is over a socket.

mod ask;
mod environment;
mod exec;
mod folder;
mod identity;
mod listener;
mod log;
mod relay;
mod run;
mod sandbox;
mod serve;
mod spec;
mod start;
mod status;
mod supervise;
mod tree;

pub use exec::exec;
pub use relay::relay;
pub use run::run;

pub(crate) use ask::{Reply, Request, ask};
pub(crate) use environment::PATH;
pub(crate) use folder::Folder;
pub(crate) use identity::Identity;
pub(crate) use log::{LogLimits, tail};
pub(crate) use sandbox::{Namespaces, possible};
pub(crate) use spec::Spec;
pub(crate) use status::Status;
pub(crate) use tree::marked;
