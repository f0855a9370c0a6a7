//! From the log to answers: the projector, reports, the timeline, the live view.
//! It never changes what was recorded: everything here can be rebuilt from the events.

pub mod api;
mod describe;
pub mod live;
pub mod names;
pub mod projector;
pub mod rebuild;
pub mod report;
pub mod schema;
mod stretch;
pub mod synthetic;
pub mod web;
