//! From evidence to numbers and words.

use std::time::Duration;

use super::comparison::{LatencyTest, Test};
use super::stream::{FALSE_PASS, Judge};
use crate::criteria::Source;
use crate::evidence::estimate::{Difference, normal_mixture_width};
use crate::evidence::share::Bad;
use crate::verdict::{ArmEstimate, MetricVerdict, Outcome, RuleVerdict, Unit};
use crate::words;

/// Samples in a row that may be missing before a metric has no data.
const MISSING: u32 = 3;
/// The intervals that are shown.
const SHOWN: f64 = 0.05;

impl Judge {
    pub(super) fn explain(&self, place: usize) -> MetricVerdict {
        let metric = &self.criteria.metrics[place];
        let comparison = &self.comparisons[place];
        let (_, within) = comparison.evidence(metric, place, &self.tick);
        let failed = comparison.strongest * self.alpha(place) >= 1.0 || self.joint_failure == Some(place);
        let min = metric.min_trials.unwrap_or(if self.is_sample(place) { 0 } else { self.criteria.min_requests });
        let no_data = self.no_data(place);
        let outcome = if failed {
            Outcome::Fail
        } else if no_data.is_some() {
            Outcome::NoData
        } else if comparison.in_step >= min && within >= 1.0 / FALSE_PASS {
            Outcome::Pass
        } else {
            Outcome::Insufficient
        };
        let (unit, canary, baseline, difference) = self.estimates(place);
        let mut verdict = MetricVerdict {
            metric: metric.name.clone(),
            outcome,
            shadow: metric.shadow,
            unit,
            canary,
            baseline,
            difference,
            limit: String::from(metric.worse),
            false_alarm: (1.0 / comparison.strongest).min(1.0),
            false_pass: (1.0 / within).min(1.0),
            dispersion: match &comparison.test {
                Test::Share(test) => Some(test.dispersion()),
                _ => None,
            },
            more: None,
            words: String::new(),
        };
        let missing = min.saturating_sub(comparison.in_step);
        let expected = if outcome == Outcome::Insufficient { self.expected(place, within, missing) } else { None };
        verdict.more = expected.map(|(_, more)| more);
        verdict.words = self.metric_words(place, &verdict, min, expected, no_data);
        verdict
    }

    /// Why there is nothing to judge.
    fn no_data(&self, place: usize) -> Option<String> {
        let (metric, comparison) = (&self.criteria.metrics[place], &self.comparisons[place]);
        let name = &metric.name;
        let time = |us: i64| words::elapsed(Duration::from_micros(u64::try_from(us).unwrap_or(0)));
        if let Test::Sample { paired, .. } = &comparison.test {
            if paired.missing_in_a_row() >= MISSING {
                let count = paired.missing_in_a_row();
                return Some(format!("{name}: the last {count} samples are missing or not a number"));
            }
            // Samples come as seldom as they like, as long as they come.
            return (paired.pairs() == 0).then(|| format!("{name}: no sample of both versions yet"));
        }
        if self.step_began.is_none() {
            return Some(format!("{name}: nothing was measured yet"));
        }
        let trials = match &metric.source {
            Source::Share { trials } => trials.as_str(),
            _ => "requests",
        };
        let canary = &self.criteria.canary;
        let silent = self.silent_since(comparison.canary_seen)?;
        Some(match comparison.canary_seen {
            None => format!("{name}: no {trials} on {canary} in this step ({})", time(silent)),
            Some(_) => format!("{name}: no {trials} on {canary} for {}", time(silent)),
        })
    }

    fn estimates(&self, place: usize) -> (Unit, Option<ArmEstimate>, Option<ArmEstimate>, Option<Difference>) {
        let comparison = &self.comparisons[place];
        let arm = |value, count| Some(ArmEstimate { value, tail: None, count });
        match &comparison.test {
            Test::Share(test) => {
                let seen = test.seen();
                let difference = test.estimate().difference(test.dispersion(), SHOWN);
                match comparison.estimate().and_then(|estimate| estimate.rates()) {
                    Some((canary, baseline)) => {
                        (Unit::Share, arm(canary, seen.canary.trials), arm(baseline, seen.baseline.trials), difference)
                    }
                    None => (Unit::Share, None, None, None),
                }
            }
            Test::Latency(test) => {
                let (canary, baseline, difference) = latency_estimates(test);
                (Unit::Microseconds, canary, baseline, difference)
            }
            Test::Sample { paired, .. } => match paired.means() {
                Some((canary, baseline)) => {
                    (Unit::Value, arm(canary, paired.pairs()), arm(baseline, paired.pairs()), paired.difference(SHOWN))
                }
                None => (Unit::Value, None, None, None),
            },
        }
    }

    /// What is likely to come, and after about how many more requests of the canary.
    fn expected(&self, place: usize, within: f64, missing: u64) -> Option<(Outcome, u64)> {
        let comparison = &self.comparisons[place];
        let (beyond_growth, within_growth, is_beyond) = match &comparison.test {
            Test::Share(test) => {
                let (canary, baseline) = test.estimate().rates()?;
                let (beyond, within) = test.growth()?;
                let limit = test.line().at(baseline);
                let bad = self.criteria.metrics[place].worse.bad;
                (beyond, within, if bad == Bad::Above { canary > limit } else { canary < limit })
            }
            Test::Latency(test) => {
                let (beyond, within) = test.exceedance.growth()?;
                (beyond, within, beyond > within)
            }
            Test::Sample { .. } => return None,
        };
        let (outcome, threshold, evidence, growth) = if is_beyond {
            let now = comparison.beyond(&self.criteria.metrics[place], place, &self.tick);
            (Outcome::Fail, 1.0 / self.alpha(place), now, beyond_growth)
        } else {
            (Outcome::Pass, 1.0 / FALSE_PASS, within, within_growth)
        };
        if growth <= 1e-12 {
            return None;
        }
        let more = ((threshold.ln() - evidence.max(1e-12).ln()) / growth).max(0.0);
        let more = if outcome == Outcome::Pass { more.max(missing as f64) } else { more };
        Some((outcome, words::about(more.max(1.0))))
    }

    fn metric_words(
        &self,
        place: usize,
        verdict: &MetricVerdict,
        min: u64,
        expected: Option<(Outcome, u64)>,
        no_data: Option<String>,
    ) -> String {
        let (metric, comparison) = (&self.criteria.metrics[place], &self.comparisons[place]);
        if verdict.outcome == Outcome::NoData {
            return no_data.unwrap_or_default();
        }
        let trials = match &metric.source {
            Source::Errors { .. } | Source::Latency => "requests",
            Source::Share { trials } => trials,
            Source::Sample => "samples",
        };
        let name = &metric.name;
        let (Some(canary), Some(baseline)) = (verdict.canary, verdict.baseline) else {
            let baseline = &self.criteria.baseline;
            return format!("{name}: nothing to compare with, no {trials} on {baseline} at the same time");
        };
        let value = |arm: ArmEstimate| match verdict.unit {
            Unit::Share => words::percent(arm.value),
            Unit::Value => words::plain((arm.value * 1e4).round() / 1e4),
            Unit::Microseconds => match arm.tail {
                Some(tail) => format!("{} (p99 {})", words::latency(arm.value), words::latency(tail)),
                None => words::latency(arm.value),
            },
        };
        let arms = format!(
            "{name} {} on {} against {} on {}",
            value(canary),
            self.criteria.canary,
            value(baseline),
            self.criteria.baseline
        );
        let counts = format!("{} and {} {trials}", words::count(canary.count), words::count(baseline.count));
        let limit = &verdict.limit;
        match verdict.outcome {
            Outcome::Fail => {
                let bound = words::one_in(comparison.strongest);
                format!("{arms} ({counts}; limit {limit}; false alarm at most {bound})")
            }
            Outcome::Pass => {
                let bound = words::one_in(1.0 / verdict.false_pass);
                format!("{arms} ({counts}): not worse by {limit}, wrong at most {bound}")
            }
            _ if comparison.in_step < min => {
                let (seen, min) = (words::count(comparison.in_step), words::count(min));
                format!("{arms}: insufficient ({seen} of {min} {trials}); limit {limit}")
            }
            _ => {
                let more = |(outcome, more): (Outcome, u64)| {
                    format!("{} likely after ~{} more {trials}", outcome.word(), words::count(more))
                };
                let expected = expected.map_or_else(|| "undecided".to_owned(), more);
                format!("{arms} ({counts}; limit {limit}): {expected}")
            }
        }
    }

    /// What decided, or what is missing.
    pub(super) fn summary(&self, outcome: Outcome, metrics: &[MetricVerdict], rules: &[RuleVerdict]) -> String {
        let metrics = metrics.iter().filter(|metric| !metric.shadow).map(|metric| (metric.outcome, &metric.words));
        let mut reasons: Vec<&str> = rules
            .iter()
            .map(|rule| (rule.outcome, &rule.words))
            .chain(metrics)
            .filter(|(which, _)| *which == outcome)
            .map(|(_, words)| words.as_str())
            .collect();
        match outcome {
            Outcome::Pass => {
                let (requests, canary) = (words::count(self.requests_in_step), &self.criteria.canary);
                let what = if reasons.len() > rules.len() { "metric is within its limit" } else { "limit is kept" };
                format!("every {what} ({requests} requests of {canary} in this step)")
            }
            Outcome::NoData if reasons.is_empty() => "no metric decides: there is nothing to judge by".to_owned(),
            _ if reasons.is_empty() => {
                let (seen, min) = (words::count(self.requests_in_step), words::count(self.criteria.min_requests));
                format!("insufficient ({seen} of {min} requests in this step)")
            }
            _ => {
                reasons.dedup();
                reasons.join("; ")
            }
        }
    }
}

/// The medians, and how far apart they are as a part of the baseline's.
fn latency_estimates(test: &LatencyTest) -> (Option<ArmEstimate>, Option<ArmEstimate>, Option<Difference>) {
    let arm = |histogram: &crate::histogram::Histogram| {
        let value = histogram.quantile_us(0.5)? as f64;
        Some(ArmEstimate { value, tail: histogram.quantile_us(0.99).map(|tail| tail as f64), count: histogram.total() })
    };
    let bounds = |histogram: &crate::histogram::Histogram| {
        let count = histogram.total() as f64;
        let width = normal_mixture_width(0.25 / count, count, SHOWN / 2.0);
        Some((histogram.quantile_us(0.5 - width)? as f64, histogram.quantile_us(0.5 + width)? as f64))
    };
    let difference = || {
        let (canary, baseline) = (arm(&test.canary)?, arm(&test.baseline)?);
        let ((low, high), (base_low, base_high)) = (bounds(&test.canary)?, bounds(&test.baseline)?);
        (base_low > 0.0).then(|| Difference {
            estimate: canary.value / baseline.value - 1.0,
            low: low / base_high - 1.0,
            high: high / base_low - 1.0,
        })
    };
    (arm(&test.canary), arm(&test.baseline), difference())
}
