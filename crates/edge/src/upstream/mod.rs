//! The way to the versions behind the edge: connections kept per thread, and when a second attempt is safe.

mod connect;
mod pool;

pub(crate) use connect::{Failure, connect};
pub(crate) use pool::{Upstream, Upstreams};
