//! Burn rates: how many times faster than allowed the error budget is spent, over a long and a short stretch at once
//! (Google, The Site Reliability Workbook, chapter 5). The long one says that it matters, the short one that it lasts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sliding::Sliding;
use crate::window::Tally;

/// Fewer requests in the short stretch prove nothing.
const FEWEST: u64 = 50;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burn {
    /// How much of the requests must go well, for example 0.999.
    pub objective: f64,
    pub rate: f64,
    pub long: Duration,
    pub short: Duration,
}

impl Burn {
    /// The four pairs for a budget of 30 days: 14.4× over 1 h and 5 min, 6× over 6 h and 30 min, 3× over 1 d and 2 h,
    /// 1× over 3 d and 6 h.
    pub fn usual(objective: f64) -> [Self; 4] {
        [(14.4, 3_600, 300), (6.0, 21_600, 1_800), (3.0, 86_400, 7_200), (1.0, 259_200, 21_600)].map(
            |(rate, long, short)| Self {
                objective,
                rate,
                long: Duration::from_secs(long),
                short: Duration::from_secs(short),
            },
        )
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Watch {
    burn: Burn,
    long: Sliding,
    short: Sliding,
    first: Option<i64>,
    now: i64,
    tripped: Option<f64>,
}

impl Watch {
    pub(crate) fn new(burn: Burn) -> Self {
        let us = |period: Duration| i64::try_from(period.as_micros()).unwrap_or(i64::MAX);
        let (long, short) = (Sliding::new(us(burn.long)), Sliding::new(us(burn.short)));
        Self { burn, long, short, first: None, now: i64::MIN, tripped: None }
    }

    /// Until the long stretch is full, it is as long as what has been seen, and at least the short one.
    pub(crate) fn add(&mut self, from: i64, to: i64, tally: Tally) {
        self.long.add(to, tally);
        self.short.add(to, tally);
        let first = *self.first.get_or_insert(from);
        self.now = self.now.max(to);
        let full = self.now.saturating_sub(first) >= i64::try_from(self.burn.short.as_micros()).unwrap_or(i64::MAX);
        if full
            && let Some((long, short)) = self.rates()
            && self.short.sum().trials >= FEWEST
            && long > self.burn.rate
            && short > self.burn.rate
        {
            self.tripped.get_or_insert(long.min(short));
        }
    }

    /// How many times faster than allowed, over the long and the short stretch.
    pub(crate) fn rates(&self) -> Option<(f64, f64)> {
        let budget = (1.0 - self.burn.objective).max(1e-9);
        let rate = |Tally { events, trials }| (trials > 0).then(|| events as f64 / trials as f64 / budget);
        Some((rate(self.long.sum())?, rate(self.short.sum())?))
    }

    pub(crate) fn tripped(&self) -> Option<f64> {
        self.tripped
    }

    pub(crate) fn burn(&self) -> &Burn {
        &self.burn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trips_after(per_mille: impl Fn(i64) -> u64) -> Option<i64> {
        let mut watch = Watch::new(Burn::usual(0.999)[0]);
        (0..7_200).find(|second| {
            let from = second * 1_000_000;
            watch.add(from, from + 1_000_000, Tally::new(per_mille(*second), 1_000));
            watch.tripped().is_some()
        })
    }

    #[test]
    fn a_budget_that_burns_fast_enough_trips_and_one_that_does_not_does_not() {
        assert_eq!(trips_after(|_| 20), Some(299));
        assert_eq!(trips_after(|_| 14), None);
        assert_eq!(trips_after(|second| if second < 120 { 30 } else { 0 }), None);
        assert!(trips_after(|second| if second < 3_600 { 0 } else { 50 }).unwrap() > 3_600 + 300);
    }
}
