//! The wiring of `control`: the edge as its data plane, the process driver, the doors to its interface.

mod business;
mod doors;
mod plane;
mod synthetic;

pub use business::EngageBusiness;
pub use doors::{open_socket, serve_socket, serve_tcp};
pub use plane::EdgePlane;
