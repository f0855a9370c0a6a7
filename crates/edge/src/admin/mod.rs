//! The admin interface: HTTP/1.1 with JSON over a Unix socket that only this user may open.

pub mod client;
pub(crate) mod server;
pub mod wire;

pub use client::{AdminError, Client};
