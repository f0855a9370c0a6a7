//! Where versions run. The executor knows [`Driver`] alone: local processes now, hosts over SSH and Kubernetes fit behind it.

mod contract;
mod error;
mod health;
mod instance;
mod launch;
pub mod process;
mod wait;

pub use contract::{Abilities, Answer, Driver, Sandboxing};
pub use error::DriverError;
pub use health::Health;
pub use instance::{Exit, ExitHow, Instance, InstanceId, Role, State};
pub use launch::{Artifact, Fetched, Launch};
pub use wait::{until_all, until_gone, until_well};
