//! What a bench measured, as it is written to JSON.

use serde::Serialize;

use super::catch_up::CatchUp;
use super::machine::Machine;
use super::memory::Memory;
use crate::load::report::Report;
use crate::services::wrk::Flood;

#[derive(Serialize, Debug)]
pub(crate) struct Figures {
    pub(crate) machine: Machine,
    pub(crate) seconds_per_round: u64,
    pub(crate) tokens: usize,
    pub(crate) user_agents: usize,
    pub(crate) engines: Vec<EngineFigures>,
}

#[derive(Serialize, Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

#[derive(Serialize, Debug)]
pub(crate) struct EngineFigures {
    pub(crate) engine: Engine,
    pub(crate) start_seconds: f64,
    pub(crate) memory_idle: Memory,
    /// Closed loops by wrk with limits off.
    pub(crate) floods: Vec<Comparison>,
    /// An open loop with limits off.
    pub(crate) constant_rate: Constant,
    /// A closed loop by our load generator with limits on, from many source addresses.
    pub(crate) limits_on: Comparison,
    pub(crate) catch_up_events_per_second: Option<f64>,
    pub(crate) memory_after: Memory,
    pub(crate) nginx_memory_after: Memory,
    /// Of all runs: answers that said the event is recorded.
    pub(crate) acknowledged: u64,
    /// What the servers themselves counted as recorded: also answers that nobody waited for.
    pub(crate) recorded: u64,
    /// What `signalbox events count` says at the end.
    pub(crate) stored: u64,
    pub(crate) lost: u64,
}

#[derive(Serialize, Debug)]
pub(crate) struct Constant {
    pub(crate) requests_per_second: f64,
    pub(crate) connections: usize,
    /// The same rate on the same machine: what a static file makes of it.
    pub(crate) nginx: Report,
    pub(crate) report: Report,
}

/// Rounds that alternate between nginx and signalbox.
#[derive(Serialize, Debug)]
pub(crate) struct Comparison {
    pub(crate) connections: usize,
    pub(crate) sources: usize,
    /// Medians of the rounds; the ratio is the median of the rounds' ratios, signalbox to nginx.
    pub(crate) ratio: f64,
    pub(crate) nginx: Side,
    pub(crate) signalbox: Side,
    pub(crate) unrecorded: u64,
    pub(crate) errors: u64,
    pub(crate) rounds: Vec<Round>,
}

#[derive(Serialize, Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) nginx: Side,
    /// Only answers to recorded requests count as requests per second.
    pub(crate) signalbox: Side,
    pub(crate) ratio: f64,
    pub(crate) unrecorded: u64,
    pub(crate) catch_up: CatchUp,
}

#[derive(Serialize, Clone, Copy, Debug)]
pub(crate) struct Side {
    pub(crate) requests_per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p99_9_us: f64,
    pub(crate) errors: u64,
}

impl Comparison {
    pub(crate) fn new(connections: usize, sources: usize, rounds: Vec<Round>) -> Self {
        Self {
            connections,
            sources,
            ratio: median(rounds.iter().map(|round| round.ratio)),
            nginx: Side::median(rounds.iter().map(|round| round.nginx)),
            signalbox: Side::median(rounds.iter().map(|round| round.signalbox)),
            unrecorded: rounds.iter().map(|round| round.unrecorded).sum(),
            errors: rounds.iter().map(|round| round.signalbox.errors + round.nginx.errors).sum(),
            rounds,
        }
    }
}

impl Round {
    pub(crate) fn new(nginx: Side, signalbox: Side, unrecorded: u64, catch_up: CatchUp) -> Self {
        let ratio = signalbox.requests_per_second / nginx.requests_per_second;
        Self { nginx, signalbox, ratio, unrecorded, catch_up }
    }
}

impl Side {
    pub(crate) fn of_flood(flood: &Flood) -> Self {
        Self {
            requests_per_second: flood.per_second(),
            p50_us: flood.p50_us as f64,
            p99_us: flood.p99_us as f64,
            p99_9_us: flood.p99_9_us as f64,
            errors: flood.status_errors + flood.socket_errors,
        }
    }

    pub(crate) fn of_report(report: &Report) -> Self {
        Self {
            requests_per_second: report.answered_per_second,
            p50_us: report.latency_us.p50 as f64,
            p99_us: report.latency_us.p99 as f64,
            p99_9_us: report.latency_us.p99_9 as f64,
            errors: report.errors.sum() + report.bad_statuses(),
        }
    }

    /// Leaves out the share of answers to requests that were not recorded.
    pub(crate) fn counting_only(self, recorded: u64, answered: u64) -> Self {
        let share = if answered == 0 { 0.0 } else { recorded as f64 / answered as f64 };
        Self { requests_per_second: self.requests_per_second * share, ..self }
    }

    fn median(sides: impl Iterator<Item = Self> + Clone) -> Self {
        Self {
            requests_per_second: median(sides.clone().map(|side| side.requests_per_second)),
            p50_us: median(sides.clone().map(|side| side.p50_us)),
            p99_us: median(sides.clone().map(|side| side.p99_us)),
            p99_9_us: median(sides.clone().map(|side| side.p99_9_us)),
            errors: sides.map(|side| side.errors).sum(),
        }
    }
}

/// The middle value, or the mean of the two in the middle; not a number when there is none.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[length / 2],
        length => f64::midpoint(values[length / 2 - 1], values[length / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(requests_per_second: f64) -> Side {
        Side { requests_per_second, p50_us: 1.0, p99_us: 2.0, p99_9_us: 3.0, errors: 0 }
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert!(median([].into_iter()).is_nan());
    }

    #[test]
    fn the_ratio_is_the_median_of_the_rounds_not_the_ratio_of_medians() {
        let none = CatchUp::default();
        let rounds = [(100.0, 90.0), (200.0, 260.0), (50.0, 55.0)]
            .map(|(nginx, ours)| Round::new(side(nginx), side(ours), 1, none));
        let comparison = Comparison::new(64, 0, rounds.to_vec());
        assert!((comparison.ratio - 1.1).abs() < 1e-9, "{}", comparison.ratio);
        assert_eq!((comparison.nginx.requests_per_second, comparison.unrecorded), (100.0, 3));
    }

    #[test]
    fn answers_that_were_not_recorded_do_not_count() {
        assert_eq!(side(1000.0).counting_only(75, 100).requests_per_second, 750.0);
        assert_eq!(side(1000.0).counting_only(0, 0).requests_per_second, 0.0);
    }
}
