//! What both arms' rates are thought to be, with an interval that stays right however often it is looked at.
//!
//! Windows are weighed by how much they tell (Mantel and Haenszel), so that a day that gets worse while the canary's
//! share grows is not blamed on the canary. The interval is the normal-mixture confidence sequence (Robbins 1970;
//! Waudby-Smith et al., arXiv 2103.06476): right for large counts, for display only. Verdicts rest on the bets.

use serde::{Deserialize, Serialize};

use crate::window::Tallies;

/// Requests of the smaller arm at which the interval is as narrow as it can be made.
const TIGHTEST_AT: f64 = 1_000.0;

/// A difference between the arms: canary minus baseline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    pub estimate: f64,
    pub low: f64,
    pub high: f64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Estimate {
    weight: f64,
    canary: f64,
    baseline: f64,
    /// Sums of squared weight by requests.
    canary_spread: f64,
    baseline_spread: f64,
}

impl Estimate {
    pub fn add(&mut self, tallies: &Tallies) {
        let (n, m) = (tallies.canary.trials as f64, tallies.baseline.trials as f64);
        if n == 0.0 || m == 0.0 {
            return;
        }
        let weight = n * m / (n + m);
        self.weight += weight;
        self.canary += weight * tallies.canary.events as f64 / n;
        self.baseline += weight * tallies.baseline.events as f64 / m;
        self.canary_spread += weight * weight / n;
        self.baseline_spread += weight * weight / m;
    }

    /// The rates of canary and baseline.
    pub fn rates(&self) -> Option<(f64, f64)> {
        (self.weight > 0.0).then(|| (self.canary / self.weight, self.baseline / self.weight))
    }

    /// The difference of the rates, covered at all times with a probability of 1 − `alpha`.
    pub fn difference(&self, dispersion: f64, alpha: f64) -> Option<Difference> {
        let (canary, baseline) = self.rates()?;
        // Half an event more, so that a rate of nothing has a width.
        let half = 0.5 / self.weight.max(1.0);
        let variance_of = |rate: f64| {
            let rate = rate.clamp(half.min(0.5), 1.0 - half.min(0.5));
            rate * (1.0 - rate)
        };
        let variance = dispersion
            * (variance_of(canary) * self.canary_spread + variance_of(baseline) * self.baseline_spread)
            / (self.weight * self.weight);
        let width = normal_mixture_width(variance, self.weight, alpha);
        let estimate = canary - baseline;
        Some(Difference { estimate, low: (estimate - width).max(-1.0), high: (estimate + width).min(1.0) })
    }
}

/// Half the width for a mean with this variance after `count` observations.
pub(crate) fn normal_mixture_width(variance: f64, count: f64, alpha: f64) -> f64 {
    let ratio = count / TIGHTEST_AT;
    (variance * (1.0 + 1.0 / ratio) * (2.0 * (1.0 / alpha).ln() + (1.0 + ratio).ln())).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_that_gets_worse_is_not_blamed_on_a_growing_canary() {
        let mut estimate = Estimate::default();
        estimate.add(&Tallies::new((1, 100), (99, 9_900)));
        estimate.add(&Tallies::new((250, 5_000), (250, 5_000)));
        let difference = estimate.difference(1.0, 0.05).unwrap();
        assert!(difference.estimate.abs() < 1e-12 && difference.low < 0.0 && difference.high > 0.0);
    }

    #[test]
    fn nothing_is_estimated_from_one_arm() {
        let mut estimate = Estimate::default();
        estimate.add(&Tallies::new((0, 0), (5, 100)));
        assert_eq!(estimate.rates(), None);
        assert_eq!(estimate.difference(1.0, 0.05), None);
    }
}
