//! Verdicts on two streams of measurements, the canary's and the baseline's: sequential tests, thresholds that are
//! held for a time, breakers, burn rates, and the policy for what cannot be decided. Pure functions: it does no I/O,
//! knows no async and no clock, and never passes what it has not seen.

pub mod criteria;
pub mod evidence;
pub mod histogram;
pub mod judge;
pub mod policy;
pub mod rule;
pub mod setting;
pub mod traffic;
pub mod verdict;
pub mod window;
pub mod words;
