//! Releases: what a manifest says, whether a version is ready, how it goes to production, and how it comes back.
//! `model` decides and never acts: it knows no async, no SQL, no HTTP, no files and no clock. `driver` is where versions run,
//! `shim` what stands over each local instance, `executor` carries a plan out, `control` leads and is asked by people.

mod ask;
mod check;
pub mod control;
mod disk;
pub mod driver;
pub mod executor;
pub mod model;
pub mod shim;
pub mod web;
