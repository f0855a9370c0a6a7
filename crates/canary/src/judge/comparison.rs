//! The evidence on one metric.

use serde::{Deserialize, Serialize};

use crate::criteria::{Metric, Source};
use crate::evidence::bet::Line;
use crate::evidence::estimate::Estimate;
use crate::evidence::exceedance::Exceedance;
use crate::evidence::paired::Paired;
use crate::evidence::share::{Bad, ShareTest, Show};
use crate::histogram::Histogram;
use crate::window::{Arm, Measured, Tallies, Tally, Window};

/// What both arms did in a tick.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Tick {
    pub(super) index: Option<i64>,
    pub(super) canary: Arm,
    pub(super) baseline: Arm,
    /// The readings of each metric, by its place in the criteria.
    pub(super) shares: Vec<Tallies>,
}

/// The evidence on one metric, and when it was last fed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Comparison {
    pub(super) test: Test,
    /// The end of the last window of this step in which the canary had something to show.
    pub(super) canary_seen: Option<i64>,
    /// Trials of the canary since the step began.
    pub(super) in_step: u64,
    /// The strongest evidence against it so far: what was proven once stays proven.
    pub(super) strongest: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Test {
    Share(ShareTest),
    Latency(LatencyTest),
    Sample { bad: Bad, line: Line, paired: Paired },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LatencyTest {
    pub(super) exceedance: Exceedance,
    /// While both arms had requests.
    pub(super) canary: Histogram,
    pub(super) baseline: Histogram,
}

impl Comparison {
    pub(super) fn new(metric: &Metric, alpha: f64) -> Self {
        let line = metric.worse.line();
        let test = match metric.source {
            Source::Errors { .. } | Source::Share { .. } => {
                Test::Share(ShareTest::new(line, metric.worse.bad, alpha, Show::Both))
            }
            Source::Latency => Test::Latency(LatencyTest {
                exceedance: Exceedance::new(line.factor, alpha),
                canary: Histogram::default(),
                baseline: Histogram::default(),
            }),
            Source::Sample => Test::Sample { bad: metric.worse.bad, line, paired: Paired::default() },
        };
        Self { test, canary_seen: None, in_step: 0, strongest: 1.0 }
    }

    /// The canary has another share of the traffic from now on.
    pub(super) fn begin_step(&mut self) {
        self.in_step = 0;
        self.canary_seen = None;
        match &mut self.test {
            Test::Share(test) => test.begin_step(),
            Test::Latency(test) => test.exceedance.begin_step(),
            Test::Sample { .. } => {}
        }
    }

    /// Notes what a window brings, before the tick that it belongs to is over.
    pub(super) fn note(&mut self, metric: &Metric, place: usize, window: &Window, tick: &mut Tick) {
        let trials = match &mut self.test {
            Test::Share(_) if matches!(metric.source, Source::Errors { .. }) => window.canary.requests,
            Test::Latency(_) => window.canary.latency.total(),
            Test::Share(_) => {
                let mut sum = Tallies::default();
                for reading in window.readings.iter().filter(|reading| reading.metric == metric.name) {
                    if let Measured::Share { canary, baseline } = reading.value {
                        sum.add(&Tallies { canary, baseline });
                    }
                }
                tick.shares[place].add(&sum);
                sum.canary.trials
            }
            Test::Sample { line, paired, .. } => {
                let before = paired.pairs();
                for reading in window.readings.iter().filter(|reading| reading.metric == metric.name) {
                    match reading.value {
                        Measured::Sample { canary, baseline } => paired.add(line, canary, baseline),
                        Measured::Share { .. } => paired.add(line, None, None),
                    }
                }
                paired.pairs() - before
            }
        };
        if trials > 0 {
            self.canary_seen = Some(self.canary_seen.map_or(window.to, |last| last.max(window.to)));
        }
        self.in_step = self.in_step.saturating_add(trials);
    }

    pub(super) fn settle(&mut self, metric: &Metric, place: usize, tick: &Tick) {
        match &mut self.test {
            Test::Share(test) => test.settle(&tallies(metric, place, tick)),
            Test::Latency(test) => {
                let (canary, baseline) = (&tick.canary.latency, &tick.baseline.latency);
                test.exceedance.settle(canary, baseline);
                if canary.total() > 0 && baseline.total() > 0 {
                    test.canary.merge(canary);
                    test.baseline.merge(baseline);
                }
            }
            Test::Sample { .. } => {}
        }
    }

    /// Evidence that the canary is beyond its limit, and that it is not, with a tick that is not over.
    pub(super) fn evidence(&self, metric: &Metric, place: usize, tick: &Tick) -> (f64, f64) {
        match &self.test {
            Test::Share(test) => {
                let tallies = tallies(metric, place, tick);
                (test.beyond(&tallies), test.within(&tallies))
            }
            Test::Latency(test) => {
                let (canary, baseline) = (&tick.canary.latency, &tick.baseline.latency);
                (test.exceedance.beyond(canary, baseline), test.exceedance.within(canary, baseline))
            }
            Test::Sample { bad, paired, .. } => {
                let (above, below) = paired.evidence();
                if *bad == Bad::Above { (above, below) } else { (below, above) }
            }
        }
    }

    /// Only what can fail the canary: cheaper, for every look.
    pub(super) fn beyond(&self, metric: &Metric, place: usize, tick: &Tick) -> f64 {
        match &self.test {
            Test::Share(test) => test.beyond(&tallies(metric, place, tick)),
            Test::Latency(test) => test.exceedance.beyond(&tick.canary.latency, &tick.baseline.latency),
            Test::Sample { .. } => self.evidence(metric, place, tick).0,
        }
    }

    pub(super) fn estimate(&self) -> Option<&Estimate> {
        match &self.test {
            Test::Share(test) => Some(test.estimate()),
            _ => None,
        }
    }
}

fn tallies(metric: &Metric, place: usize, tick: &Tick) -> Tallies {
    let Source::Errors { client } = metric.source else { return tick.shares[place] };
    let tally = |arm: &Arm| {
        let client = if client { arm.errors.client } else { 0 };
        Tally::new(arm.errors.failures().saturating_add(client), arm.requests)
    };
    Tallies { canary: tally(&tick.canary), baseline: tally(&tick.baseline) }
}
