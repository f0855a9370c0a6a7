//! What every crate of Signalbox speaks: instants, ids, addresses, paging, problem details, configuration errors.
//! It does no I/O, knows no async, no SQL and no HTTP.

pub mod address;
pub mod clock;
pub mod id;
pub mod page;
pub mod problem;
pub mod setting;
pub mod setting_file;
pub mod time;
