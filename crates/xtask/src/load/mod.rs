//! A load generator that shares its machine with what it measures: one thread, no allocation per request.
//! Closed loop (each connection asks again when it is answered) or open loop (requests leave when they are due).

pub(crate) mod agents;
mod clock;
mod connection;
mod ids;
pub(crate) mod report;
pub(crate) mod requests;
pub(crate) mod response;
pub(crate) mod run;
mod stats;
mod worker;
