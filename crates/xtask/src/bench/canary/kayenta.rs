//! Kayenta's test: Mann-Whitney U with a tolerance of a quarter of the Hodges-Lehmann estimate, normal approximation
//! with continuity correction and ties, as its MannWhitneyClassifier has it. It fails a metric when the bound of the
//! confidence interval lies beyond the tolerance; that is the case just when the statistic at the tolerance exceeds
//! the quantile of the confidence level, so the statistic is all that needs to be known.

const TOLERANCE: f64 = 0.25;
/// Below this no confidence level would fail it that anybody uses.
const NOTABLE: f64 = 1.0;

/// The statistic for "the experiment is higher", or less than [`NOTABLE`]. `scratch` is kept between calls.
pub(super) fn statistic(experiment: &[f64], control: &[f64], scratch: &mut Vec<f64>) -> f64 {
    if experiment.is_empty() || control.is_empty() {
        return 0.0;
    }
    let without = at(experiment, control, 0.0);
    if without < NOTABLE {
        return without;
    }
    scratch.clear();
    scratch.extend(experiment.iter().flat_map(|value| control.iter().map(move |other| value - other)));
    let middle = scratch.len() / 2;
    let (_, estimate, _) = scratch.select_nth_unstable_by(middle, f64::total_cmp);
    at(experiment, control, TOLERANCE * estimate.abs())
}

fn at(experiment: &[f64], control: &[f64], shift: f64) -> f64 {
    let (n, m) = (experiment.len() as f64, control.len() as f64);
    let mut pairs = 0.0;
    for value in experiment {
        for other in control {
            let difference = value - shift - other;
            pairs += if difference > 0.0 {
                1.0
            } else if difference == 0.0 {
                0.5
            } else {
                0.0
            };
        }
    }
    let deviation = pairs - n * m / 2.0;
    let mut all: Vec<f64> = experiment.iter().map(|value| value - shift).chain(control.iter().copied()).collect();
    all.sort_unstable_by(f64::total_cmp);
    let ties: f64 =
        all.chunk_by(|left, right| left == right).map(|run| (run.len() as f64).powi(3) - run.len() as f64).sum();
    let variance = n * m / 12.0 * (n + m + 1.0 - ties / ((n + m) * (n + m - 1.0)));
    if variance <= 0.0 {
        return 0.0;
    }
    (deviation - 0.5 * deviation.signum()) / variance.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_statistic_of_the_textbook() {
        // Worked by hand: U = 24, n = m = 5, no ties: (24 − 12.5 − 0.5) / sqrt(25 / 12 · 11).
        let (experiment, control) = ([3.0, 5.0, 6.0, 8.0, 9.0], [1.0, 2.0, 4.0, 2.5, 0.5]);
        let z = at(&experiment, &control, 0.0);
        assert!((z - 11.0 / (25.0 / 12.0 * 11.0f64).sqrt()).abs() < 1e-12, "{z}");
        assert!(statistic(&experiment, &control, &mut Vec::new()) < z);
        assert_eq!(statistic(&[1.0; 5], &[1.0; 5], &mut Vec::new()), 0.0);
    }
}
