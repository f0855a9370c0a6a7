//! The judge: what it has seen, and what it says.

use serde::{Deserialize, Serialize};

use super::comparison::{Comparison, Test, Tick};
use super::limits::Watches;
use crate::criteria::{BadCriteria, Criteria, Metric, Source};
use crate::evidence::share::Bad;
use crate::rule::held::Limit;
use crate::setting::worse::By;
use crate::verdict::{Outcome, Verdict};
use crate::window::{Tallies, Window};

/// Windows are gathered into ticks of this length, so that it does not matter how a second was cut.
const TICK_US: i64 = 1_000_000;
/// A canary that shows nothing for so long has no data, whatever it showed before.
pub(super) const SILENCE_US: i64 = 30_000_000;
/// How sure a pass is: the probability that a canary beyond its limit ever passes a metric.
pub(super) const FALSE_PASS: f64 = 0.05;

/// Watches one roll-out from its first window to its last. It can be stored and read back at any time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Judge {
    pub(super) criteria: Criteria,
    pub(super) comparisons: Vec<Comparison>,
    pub(super) watches: Watches,
    pub(super) tick: Tick,
    pub(super) now: i64,
    pub(super) step_began: Option<i64>,
    pub(super) requests_in_step: u64,
    /// The mean evidence of all metrics that decide has once exceeded what false alarms allow; this metric had most.
    pub(super) joint_failure: Option<usize>,
}

impl Judge {
    pub fn new(criteria: Criteria) -> Result<Self, BadCriteria> {
        check(&criteria)?;
        let comparisons = criteria.metrics.iter();
        let comparisons = comparisons.map(|metric| Comparison::new(metric, alpha(&criteria, metric))).collect();
        Ok(Self {
            comparisons,
            watches: Watches::new(&criteria.limits),
            tick: Tick { shares: vec![Tallies::default(); criteria.metrics.len()], ..Tick::default() },
            now: i64::MIN,
            step_began: None,
            requests_in_step: 0,
            joint_failure: None,
            criteria,
        })
    }

    pub fn criteria(&self) -> &Criteria {
        &self.criteria
    }

    /// The canary has another share of the traffic from now on: minimum numbers count from here. The evidence stays.
    pub fn begin_step(&mut self) {
        self.settle();
        self.requests_in_step = 0;
        self.step_began = None;
        self.comparisons.iter_mut().for_each(Comparison::begin_step);
    }

    /// Takes in a window. Windows come in order of time; one that is late is counted where the stream has got to.
    /// Windows from before the canary got traffic teach how the baseline behaves.
    pub fn observe(&mut self, window: &Window) {
        let index = window.from.div_euclid(TICK_US);
        if self.tick.index.is_some_and(|current| index > current) {
            self.settle();
        }
        let current = *self.tick.index.get_or_insert(index);
        self.step_began.get_or_insert(window.from);
        self.now = self.now.max(window.to);
        self.requests_in_step = self.requests_in_step.saturating_add(window.canary.requests);
        self.tick.canary.add(&window.canary);
        self.tick.baseline.add(&window.baseline);
        for (place, (metric, comparison)) in self.criteria.metrics.iter().zip(&mut self.comparisons).enumerate() {
            comparison.note(metric, place, window, &mut self.tick);
        }
        self.watches.observe(window);
        // The tick is whole: nothing more belongs to it.
        if window.to >= current.saturating_add(1).saturating_mul(TICK_US) {
            self.settle();
        }
        self.look();
    }

    fn settle(&mut self) {
        if self.tick.index.is_none() {
            return;
        }
        for (place, (metric, comparison)) in self.criteria.metrics.iter().zip(&mut self.comparisons).enumerate() {
            comparison.settle(metric, place, &self.tick);
        }
        self.tick.index = None;
        self.tick.canary.clear();
        self.tick.baseline.clear();
        self.tick.shares.fill(Tallies::default());
    }

    /// Remembers the strongest evidence, of each metric and of all together. The mean of evidence by weight is evidence,
    /// whatever the metrics have to do with each other, and never weaker than splitting the false alarms among them.
    fn look(&mut self) {
        let (mut sum, mut most) = (0.0, (0.0, None));
        for (place, (metric, comparison)) in self.criteria.metrics.iter().zip(&mut self.comparisons).enumerate() {
            let evidence = comparison.beyond(metric, place, &self.tick);
            comparison.strongest = comparison.strongest.max(evidence);
            if metric.shadow {
                continue;
            }
            sum += evidence * metric.weight as f64;
            if evidence > most.0 {
                most = (evidence, Some(place));
            }
        }
        let mean = sum / deciding(&self.criteria);
        if self.joint_failure.is_none() && mean >= 1.0 / self.criteria.false_alarms {
            self.joint_failure = most.1;
        }
    }

    /// A comparison, a limit or the breaker has failed the canary. It stays failed.
    pub fn failed(&self) -> bool {
        self.joint_failure.is_some() || self.watches.failed()
    }

    /// What can be said now.
    pub fn verdict(&self) -> Verdict {
        let metrics: Vec<_> = (0..self.comparisons.len()).map(|place| self.explain(place)).collect();
        let rules = self.watches.explain(&self.criteria.canary);
        let measured = metrics.iter().any(|metric| !metric.shadow) || !rules.is_empty();
        let mut outcome = if measured { Outcome::Pass } else { Outcome::NoData };
        let deciding = metrics.iter().filter(|metric| !metric.shadow).map(|metric| metric.outcome);
        outcome = deciding.fold(outcome, Outcome::and);
        outcome = rules.iter().map(|rule| rule.outcome).fold(outcome, Outcome::and);
        if outcome == Outcome::Pass && self.requests_in_step < self.criteria.min_requests {
            outcome = Outcome::Insufficient;
        }
        let words = self.summary(outcome, &metrics, &rules);
        Verdict { outcome, requests: self.requests_in_step, metrics, rules, words }
    }

    pub(super) fn alpha(&self, place: usize) -> f64 {
        alpha(&self.criteria, &self.criteria.metrics[place])
    }

    /// Neither arm's silence counts before the step is as old as the silence that is allowed.
    pub(super) fn silent_since(&self, seen: Option<i64>) -> Option<i64> {
        let since = seen.or(self.step_began)?;
        let silent = self.now.saturating_sub(since);
        (seen.is_none() || silent > SILENCE_US).then_some(silent)
    }

    pub(super) fn is_sample(&self, place: usize) -> bool {
        matches!(self.comparisons[place].test, Test::Sample { .. })
    }
}

/// The weights of all metrics that decide, at least 1.
fn deciding(criteria: &Criteria) -> f64 {
    let weights = criteria.metrics.iter().filter(|metric| !metric.shadow).map(|metric| metric.weight as f64);
    weights.sum::<f64>().max(1.0)
}

/// The share of the false alarms that a metric has.
fn alpha(criteria: &Criteria, metric: &Metric) -> f64 {
    criteria.false_alarms * metric.weight as f64 / deciding(criteria).max(metric.weight as f64)
}

fn check(criteria: &Criteria) -> Result<(), BadCriteria> {
    if !(criteria.false_alarms > 0.0 && criteria.false_alarms <= 0.5) {
        return Err(BadCriteria::FalseAlarms(criteria.false_alarms));
    }
    for (place, metric) in criteria.metrics.iter().enumerate() {
        let name = || metric.name.clone();
        if criteria.metrics[..place].iter().any(|other| other.name == metric.name) {
            return Err(BadCriteria::Twice(name()));
        }
        if metric.weight == 0 {
            return Err(BadCriteria::Weight(name()));
        }
        let above = metric.worse.bad == Bad::Above;
        match metric.source {
            Source::Errors { .. } if !above => return Err(BadCriteria::ErrorDirection(name())),
            Source::Latency if !above || !matches!(metric.worse.by, By::Part(_)) => {
                return Err(BadCriteria::LatencyDirection(name()));
            }
            _ => {}
        }
    }
    if criteria.limits.errors.is_some_and(|held| !matches!(held.limit, Limit::Errors(_))) {
        return Err(BadCriteria::ErrorLimit);
    }
    if criteria.limits.latency.is_some_and(|held| matches!(held.limit, Limit::Errors(_))) {
        return Err(BadCriteria::LatencyLimit);
    }
    match criteria.limits.burn.iter().find(|burn| !(burn.objective > 0.0 && burn.objective < 1.0)) {
        Some(burn) => Err(BadCriteria::Objective(burn.objective)),
        None => Ok(()),
    }
}
