//! Counts over the last stretch of time, in sixty slots or fewer, whatever the traffic.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::window::Tally;

const SLOTS: i64 = 60;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Sliding {
    length_us: i64,
    slot_us: i64,
    slots: VecDeque<(i64, Tally)>,
    sum: Tally,
}

impl Sliding {
    pub(super) fn new(length_us: i64) -> Self {
        let slot_us = (length_us / SLOTS).max(1);
        Self { length_us, slot_us, slots: VecDeque::new(), sum: Tally::default() }
    }

    /// Adds what happened in a window that ended at `to`.
    pub(super) fn add(&mut self, to: i64, tally: Tally) {
        // A window ends where the next one begins: it belongs to the slot before its end.
        let slot = to.saturating_sub(1).div_euclid(self.slot_us);
        match self.slots.back_mut() {
            Some((last, sum)) if *last >= slot => sum.add(tally),
            _ => self.slots.push_back((slot, Tally::new(tally.events, tally.trials))),
        }
        self.sum.add(tally);
        let oldest = to.saturating_sub(self.length_us).div_euclid(self.slot_us);
        while let Some((_, gone)) = self.slots.front().filter(|(slot, _)| *slot < oldest) {
            self.sum.events = self.sum.events.saturating_sub(gone.events);
            self.sum.trials = self.sum.trials.saturating_sub(gone.trials);
            self.slots.pop_front();
        }
    }

    pub(super) fn sum(&self) -> Tally {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_stretch_is_forgotten() {
        let mut sliding = Sliding::new(60_000_000);
        for second in 1..=200i64 {
            sliding.add(second * 1_000_000, Tally::new(1, 10));
            let expected = second.min(60) as u64;
            assert_eq!(sliding.sum(), Tally::new(expected, expected * 10), "{second}");
        }
    }
}
