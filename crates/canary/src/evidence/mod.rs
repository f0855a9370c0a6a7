//! Sequential tests: evidence that may be looked at after every request without inflating false alarms.

pub mod bet;
pub mod dispersion;
pub mod estimate;
pub mod exceedance;
pub mod paired;
pub mod portfolio;
pub mod share;
