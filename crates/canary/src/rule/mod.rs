//! Rules that need no comparison: limits on what the canary does.

pub mod breaker;
pub mod burn;
pub mod held;
pub mod sliding;
