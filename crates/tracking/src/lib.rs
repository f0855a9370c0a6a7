//! Pixels, clicks and the event API: every hit is on disk before it is answered.
//! It never looks anything up to answer a hit, and never counts: that is the projector's work.

pub mod answer;
pub mod counters;
pub mod front;
pub mod hit;
pub mod http;
pub mod intake;
pub mod wire;
