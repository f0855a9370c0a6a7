//! Certificates by ACME (RFC 8555): ordered, proven by http-01, kept in the data directory, renewed in time.

mod challenge;
mod client;
mod folder;
mod order;
mod plan;
mod renewal;

pub use challenge::{Challenges, PATH};
pub use folder::{Folder, State};
pub use order::AcmeError;
pub use renewal::{Acme, AcmeSettings};
