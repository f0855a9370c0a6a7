//! How fast the projector works off what a flood left behind, while the server runs.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;

use crate::services::signalbox::Server;

/// A smaller backlog is gone before it can be timed.
const SMALLEST_EVENTS: u64 = 10_000;
/// A projector that moves nothing for so long has stopped.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Serialize, Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CatchUp {
    pub(crate) backlog_events: u64,
    pub(crate) seconds: f64,
    /// `None` when the projector had kept up.
    pub(crate) events_per_second: Option<f64>,
}

/// Call it right after the flood; it returns when nothing waits any more.
pub(crate) fn wait(server: &Server) -> Result<CatchUp> {
    let start = Instant::now();
    let first = server.counters()?;
    let (mut moved, mut projected) = (start, first.projected);
    loop {
        let now = server.counters()?;
        if now.projected >= now.recorded {
            let backlog_events = first.recorded.saturating_sub(first.projected);
            return Ok(CatchUp::new(backlog_events, now.projected.saturating_sub(first.projected), start.elapsed()));
        }
        if now.projected > projected {
            (moved, projected) = (Instant::now(), now.projected);
        } else if moved.elapsed() > LIMIT {
            bail!("the projector stands still, {} events behind", now.recorded - now.projected);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl CatchUp {
    fn new(backlog_events: u64, projected: u64, took: Duration) -> Self {
        let seconds = took.as_secs_f64();
        let timed = backlog_events >= SMALLEST_EVENTS;
        Self { backlog_events, seconds, events_per_second: timed.then(|| projected as f64 / seconds) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_backlog_has_no_rate() {
        assert_eq!(CatchUp::new(10, 10, Duration::from_millis(1)).events_per_second, None);
        assert_eq!(CatchUp::new(200_000, 200_000, Duration::from_secs(2)).events_per_second, Some(100_000.0));
    }
}
