//! Local processes, each under a shim of its own.

mod artifact;
mod list;
mod place;
mod ports;
mod prune;
mod start;
mod stop;

pub use artifact::digest_of_path;
pub use place::{ProcessDriver, ShimProgram};
