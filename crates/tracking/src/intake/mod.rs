//! The durable intake: a bounded queue and the one thread that commits what waits in it.

mod queue;
mod writer;

pub use queue::{Bounds, Intake, Outcome, Rejected};
pub use writer::{IntakeFaults, IntakeThread};
