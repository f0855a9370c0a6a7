//! The wiring of `control`: the edge as its data plane, the process driver, the doors to its interface.

mod doors;
mod plane;

pub use doors::{open_socket, serve_socket, serve_tcp};
pub use plane::EdgePlane;
