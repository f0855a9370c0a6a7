//! Sampled values of both arms, for example results of a query, compared pair by pair.
//!
//! The scale-invariant mixture of Lai (1976), as Wang and Ramdas (arXiv 2310.03722) give it: the evidence that the
//! mean of the pairs' distances from the line is not zero, for Gaussian distances of any unknown variance. Samples must
//! not overlap in time: a rate over the last minute is sampled once a minute.

use serde::{Deserialize, Serialize};

use super::bet::Line;
use super::estimate::{Difference, normal_mixture_width};

/// How many pairs the belief "about one standard deviation apart" counts for.
const PRIOR: f64 = 1.0;
/// Fewer pairs prove nothing, whatever the arithmetic says.
const FEWEST: f64 = 5.0;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Paired {
    count: f64,
    canary: f64,
    baseline: f64,
    distance: f64,
    distance_squares: f64,
    /// Pairs without a number, in a row up to now.
    missing: u32,
    missing_ever: u32,
}

impl Paired {
    /// A pair in which both are numbers counts; any other is one without data.
    pub fn add(&mut self, line: &Line, canary: Option<f64>, baseline: Option<f64>) {
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite() && value.abs() < 1e100);
        let (Some(canary), Some(baseline)) = (finite(canary), finite(baseline)) else {
            self.missing = self.missing.saturating_add(1);
            self.missing_ever = self.missing_ever.saturating_add(1);
            return;
        };
        self.missing = 0;
        let distance = canary - line.at(baseline);
        self.count += 1.0;
        self.canary += canary;
        self.baseline += baseline;
        self.distance += distance;
        self.distance_squares += distance * distance;
    }

    /// The evidence that the canary is above the line, and that it is below.
    pub fn evidence(&self) -> (f64, f64) {
        if self.count < FEWEST || self.distance_squares == 0.0 {
            return (1.0, 1.0);
        }
        let n = self.count + PRIOR;
        let explained = (self.distance * self.distance / (n * self.distance_squares)).min(1.0);
        let evidence = (PRIOR / n).sqrt() * (1.0 - explained).max(1e-12).powf(-self.count / 2.0);
        if self.distance > 0.0 { (evidence, 1.0) } else { (1.0, evidence) }
    }

    pub fn pairs(&self) -> u64 {
        self.count as u64
    }

    pub fn missing_in_a_row(&self) -> u32 {
        self.missing
    }

    pub fn missing_ever(&self) -> u32 {
        self.missing_ever
    }

    /// The means of canary and baseline.
    pub fn means(&self) -> Option<(f64, f64)> {
        (self.count > 0.0).then(|| (self.canary / self.count, self.baseline / self.count))
    }

    /// The mean difference of the arms, by the spread of the distances.
    pub fn difference(&self, alpha: f64) -> Option<Difference> {
        let (canary, baseline) = self.means().filter(|_| self.count >= FEWEST)?;
        let mean = self.distance / self.count;
        let variance = (self.distance_squares / self.count - mean * mean).max(0.0) / self.count;
        let width = normal_mixture_width(variance, self.count * 20.0, alpha);
        let estimate = canary - baseline;
        Some(Difference { estimate, low: estimate - width, high: estimate + width })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: Line = Line { factor: 1.0, offset: 0.0 };

    fn paired(pairs: impl IntoIterator<Item = (f64, f64)>) -> Paired {
        let mut paired = Paired::default();
        pairs.into_iter().for_each(|(canary, baseline)| paired.add(&LINE, Some(canary), Some(baseline)));
        paired
    }

    #[test]
    fn a_clear_difference_is_found_and_its_side_told() {
        let wave = |index: i32| f64::from(index % 7) * 0.01;
        let above = paired((0..40).map(|index| (1.1 + wave(index), 1.0 + wave(index + 3))));
        let (up, down) = above.evidence();
        assert!(up > 1e3 && down == 1.0, "{up} {down}");
        let below = paired((0..40).map(|index| (0.9 + wave(index), 1.0 + wave(index + 3))));
        assert!(below.evidence().1 > 1e3);
        let same = paired((0..40).map(|index| (1.0 + wave(index), 1.0 + wave(index + 3))));
        assert!(same.evidence().0 < 2.0 && same.evidence().1 < 2.0);
    }

    #[test]
    fn a_missing_number_is_no_number() {
        let mut paired = paired([(1.0, 1.0); 3]);
        for nothing in [None, Some(f64::NAN), Some(f64::INFINITY), Some(f64::NEG_INFINITY)] {
            paired.add(&LINE, nothing, Some(1.0));
            paired.add(&LINE, Some(1.0), nothing);
        }
        assert_eq!((paired.pairs(), paired.missing_in_a_row(), paired.missing_ever()), (3, 8, 8));
        assert_eq!(paired.means(), Some((1.0, 1.0)));
        paired.add(&LINE, Some(1.0), Some(1.0));
        assert_eq!((paired.missing_in_a_row(), paired.missing_ever()), (0, 8));
    }

    proptest! {
        #[test]
        fn the_unit_of_measurement_does_not_matter(
            pairs in prop::collection::vec((0.1f64..10.0, 0.1f64..10.0), 5..40), unit in 1e-6f64..1e6,
        ) {
            let scaled = paired(pairs.iter().map(|(left, right)| (left * unit, right * unit)));
            let (up, down) = paired(pairs).evidence();
            prop_assert!((scaled.evidence().0 / up - 1.0).abs() < 1e-6);
            prop_assert!((scaled.evidence().1 / down - 1.0).abs() < 1e-6);
        }
    }
}
