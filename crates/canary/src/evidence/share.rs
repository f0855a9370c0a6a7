//! Two proportions, compared for as long as one likes.

use serde::{Deserialize, Serialize};

use super::bet::{Against, Line};
use super::dispersion::Dispersion;
use super::estimate::Estimate;
use super::portfolio::{Portfolio, Terms};
use crate::window::{Tallies, Tally};

/// How much of what is known about the baseline a tick leaves.
const REMEMBERED: f64 = 0.98;
/// The first guess of the baseline's probability. A wrong one costs a little power in the first tick.
const FIRST_GUESS: f64 = 0.01;
/// The ratio between the arms has changed, rather than wavered.
const STEP: f64 = 1.5;
/// A single tick multiplies the evidence at most by the threshold to the power of this.
const TICK_SHARE: f64 = 1.0 / 3.0;

/// Which side of the line is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bad {
    Above,
    Below,
}

/// Evidence of a canary that is beyond the line, and of one that is not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShareTest {
    line: Line,
    bad: Bad,
    beyond: Portfolio,
    within: Portfolio,
    dispersion: Dispersion,
    estimate: Estimate,
    seen: Tallies,
    guess: (f64, f64),
    ratio: f64,
}

impl ShareTest {
    /// `alpha` bounds the false alarms. It decides nothing here but how much one tick may prove.
    pub fn new(line: Line, bad: Bad, alpha: f64) -> Self {
        let cap = (1.0 / alpha).ln() * TICK_SHARE;
        let (beyond, within) = match bad {
            Bad::Above => (Against::AtMost, Against::AtLeast),
            Bad::Below => (Against::AtLeast, Against::AtMost),
        };
        Self {
            line,
            bad,
            beyond: Portfolio::new(beyond, line, cap),
            within: Portfolio::new(within, line, cap),
            dispersion: Dispersion::default(),
            estimate: Estimate::default(),
            seen: Tallies::default(),
            guess: (0.0, 0.0),
            ratio: 0.0,
        }
    }

    /// Takes in a tick. Ticks without a canary teach how the baseline behaves.
    pub fn settle(&mut self, tallies: &Tallies) {
        let terms = self.terms(tallies);
        self.beyond.settle(tallies, &terms);
        self.within.settle(tallies, &terms);
        if terms.step {
            self.dispersion.step();
        }
        if terms.step || self.ratio == 0.0 {
            self.ratio = ratio(tallies).unwrap_or(self.ratio);
        }
        self.dispersion.add(tallies);
        self.estimate.add(tallies);
        self.seen.add(tallies);
        let Tally { events, trials } = tallies.baseline;
        if trials > 0 {
            self.guess.0 = self.guess.0 * REMEMBERED + events as f64;
            self.guess.1 = self.guess.1 * REMEMBERED + trials as f64;
        }
    }

    fn terms(&self, tallies: &Tallies) -> Terms {
        let guess = match self.guess {
            (_, 0.0) => FIRST_GUESS,
            (events, trials) => (events + 0.5) / (trials + 1.0),
        };
        let step = self.ratio > 0.0
            && ratio(tallies).is_some_and(|now| now > self.ratio * STEP || now < self.ratio / STEP)
            && tallies.canary.trials + tallies.baseline.trials >= 50;
        Terms { guess, dispersion: self.dispersion.factor(), step }
    }

    /// How many times the stake has been won against "the canary is within the line", with a tick that is not over.
    pub fn beyond(&self, tick: &Tallies) -> f64 {
        self.beyond.evidence_with(tick, &self.terms(tick))
    }

    /// The same against "the canary is on the line or beyond".
    pub fn within(&self, tick: &Tallies) -> f64 {
        self.within.evidence_with(tick, &self.terms(tick))
    }

    pub fn estimate(&self) -> &Estimate {
        &self.estimate
    }

    pub fn dispersion(&self) -> f64 {
        self.dispersion.factor()
    }

    /// All events and trials so far.
    pub fn seen(&self) -> &Tallies {
        &self.seen
    }

    /// Requests of the canary per request of the baseline, lately.
    pub fn ratio(&self) -> f64 {
        self.ratio
    }

    pub fn line(&self) -> &Line {
        &self.line
    }

    /// What a request of the canary adds to the logarithm of the evidence if nothing changes: beyond, within.
    pub fn growth(&self) -> Option<(f64, f64)> {
        let (canary, baseline) = self.estimate.rates().filter(|_| self.ratio > 0.0)?;
        let (beyond, within) = match self.bad {
            Bad::Above => (Against::AtMost, Against::AtLeast),
            Bad::Below => (Against::AtLeast, Against::AtMost),
        };
        let growth = |against| self.line.growth(against, canary, baseline, self.ratio) / self.dispersion();
        Some((growth(beyond), growth(within)))
    }
}

fn ratio(tallies: &Tallies) -> Option<f64> {
    let (n, m) = (tallies.canary.trials, tallies.baseline.trials);
    (n > 0 && m > 0).then(|| n as f64 / m as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SAME: Line = Line { factor: 1.0, offset: 0.0 };

    fn after(ticks: &[Tallies]) -> ShareTest {
        let mut test = ShareTest::new(SAME, Bad::Above, 0.01);
        ticks.iter().for_each(|tick| test.settle(tick));
        test
    }

    fn ticks() -> impl Strategy<Value = Vec<Tallies>> {
        let tick = (0u64..40, 0u64..4, 1u64..400, 0u64..8);
        prop::collection::vec(
            tick.prop_map(|(n, x, m, y)| Tallies::new((x, n), (y, m))),
            1..80,
        )
    }

    proptest! {
        /// A failure more in the canary is never evidence for it.
        #[test]
        fn more_errors_in_a_tick_never_help(ticks in ticks(), more in 1u64..10) {
            let (last, before) = ticks.split_last().unwrap();
            let test = after(before);
            let mut worse = *last;
            worse.canary = Tally::new(last.canary.events + more, last.canary.trials);
            prop_assert!(test.beyond(&worse) >= test.beyond(last) * (1.0 - 1e-9));
            prop_assert!(test.within(&worse) <= test.within(last) * (1.0 + 1e-9));
        }

        #[test]
        fn looking_early_is_the_same_as_settling(ticks in ticks()) {
            let (last, before) = ticks.split_last().unwrap();
            let (early, settled) = (after(before), after(&ticks));
            let none = Tallies::default();
            prop_assert!((early.beyond(last) / settled.beyond(&none) - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn an_outage_of_both_arms_is_no_evidence() {
        let mut test = ShareTest::new(SAME, Bad::Above, 0.01);
        let mut highest = 0.0f64;
        for second in 0..600u64 {
            let down = (200..230).contains(&second);
            let share = if down { 2 } else { 200 };
            test.settle(&Tallies::new((50 / share, 50), (950 / share, 950)));
            highest = highest.max(test.beyond(&Tallies::default()));
        }
        assert!(highest < 3.0, "{highest}");
    }

    #[test]
    fn a_fault_that_comes_late_is_found_as_well() {
        let mut test = ShareTest::new(SAME, Bad::Above, 0.01);
        (0..3_000).for_each(|second| test.settle(&Tallies::new((u64::from(second % 10 == 0), 25), (4, 975))));
        assert!(test.beyond(&Tallies::default()) < 1.0);
        let mut seconds = 0;
        while test.beyond(&Tallies::default()) < 100.0 {
            test.settle(&Tallies::new((2, 25), (4, 975)));
            seconds += 1;
        }
        assert!(seconds < 60, "{seconds}");
    }

    #[test]
    fn one_burst_is_not_proof() {
        let mut test = after(&[Tallies::new((0, 100), (1, 900)); 100]);
        test.settle(&Tallies::new((40, 100), (1, 900)));
        assert!(test.beyond(&Tallies::default()) < 100.0);
    }
}
