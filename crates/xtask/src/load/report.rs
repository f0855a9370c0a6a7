//! The figures of a run, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::stats::Stats;

#[derive(Serialize, Clone, Debug)]
pub(crate) struct Report {
    pub(crate) seconds: f64,
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) answered_per_second: f64,
    /// Answers with an `x-event-id`.
    pub(crate) recorded: u64,
    pub(crate) unrecorded: u64,
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) errors: Errors,
    pub(crate) latency_us: Latency,
}

#[derive(Serialize, Clone, Copy, Debug)]
pub(crate) struct Errors {
    pub(crate) closed: u64,
    pub(crate) malformed: u64,
    pub(crate) unanswered: u64,
    pub(crate) connects_failed: u64,
}

#[derive(Serialize, Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p99_9: u64,
    pub(crate) max: u64,
}

impl Report {
    pub(crate) fn new(stats: &Stats) -> Self {
        let answered = stats.recorded + stats.unrecorded;
        let seconds = stats.took.as_secs_f64();
        let statuses = (0_u16..).zip(stats.statuses.iter().copied()).filter(|(_, count)| *count > 0).collect();
        Self {
            seconds,
            sent: stats.sent,
            answered,
            answered_per_second: if seconds > 0.0 { answered as f64 / seconds } else { 0.0 },
            recorded: stats.recorded,
            unrecorded: stats.unrecorded,
            statuses,
            errors: Errors {
                closed: stats.closed,
                malformed: stats.malformed,
                unanswered: stats.unanswered,
                connects_failed: stats.connects_failed,
            },
            latency_us: Latency {
                p50: stats.latency.value_at_quantile(0.5),
                p99: stats.latency.value_at_quantile(0.99),
                p99_9: stats.latency.value_at_quantile(0.999),
                max: stats.latency.max(),
            },
        }
    }

    /// Answers that are neither a success nor a redirect.
    pub(crate) fn bad_statuses(&self) -> u64 {
        self.statuses.iter().filter(|(status, _)| !(200..400).contains(*status)).map(|(_, count)| count).sum()
    }
}

impl Errors {
    pub(crate) fn sum(self) -> u64 {
        self.closed + self.malformed + self.unanswered + self.connects_failed
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latency { p50, p99, p99_9, max } = self.latency_us;
        let ms = |us: u64| us as f64 / 1_000.0;
        writeln!(
            formatter,
            "answered    {} in {:.2} s = {:.0}/s",
            self.answered, self.seconds, self.answered_per_second
        )?;
        writeln!(formatter, "recorded    {} (x-event-id), not recorded {}", self.recorded, self.unrecorded)?;
        writeln!(
            formatter,
            "latency ms  p50 {:.3}  p99 {:.3}  p99.9 {:.3}  max {:.3}",
            ms(p50),
            ms(p99),
            ms(p99_9),
            ms(max)
        )?;
        let statuses: Vec<_> = self.statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
        writeln!(formatter, "statuses    {}", statuses.join(", "))?;
        let Errors { closed, malformed, unanswered, connects_failed } = self.errors;
        write!(
            formatter,
            "errors      closed {closed}, malformed {malformed}, unanswered {unanswered}, connects failed {connects_failed}"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::response::Answer;
    use super::*;

    #[test]
    fn percentiles_and_counts_come_from_every_thread() {
        let (mut first, mut second) = (Stats::new(), Stats::new());
        for us in 1..=1990 {
            first.answered(Answer { status: 200, recorded: true, close: false }, Duration::from_micros(us));
        }
        for _ in 0..10 {
            second.answered(Answer { status: 302, recorded: false, close: false }, Duration::from_millis(500));
        }
        second.unanswered(Duration::from_secs(600));
        first.took = Duration::from_secs(2);
        first.add(&second);
        let report = Report::new(&first);
        assert_eq!((report.answered, report.recorded, report.unrecorded), (2000, 1990, 10));
        assert_eq!(report.answered_per_second, 1000.0);
        assert_eq!(report.statuses, BTreeMap::from([(200, 1990), (302, 10)]));
        let Latency { p50, p99, p99_9, max } = report.latency_us;
        assert!((1000..=1002).contains(&p50) && (1975..=1985).contains(&p99), "{p50} {p99}");
        assert!((499_000..=501_000).contains(&p99_9) && max >= 59_000_000, "{p99_9} {max}");
        assert_eq!(report.errors.sum(), 1);
    }
}
