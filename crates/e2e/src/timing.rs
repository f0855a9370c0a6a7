//! Durations of many rounds.

use std::fmt;
use std::time::Duration;

/// After a crash the first hit is recorded within this.
pub const READY: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub fn longest(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        write!(out, "{} ms (median), {} ms (longest)", median.as_millis(), self.longest().as_millis())
    }
}
