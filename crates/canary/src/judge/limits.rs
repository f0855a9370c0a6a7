//! The rules that watch the canary alone.

use serde::{Deserialize, Serialize};

use crate::criteria::Limits;
use crate::histogram::bucket;
use crate::rule::held::{Held, Limit, MEAN_SCALE};
use crate::rule::{breaker, burn, held};
use crate::verdict::{Outcome, RuleVerdict};
use crate::window::{Arm, Tally, Window};
use crate::words;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Watches {
    held: Vec<held::Watch>,
    breaker: Option<breaker::Watch>,
    burn: Vec<burn::Watch>,
}

impl Watches {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            held: limits.errors.into_iter().chain(limits.latency).map(held::Watch::new).collect(),
            breaker: limits.breaker.map(breaker::Watch::new),
            burn: limits.burn.iter().copied().map(burn::Watch::new).collect(),
        }
    }

    pub(super) fn observe(&mut self, window: &Window) {
        let arm = &window.canary;
        let errors = Tally::new(arm.errors.failures(), arm.requests);
        for watch in &mut self.held {
            let tally = tally(watch.held(), arm, errors);
            watch.add(window.from, window.to, tally);
        }
        if let Some(watch) = &mut self.breaker {
            watch.add(errors);
        }
        for watch in &mut self.burn {
            watch.add(window.from, window.to, errors);
        }
    }

    pub(super) fn failed(&self) -> bool {
        self.held.iter().any(held::Watch::tripped)
            || self.breaker.as_ref().is_some_and(|watch| watch.open().is_some())
            || self.burn.iter().any(|watch| watch.tripped().is_some())
    }

    pub(super) fn explain(&self, canary: &str) -> Vec<RuleVerdict> {
        let held = self.held.iter().map(|watch| explain_held(watch, canary));
        let breaker = self.breaker.iter().map(|watch| explain_breaker(watch, canary));
        held.chain(breaker).chain(self.burn.iter().map(|watch| explain_burn(watch, canary))).collect()
    }
}

fn tally(held: &Held, arm: &Arm, errors: Tally) -> Tally {
    let latency = &arm.latency;
    match held.limit {
        Limit::Errors(_) => errors,
        Limit::Mean(_) => Tally::new(latency.sum_us(), latency.total().saturating_mul(MEAN_SCALE as u64)),
        Limit::Quantile(_, bound) => {
            let bound_us = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
            Tally::new(latency.at_or_above(bucket(bound_us).saturating_add(1)), latency.total())
        }
    }
}

fn explain_held(watch: &held::Watch, canary: &str) -> RuleVerdict {
    let rule = String::from(*watch.held());
    let shown = |value: f64| match watch.held().limit {
        Limit::Errors(_) => format!("{} of the requests of {canary} fail", words::percent(value)),
        Limit::Mean(_) => format!("the mean latency of {canary} is {}", words::latency(value * MEAN_SCALE)),
        Limit::Quantile(_, bound) => {
            format!("{} of the requests of {canary} take longer than {}", words::percent(value), words::period(bound))
        }
    };
    let (outcome, words) = match (watch.value(), watch.exceeded_for()) {
        (value, _) if watch.tripped() => {
            let now = value.map_or_else(|| "there are no requests now".to_owned(), shown);
            (Outcome::Fail, format!("{now}: the limit {rule} was exceeded for its time"))
        }
        (None, _) => (Outcome::NoData, format!("no requests of {canary} to hold against {rule}")),
        (Some(value), Some(time)) => {
            (Outcome::Insufficient, format!("{} for {} (limit {rule})", shown(value), words::elapsed(time)))
        }
        (Some(value), None) => (Outcome::Pass, format!("{} (limit {rule})", shown(value))),
    };
    RuleVerdict { rule, outcome, words }
}

fn explain_breaker(watch: &breaker::Watch, canary: &str) -> RuleVerdict {
    let rule = String::from(*watch.breaker());
    let (outcome, words) = match watch.open() {
        Some(Tally { events, trials }) => {
            let (events, trials) = (words::count(events), words::count(trials));
            (Outcome::Fail, format!("{events} of {trials} requests in a row failed on {canary} (breaker {rule})"))
        }
        None if watch.seen() < watch.breaker().requests => {
            let seen = words::count(watch.seen());
            (Outcome::Insufficient, format!("{seen} requests of {canary} so far (breaker {rule})"))
        }
        None => (Outcome::Pass, format!("the breaker is closed ({rule})")),
    };
    RuleVerdict { rule, outcome, words }
}

fn explain_burn(watch: &burn::Watch, canary: &str) -> RuleVerdict {
    let burn = watch.burn();
    let times = |rate: f64| words::plain((rate * 10.0).round() / 10.0);
    let rule =
        format!("burn rate {}× over {} and {}", times(burn.rate), words::period(burn.long), words::period(burn.short));
    let (outcome, words) = match (watch.tripped(), watch.rates()) {
        (Some(rate), _) => {
            let objective = words::percent(burn.objective);
            (
                Outcome::Fail,
                format!("{canary} spent the error budget of {objective} {}× too fast ({rule})", times(rate)),
            )
        }
        (None, None) => (Outcome::NoData, format!("no requests of {canary} to take a {rule} of")),
        (None, Some((long, short))) => {
            (Outcome::Pass, format!("{canary} burns {}× and {}× ({rule})", times(long), times(short)))
        }
    };
    RuleVerdict { rule, outcome, words }
}
