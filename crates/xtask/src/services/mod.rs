//! Programs that run beside us for a while, in throwaway folders on free ports.

pub(crate) mod folder;
pub(crate) mod http;
pub(crate) mod nginx;
pub(crate) mod port;
pub(crate) mod postgres;
pub(crate) mod proxy;
pub(crate) mod service;
pub(crate) mod signalbox;
pub(crate) mod wrk;
