//! The listener: an event loop that answers pixels and clicks itself and hands every other connection to the web shell.
//! It exists because a pixel must cost no more than a static file: per hit one read, one write, no allocation to speak of.

mod connection;
mod request;
mod response;
mod server;

pub use response::unreadable;
pub use server::{Front, FrontSettings, HandOver};
