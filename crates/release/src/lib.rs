//! Releases: what a manifest says, whether a version is ready, how it goes to production, and how it comes back.
//! So far the pure half: `model` decides and never acts. It knows no async, no SQL, no HTTP, no files and no clock.

pub mod model;
