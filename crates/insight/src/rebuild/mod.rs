//! Computing every derived figure again from the events, comparing it with what the projector keeps, and correcting it.

mod compare;
mod recompute;
mod run;

pub use run::{Differences, Rebuilt, rebuild};
