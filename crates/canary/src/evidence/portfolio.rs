//! Many bets side by side, and a reserve that goes on entering the game.
//!
//! A bet that began when all was well has lost so much by the time a fault sets in that it would recover too late.
//! So a part of the capital is held back and invested bit by bit, and another part when the share of the canary
//! changes, because that is when faults set in. The whole is a mixture of non-negative supermartingales that begin at
//! fixed times, with weights that sum to one, and so is one itself (Shin, Ramdas and Rinaldo, arXiv 2203.03532).

use serde::{Deserialize, Serialize};

use super::bet::{Against, Line};
use crate::window::Tallies;

/// Invested in the first tick, of the whole.
const AT_START: f64 = 0.65;
/// Invested when the share of the canary changes, of what is left.
const AT_STEP: f64 = 0.25;
/// Invested in tick t, of what is left: `PACE / (t + DELAY)`.
const PACE: f64 = 0.5;
const DELAY: f64 = 60.0;
/// Beyond this nothing more is learned.
const ENOUGH: f64 = 1e200;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Portfolio {
    against: Against,
    line: Line,
    /// No tick multiplies a bet by more than `exp` of this: one burst is not proof.
    cap: f64,
    reserve: f64,
    bets: Vec<f64>,
    ticks: f64,
}

/// What is known before a tick, and so may decide about the bets of that tick.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Of the baseline's probability.
    pub guess: f64,
    /// By how much counts vary more than independent requests would; at least 1.
    pub dispersion: f64,
    /// The share of the canary has changed since the last tick.
    pub step: bool,
}

impl Portfolio {
    pub fn new(against: Against, line: Line, cap: f64) -> Self {
        Self { against, line, cap, reserve: 1.0, bets: vec![0.0; against.odds().len()], ticks: 0.0 }
    }

    /// The evidence against the hypothesis: how many times the stake has been won.
    pub fn evidence(&self) -> f64 {
        self.reserve + self.bets.iter().sum::<f64>()
    }

    /// The evidence if this tick, in which both arms had requests, were over.
    pub fn evidence_with(&self, tallies: &Tallies, terms: &Terms) -> f64 {
        let invested = self.invested(terms);
        self.reserve - invested + self.bets_after(tallies, terms, invested).sum::<f64>()
    }

    pub fn settle(&mut self, tallies: &Tallies, terms: &Terms) {
        if tallies.canary.trials == 0 || tallies.baseline.trials == 0 {
            return;
        }
        let invested = self.invested(terms);
        self.bets = self.bets_after(tallies, terms, invested).map(|bet| bet.min(ENOUGH)).collect();
        self.reserve -= invested;
        self.ticks += 1.0;
    }

    fn invested(&self, terms: &Terms) -> f64 {
        let share = if self.ticks == 0.0 {
            AT_START
        } else if terms.step {
            AT_STEP
        } else {
            PACE / (self.ticks + DELAY)
        };
        self.reserve * share
    }

    fn bets_after(&self, tallies: &Tallies, terms: &Terms, invested: f64) -> impl Iterator<Item = f64> {
        let bets = self.bets.iter().zip(self.against.odds()).zip(self.against.weights());
        bets.map(move |((bet, odds), weight)| {
            let gain = self.line.log_payoff(*odds, terms.guess, tallies) / terms.dispersion;
            (bet + invested * weight) * gain.min(self.cap).exp()
        })
    }
}
