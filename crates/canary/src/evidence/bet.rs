//! The bet behind every comparison of two proportions.
//!
//! The hypothesis is a line: the canary's probability is at most (or at least) `factor · baseline + offset`, in every
//! window, whatever the baseline's probability is in that window. Against it, one window pays
//!
//! ```text
//! (1 + s(1−q))^x (1 − sq)^(n−x) · (1 − t(1−p))^y (1 + tp)^(m−y),   t = factor · s · n/m
//! ```
//!
//! for x of n in the canary and y of m in the baseline, where p is any guess of the baseline's probability made before
//! the window, and q = factor · p + offset. If the canary's true probability is c and the baseline's b, the expectation
//! is (1 + s(c − q))^n · (1 − t(b − p))^m ≤ exp(n·s·(c − factor · b − offset)) ≤ 1 under the hypothesis, for any n, m and
//! any history. So the product over windows is a non-negative supermartingale: by Ville's inequality it ever exceeds
//! 1/α with a probability of at most α, also when the error rate of both arms moves together. A bad guess p costs
//! power, never validity.
//!
//! The bet is the growth-optimal one of Turner, Ly and Grünwald (arXiv 2106.02693) where the line is the diagonal,
//! and the multinomial test of Lindon, Sanden and Shirikian (arXiv 2205.14762) where events are rare.

use serde::{Deserialize, Serialize};

use crate::window::Tallies;

/// How many bets there are.
const BETS: usize = 8;
/// Guesses stay this far from 0 and 1.
const MARGIN: f64 = 1e-7;

/// The line that divides good canaries from bad ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub factor: f64,
    pub offset: f64,
}

/// What is denied: that the canary lies at most on the line, or at least on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Against {
    AtMost,
    AtLeast,
}

/// What one bet multiplies the stake by.
#[derive(Debug, Clone, Copy)]
struct Stake {
    canary_event: f64,
    canary_other: f64,
    baseline_event: f64,
    baseline_other: f64,
}

impl Line {
    pub fn at(&self, baseline: f64) -> f64 {
        self.factor * baseline + self.offset
    }

    /// `odds` is how many times the canary's odds exceed those on the line, if the bet is to pay best.
    /// Nothing is staked where the hypothesis cannot be false.
    fn stake(&self, odds: f64, guess: f64, ratio: f64) -> Option<Stake> {
        let p = guess.clamp(MARGIN, 1.0 - MARGIN);
        let on_line = self.at(p);
        // A line outside of (0, 1) may be moved towards the safe side only.
        let q = if odds > 1.0 {
            on_line.max(MARGIN)
        } else if on_line >= MARGIN {
            on_line.min(1.0 - MARGIN)
        } else {
            return None;
        };
        if q > 1.0 - MARGIN {
            return None;
        }
        let weight = self.factor * ratio;
        let mut s = (odds - 1.0) / (1.0 - q + odds * q + odds * weight);
        let t_limit = 0.95 / if odds > 1.0 { 1.0 - p } else { p };
        if (weight * s).abs() > t_limit {
            s = s.signum() * t_limit / weight;
        }
        let t = weight * s;
        Some(Stake {
            canary_event: 1.0 + s * (1.0 - q),
            canary_other: 1.0 - s * q,
            baseline_event: 1.0 - t * (1.0 - p),
            baseline_other: 1.0 + t * p,
        })
    }

    /// The logarithm of what a window pays.
    pub(super) fn log_payoff(&self, odds: f64, guess: f64, tallies: &Tallies) -> f64 {
        let (canary, baseline) = (tallies.canary, tallies.baseline);
        let ratio = canary.trials as f64 / baseline.trials as f64;
        // Not ln_1p, which is slower: what rounding costs stays below 1e-15 for each request.
        let times = |count: u64, factor: f64| if count == 0 { 0.0 } else { count as f64 * factor.ln() };
        self.stake(odds, guess, ratio).map_or(0.0, |stake| {
            times(canary.events, stake.canary_event)
                + times(canary.trials - canary.events, stake.canary_other)
                + times(baseline.events, stake.baseline_event)
                + times(baseline.trials - baseline.events, stake.baseline_other)
        })
    }

    /// What a request of the canary adds to the logarithm of the evidence, with the best bet, if these are the true
    /// probabilities and `ratio` requests go to the canary for each one to the baseline.
    pub fn growth(&self, against: Against, canary: f64, baseline: f64, ratio: f64) -> f64 {
        let growth = |odds: &f64| {
            self.stake(*odds, baseline, ratio).map_or(0.0, |stake| {
                let expected = |rate: f64, event: f64, other: f64| rate * event.ln() + (1.0 - rate) * other.ln();
                expected(canary, stake.canary_event, stake.canary_other)
                    + expected(baseline, stake.baseline_event, stake.baseline_other) / ratio
            })
        };
        against.odds().iter().map(growth).fold(0.0, f64::max)
    }
}

impl Against {
    /// The bets that are made side by side: from a small difference to a breakdown.
    pub const fn odds(self) -> &'static [f64; BETS] {
        match self {
            Self::AtMost => &[1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 40.0],
            Self::AtLeast => &[0.92, 0.8, 0.65, 0.5, 0.35, 0.2, 0.08, 0.01],
        }
    }

    /// How the capital is divided among them. Small differences take so long to show that less capital costs them
    /// little; of a breakdown every request is proof.
    pub const fn weights(self) -> &'static [f64; BETS] {
        &[0.06, 0.1, 0.13, 0.16, 0.18, 0.18, 0.13, 0.06]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The expected payoff of a window, summed over every outcome.
    fn expectation(line: &Line, odds: f64, guess: f64, truth: (f64, f64), trials: (u64, u64)) -> f64 {
        let binomial = |n: u64, p: f64, k: u64| {
            let ways = (0..k).map(|i| ((n - i) as f64).ln() - ((i + 1) as f64).ln()).sum::<f64>();
            ways.exp() * p.powi(k as i32) * (1.0 - p).powi((n - k) as i32)
        };
        let mut sum = 0.0;
        for x in 0..=trials.0 {
            for y in 0..=trials.1 {
                let tallies = Tallies::new((x, trials.0), (y, trials.1));
                sum += binomial(trials.0, truth.0, x)
                    * binomial(trials.1, truth.1, y)
                    * line.log_payoff(odds, guess, &tallies).exp();
            }
        }
        sum
    }

    proptest! {
        /// Validity is exact: no approximation, no "enough data".
        #[test]
        fn no_bet_gains_on_average_while_the_hypothesis_holds(
            factor in 0.5f64..1.5, offset in -0.3f64..0.3, guess in 0.0f64..1.0, baseline in 0.0f64..=1.0,
            slack in 0.0f64..0.5, n in 1u64..12, m in 1u64..12, index in 0usize..8,
        ) {
            let line = Line { factor, offset };
            let worst = (line.at(baseline) - slack).clamp(0.0, 1.0);
            prop_assume!(worst <= line.at(baseline));
            let up = expectation(&line, Against::AtMost.odds()[index], guess, (worst, baseline), (n, m));
            prop_assert!(up <= 1.0 + 1e-9, "at most: {up}");
            let best = (line.at(baseline) + slack).clamp(0.0, 1.0);
            prop_assume!(best >= line.at(baseline));
            let down = expectation(&line, Against::AtLeast.odds()[index], guess, (best, baseline), (n, m));
            prop_assert!(down <= 1.0 + 1e-9, "at least: {down}");
        }

        #[test]
        fn a_bet_never_loses_everything(
            factor in 0.5f64..1.5, offset in -0.3f64..0.3, guess in 0.0f64..1.0,
            n in 1u64..2000, m in 1u64..2000, x in 0u64..2000, y in 0u64..2000,
        ) {
            let tallies = Tallies::new((x, n), (y, m));
            let line = Line { factor, offset };
            for odds in Against::AtMost.odds().iter().chain(Against::AtLeast.odds()) {
                prop_assert!(line.log_payoff(*odds, guess, &tallies).is_finite());
            }
        }
    }

    #[test]
    fn three_hundred_clean_requests_prove_less_than_one_percent() {
        let line = Line { factor: 1.0, offset: 0.01 };
        let clean = Tallies::new((300, 300), (100_000, 100_000));
        let complement = Tallies::new((0, clean.canary.trials), (0, clean.baseline.trials));
        let evidence = line.log_payoff(0.01, 0.0, &complement).exp();
        assert!((18.0..21.0).contains(&evidence), "{evidence}");
    }
}
