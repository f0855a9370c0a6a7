//! Two proportions, compared for as long as one likes.

use serde::{Deserialize, Serialize};

use super::bet::{Against, Line};
use super::dispersion::Dispersion;
use super::estimate::Estimate;
use super::portfolio::{Portfolio, Terms};
use crate::window::Tallies;

/// How much of what is known about the baseline a tick leaves.
const REMEMBERED: f64 = 0.98;
/// The first guess of the baseline's probability. A wrong one costs a little power in the first tick.
const FIRST_GUESS: f64 = 0.01;
/// A single tick multiplies the evidence at most by the threshold to the power of this.
const TICK_SHARE: f64 = 1.0 / 3.0;

/// Which side of the line is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bad {
    Above,
    Below,
}

/// What is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    Beyond,
    Within,
    Both,
}

/// Evidence of a canary that is beyond the line, and of one that is not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShareTest {
    line: Line,
    bad: Bad,
    beyond: Option<Portfolio>,
    within: Option<Portfolio>,
    dispersion: Dispersion,
    estimate: Estimate,
    seen: Tallies,
    /// Events and trials of the baseline, lately.
    guess: (f64, f64),
    /// Trials of canary and baseline while both had some, lately.
    trials: (f64, f64),
    /// The share of the canary changes with the next tick.
    step: bool,
}

impl ShareTest {
    /// `alpha` bounds the false alarms. It decides nothing here but how much one tick may prove.
    pub fn new(line: Line, bad: Bad, alpha: f64, show: Show) -> Self {
        let cap = (1.0 / alpha).ln() * TICK_SHARE;
        let (beyond, within) = match bad {
            Bad::Above => (Against::AtMost, Against::AtLeast),
            Bad::Below => (Against::AtLeast, Against::AtMost),
        };
        Self {
            line,
            bad,
            beyond: (show != Show::Within).then(|| Portfolio::new(beyond, line, cap)),
            within: (show != Show::Beyond).then(|| Portfolio::new(within, line, cap)),
            dispersion: Dispersion::default(),
            estimate: Estimate::default(),
            seen: Tallies::default(),
            guess: (0.0, 0.0),
            trials: (0.0, 0.0),
            step: false,
        }
    }

    /// The canary has another share of the traffic from now on: a time at which faults set in.
    pub fn begin_step(&mut self) {
        self.step = true;
        self.trials = (0.0, 0.0);
        self.dispersion.step();
    }

    /// Takes in a tick. Ticks without a canary teach how the baseline behaves.
    pub fn settle(&mut self, tallies: &Tallies) {
        let terms = self.terms();
        for portfolio in self.beyond.iter_mut().chain(&mut self.within) {
            portfolio.settle(tallies, &terms);
        }
        self.dispersion.add(tallies);
        self.estimate.add(tallies);
        self.seen.add(tallies);
        let (canary, baseline) = (tallies.canary, tallies.baseline);
        if baseline.trials > 0 {
            self.guess.0 = self.guess.0 * REMEMBERED + baseline.events as f64;
            self.guess.1 = self.guess.1 * REMEMBERED + baseline.trials as f64;
            if canary.trials > 0 {
                self.trials.0 = self.trials.0 * REMEMBERED + canary.trials as f64;
                self.trials.1 = self.trials.1 * REMEMBERED + baseline.trials as f64;
                self.step = false;
            }
        }
    }

    fn terms(&self) -> Terms {
        let guess = match self.guess {
            (_, 0.0) => FIRST_GUESS,
            (events, trials) => (events + 0.5) / (trials + 1.0),
        };
        Terms { guess, dispersion: self.dispersion.factor(), step: self.step }
    }

    /// How many times the stake has been won against "the canary is within the line", with a tick that is not over.
    pub fn beyond(&self, tick: &Tallies) -> f64 {
        self.evidence(self.beyond.as_ref(), tick)
    }

    /// The same against "the canary is on the line or beyond".
    pub fn within(&self, tick: &Tallies) -> f64 {
        self.evidence(self.within.as_ref(), tick)
    }

    fn evidence(&self, portfolio: Option<&Portfolio>, tick: &Tallies) -> f64 {
        let of = |portfolio: &Portfolio| {
            if tick.canary.trials == 0 || tick.baseline.trials == 0 {
                portfolio.evidence()
            } else {
                portfolio.evidence_with(tick, &self.terms())
            }
        };
        portfolio.map_or(1.0, of)
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
    pub fn ratio(&self) -> Option<f64> {
        (self.trials.1 > 0.0).then(|| self.trials.0 / self.trials.1)
    }

    pub fn line(&self) -> &Line {
        &self.line
    }

    /// What a request of the canary adds to the logarithm of the evidence if nothing changes: beyond, within.
    pub fn growth(&self) -> Option<(f64, f64)> {
        let (canary, baseline) = self.estimate.rates()?;
        let ratio = self.ratio()?;
        let (beyond, within) = match self.bad {
            Bad::Above => (Against::AtMost, Against::AtLeast),
            Bad::Below => (Against::AtLeast, Against::AtMost),
        };
        let growth = |against| self.line.growth(against, canary, baseline, ratio) / self.dispersion();
        Some((growth(beyond), growth(within)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::window::Tally;

    const SAME: Line = Line { factor: 1.0, offset: 0.0 };

    fn after(ticks: &[Tallies]) -> ShareTest {
        let mut test = ShareTest::new(SAME, Bad::Above, 0.01, Show::Both);
        ticks.iter().for_each(|tick| test.settle(tick));
        test
    }

    fn ticks() -> impl Strategy<Value = Vec<Tallies>> {
        let tick = (0u64..40, 0u64..4, 1u64..400, 0u64..8);
        prop::collection::vec(tick.prop_map(|(n, x, m, y)| Tallies::new((x, n), (y, m))), 1..80)
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
        let mut test = ShareTest::new(SAME, Bad::Above, 0.01, Show::Both);
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
        let mut test = ShareTest::new(SAME, Bad::Above, 0.01, Show::Both);
        (0..3_000).for_each(|_| test.settle(&Tallies::new((1, 250), (4, 1_000))));
        assert!(test.beyond(&Tallies::default()) < 1.0);
        let mut seconds = 0;
        while test.beyond(&Tallies::default()) < 100.0 {
            test.settle(&Tallies::new((5, 250), (4, 1_000)));
            seconds += 1;
        }
        assert!(seconds < 15, "{seconds}");
    }

    #[test]
    fn one_burst_is_not_proof() {
        let mut test = after(&[Tallies::new((0, 100), (1, 900)); 100]);
        test.settle(&Tallies::new((40, 100), (1, 900)));
        assert!(test.beyond(&Tallies::default()) < 100.0);
    }
}
