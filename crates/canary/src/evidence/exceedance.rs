//! Two distributions of latencies, compared by how often they exceed what few requests of the baseline exceed.
//!
//! The hypothesis is that the canary's latencies are stochastically at most `factor` times the baseline's. Then for
//! every t the canary exceeds `factor · t` at most as often as the baseline exceeds t, and each such pair is a
//! comparison of two proportions. The bounds t are quantiles of what the baseline did before, so that they follow its
//! day; that keeps them predictable, as the bets need. Bounds are bounds of buckets, rounded to the safe side.

use serde::{Deserialize, Serialize};

use super::bet::Line;
use super::share::{Bad, ShareTest, Show};
use crate::histogram::{BUCKETS, Histogram, bucket, lower_bound_us};
use crate::window::{Tallies, Tally};

/// How often the baseline exceeds the bounds.
const SHARES: [f64; 4] = [0.5, 0.25, 0.1, 0.01];
/// Bounds are taken from so many requests of the baseline at least, …
const ENOUGH: u64 = 200;
/// … and taken again after so many ticks.
const FRESH_TICKS: u32 = 30;
/// How many buckets a bound may lie below its quantile, so that both arms' bounds are bounds of buckets. Not above: a
/// distribution may end there.
const NEAR: usize = 5;
const DIAGONAL: Line = Line { factor: 1.0, offset: 0.0 };

/// First buckets that count as exceeding.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Bounds {
    baseline: usize,
    canary: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Level {
    /// The canary's bound is at `factor` times the baseline's or just above.
    above: Bounds,
    slower: ShareTest,
    /// The canary's bound is at `factor` times the baseline's or just below.
    below: Bounds,
    within: ShareTest,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Exceedance {
    factor: f64,
    alpha: f64,
    recent: Histogram,
    ticks: u32,
    levels: Vec<Level>,
}

impl Exceedance {
    /// `factor` is how many times as slow the canary may be.
    pub fn new(factor: f64, alpha: f64) -> Self {
        Self { factor, alpha, recent: Histogram::default(), ticks: 0, levels: Vec::new() }
    }

    /// The canary has another share of the traffic from now on.
    pub fn begin_step(&mut self) {
        for level in &mut self.levels {
            level.slower.begin_step();
            level.within.begin_step();
        }
    }

    pub fn settle(&mut self, canary: &Histogram, baseline: &Histogram) {
        for level in &mut self.levels {
            level.slower.settle(&tallies(level.above, canary, baseline));
            level.within.settle(&tallies(level.below, canary, baseline));
        }
        self.recent.merge(baseline);
        self.ticks += 1;
        let due = self.levels.is_empty() || self.ticks >= FRESH_TICKS;
        if due && self.recent.total() >= ENOUGH {
            self.take_bounds();
            self.recent.clear();
            self.ticks = 0;
        }
    }

    fn take_bounds(&mut self) {
        for (index, share) in SHARES.iter().enumerate() {
            let Some(quantile) = self.recent.quantile_us(1.0 - share) else { return };
            let (above, below) = Bounds::near(bucket(quantile), self.factor);
            match self.levels.get_mut(index) {
                Some(level) => (level.above, level.below) = (above, below),
                None => self.levels.push(Level {
                    above,
                    below,
                    slower: ShareTest::new(DIAGONAL, Bad::Above, self.alpha, Show::Beyond),
                    within: ShareTest::new(DIAGONAL, Bad::Above, self.alpha, Show::Within),
                }),
            }
        }
    }

    /// Evidence that the canary is slower than allowed: the mean over the bounds, which is evidence again.
    pub fn beyond(&self, canary: &Histogram, baseline: &Histogram) -> f64 {
        if self.levels.is_empty() {
            return 1.0;
        }
        let each = self.levels.iter().map(|level| level.slower.beyond(&tallies(level.above, canary, baseline)));
        each.sum::<f64>() / self.levels.len() as f64
    }

    /// Evidence that it is not, at every bound: the least.
    pub fn within(&self, canary: &Histogram, baseline: &Histogram) -> f64 {
        let each = self.levels.iter().map(|level| level.within.within(&tallies(level.below, canary, baseline)));
        each.fold(f64::INFINITY, f64::min).min(if self.levels.is_empty() { 1.0 } else { f64::INFINITY })
    }

    /// What a request of the canary adds to the logarithms of the evidence if nothing changes: beyond, within.
    pub fn growth(&self) -> Option<(f64, f64)> {
        let beyond = self.levels.iter().filter_map(|level| level.slower.growth()).map(|(beyond, _)| beyond);
        let within = self.levels.iter().filter_map(|level| level.within.growth()).map(|(_, within)| within);
        let most = beyond.reduce(f64::max)?;
        Some((most, within.reduce(f64::min)?))
    }
}

impl Bounds {
    /// At a bucket or a little below, such that rounding costs least: for evidence of a slower canary, and of one that is not.
    fn near(quantile: usize, factor: f64) -> (Self, Self) {
        let candidates = || quantile.saturating_sub(NEAR)..=quantile;
        let limit_us = |baseline: usize| lower_bound_us(baseline) as f64 * factor;
        let below = |baseline: usize| bucket(limit_us(baseline) as u64);
        let above = |baseline: usize| {
            let below = below(baseline);
            if lower_bound_us(below) as f64 >= limit_us(baseline) { below } else { (below + 1).min(BUCKETS - 1) }
        };
        let best = |canary: &dyn Fn(usize) -> usize| {
            let loss = |baseline: usize| {
                let off = (lower_bound_us(canary(baseline)) as f64 / limit_us(baseline).max(1.0) - 1.0).abs();
                // Of two that are as good the one nearer to the quantile.
                (off, baseline.abs_diff(quantile))
            };
            let order = |left: &usize, right: &usize| {
                let (left, right) = (loss(*left), loss(*right));
                left.0.total_cmp(&right.0).then(left.1.cmp(&right.1))
            };
            let baseline = candidates().min_by(order).unwrap_or(quantile);
            Self { baseline, canary: canary(baseline) }
        };
        (best(&above), best(&below))
    }
}

fn tallies(bounds: Bounds, canary: &Histogram, baseline: &Histogram) -> Tallies {
    let tally = |histogram: &Histogram, bound| Tally::new(histogram.at_or_above(bound), histogram.total());
    Tallies { canary: tally(canary, bounds.canary), baseline: tally(baseline, bounds.baseline) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1,000 latencies spread evenly over 10 ms to 110 ms, times `factor`.
    fn spread(count: u64, factor: f64) -> Histogram {
        let mut histogram = Histogram::default();
        (0..count).for_each(|index| histogram.record(((10_000 + index * 100_000 / count) as f64 * factor) as u64));
        histogram
    }

    fn evidence(factor: f64, times: f64) -> (f64, f64) {
        let mut test = Exceedance::new(factor, 0.01);
        let none = Histogram::default();
        (0..200).for_each(|_| test.settle(&spread(50, times), &spread(1_000, 1.0)));
        (test.beyond(&none, &none), test.within(&none, &none))
    }

    #[test]
    fn slower_than_allowed_is_found_and_as_slow_as_allowed_is_not() {
        assert!(evidence(1.2, 1.5).0 > 1e4);
        assert!(evidence(1.0, 1.1).0 > 1e4);
        let (beyond, within) = evidence(1.2, 1.19);
        assert!(beyond < 1.5 && within < 20.0, "{beyond} {within}");
        let (beyond, within) = evidence(1.2, 1.0);
        assert!(beyond < 1.0 && within > 100.0, "{beyond} {within}");
    }

    #[test]
    fn without_a_baseline_there_is_no_evidence() {
        let mut test = Exceedance::new(1.2, 0.01);
        let none = Histogram::default();
        (0..100).for_each(|_| test.settle(&spread(50, 5.0), &none));
        assert_eq!((test.beyond(&none, &none), test.within(&none, &none)), (1.0, 1.0));
    }
}
