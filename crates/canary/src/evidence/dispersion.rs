//! By how much counts vary more than those of independent requests: errors come in bursts.
//!
//! Two estimates, one inside the other. The baseline, which has most of the traffic, tells how much neighbouring
//! stretches differ; that includes what hits both arms at once, and so is too much. The differences between the arms
//! tell exactly what matters, but slowly while the canary's share is small; so the first is where the second begins.
//! Both are known before the tick they discount, and both look at neighbouring stretches only, so that a fault which
//! sets in and stays is not taken for a burst.

use serde::{Deserialize, Serialize};

use crate::window::{Tallies, Tally};

/// Before anything is known, counts are taken to vary this much more.
const AT_FIRST: f64 = 2.0;
/// How many stretches that assumption counts for.
const AT_FIRST_WEIGHT: f64 = 4.0;
/// How many stretches the baseline's estimate counts for against the differences between the arms.
const BASELINE_WEIGHT: f64 = 6.0;
/// When the share of the canary changes, the differences seen so far count for at most this many stretches.
const KEPT: f64 = 4.0;
/// One stretch counts for no more than this: an outage is not dispersion.
const MOST: f64 = 60.0;
/// A stretch of the baseline ends when it holds so many events and so many others.
const BASELINE_EVENTS: u64 = 5;
/// A stretch of both arms ends when so many events of the canary are to be expected.
const CANARY_EVENTS: f64 = 2.0;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    fn add(&mut self, square: f64) {
        self.sum += square.min(MOST);
        self.count += 1.0;
    }

    fn with_prior(&self, prior: f64, weight: f64) -> f64 {
        (self.sum + prior * weight) / (self.count + weight)
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Dispersion {
    stretch: Tally,
    before: Option<Tally>,
    baseline: Mean,
    both: Tallies,
    both_before: Option<Tallies>,
    between: Mean,
}

impl Dispersion {
    pub fn add(&mut self, tallies: &Tallies) {
        self.add_baseline(tallies.baseline);
        self.add_both(tallies);
    }

    /// The share of the canary has changed, and with it how much bursts weigh.
    pub fn step(&mut self) {
        self.both = Tallies::default();
        self.both_before = None;
        if self.between.count > KEPT {
            self.between.sum *= KEPT / self.between.count;
            self.between.count = KEPT;
        }
    }

    /// At least 1.
    pub fn factor(&self) -> f64 {
        let baseline = self.baseline.with_prior(AT_FIRST, AT_FIRST_WEIGHT);
        self.between.with_prior(baseline, BASELINE_WEIGHT).max(1.0)
    }

    fn add_baseline(&mut self, tally: Tally) {
        self.stretch.add(tally);
        let now = self.stretch;
        if now.events < BASELINE_EVENTS || now.trials - now.events < BASELINE_EVENTS {
            return;
        }
        if let Some(before) = self.before {
            self.baseline.add((rate(now) - rate(before)).powi(2) / variance(now, before));
        }
        self.before = Some(now);
        self.stretch = Tally::default();
    }

    fn add_both(&mut self, tallies: &Tallies) {
        self.both.add(tallies);
        let (canary, baseline) = (self.both.canary, self.both.baseline);
        if canary.trials == 0 || baseline.trials == 0 {
            return;
        }
        let (n, m) = (canary.trials as f64, baseline.trials as f64);
        let pooled = (canary.events as f64 + baseline.events as f64) / (n + m);
        if n.min(m) * pooled.min(1.0 - pooled) < CANARY_EVENTS {
            return;
        }
        let now = std::mem::take(&mut self.both);
        if let Some(before) = self.both_before.replace(now) {
            let change = rate(canary) - rate(baseline) - rate(before.canary) + rate(before.baseline);
            let variance = variance(canary, before.canary) + variance(baseline, before.baseline);
            self.between.add(change.powi(2) / variance);
        }
    }
}

/// Of the difference of two rates, if the probability was the same and requests were independent.
fn variance(now: Tally, before: Tally) -> f64 {
    let (n, m) = (now.trials as f64, before.trials as f64);
    let pooled = (now.events as f64 + before.events as f64 + 0.5) / (n + m + 1.0);
    pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)
}

fn rate(tally: Tally) -> f64 {
    tally.events as f64 / tally.trials as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts that alternate around 1 % by the standard deviation that independent requests have, times `spread`.
    fn alternating(spread: f64) -> f64 {
        let mut dispersion = Dispersion::default();
        for index in 0..200u32 {
            let sign = if index % 2 == 0 { 1.0 } else { -1.0 };
            // The mean square of a difference of two is twice the variance.
            let of = |trials: u64, sign: f64| {
                let mean = trials as f64 * 0.01;
                Tally::new((mean + sign * spread * (mean * 0.99 / 2.0).sqrt()).round() as u64, trials)
            };
            dispersion.add(&Tallies { canary: of(10_000, sign), baseline: of(40_000, -sign) });
        }
        dispersion.factor()
    }

    #[test]
    fn it_finds_the_spread_that_is_there() {
        assert_eq!(Dispersion::default().factor(), AT_FIRST);
        assert!(alternating(0.5) < 1.05);
        let found = alternating(4.0);
        // 16 for each arm, and more because the arms swing against each other.
        assert!((16.0..30.0).contains(&found), "{found}");
    }

    #[test]
    fn what_hits_both_arms_at_once_is_no_dispersion() {
        let mut dispersion = Dispersion::default();
        for index in 0..400u64 {
            let per_mille = if index % 20 < 3 { 100 } else { 5 };
            let of = |trials: u64| Tally::new(trials * per_mille / 1000, trials);
            dispersion.add(&Tallies { canary: of(2_000), baseline: of(8_000) });
        }
        let factor = dispersion.factor();
        assert!(factor < 1.5, "{factor}");
    }
}
