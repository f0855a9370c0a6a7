//! Instances of a service as local processes: `signalbox shim` of the built binary below the process driver, and a real service
//! with real faults.

mod artifacts;
mod deaths;
mod limits;
mod lives;
mod rig;
mod sandbox;
mod strangers;
