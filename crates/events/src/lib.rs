//! What an event is, how it is packed for the log, and how opens and clicks are judged: pure functions over the log.
//! It does no I/O, knows no async, no SQL and no HTTP.

pub mod agent;
pub mod chunk;
pub mod judge;
pub mod kind;
pub mod record;
