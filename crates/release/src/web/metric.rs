//! A metric: both arms, its limit, and how far the evidence reaches, as a picture and in words.

use signalbox_canary::setting::worse::{By, Worse};
use signalbox_canary::verdict::{ArmEstimate, Outcome, Unit};
use signalbox_canary::words;

use super::shown::{Badge, badge};
use crate::executor::{MetricEvidence, MetricStatus};

/// The picture's inner width; a tenth of it is free on both sides.
const WIDE: f64 = 320.0;

#[derive(Debug)]
pub(super) struct MetricShown {
    pub name: String,
    pub state: Badge,
    pub shadow: bool,
    pub said: String,
    /// Of comparisons.
    pub arms: Option<Arms>,
    pub picture: Option<Picture>,
}

/// Both arms in words.
#[derive(Debug)]
pub(super) struct Arms {
    pub limit: String,
    pub new: String,
    pub new_count: String,
    pub old: String,
    pub old_count: String,
    pub difference: String,
}

/// Where things are, from left to right.
#[derive(Debug)]
pub(super) struct Picture {
    pub id: usize,
    pub told: String,
    /// Where both versions are the same.
    pub same: String,
    pub limit: String,
    /// Where too much begins, and how wide that is.
    pub beyond: (String, String),
    pub low: String,
    pub wide: String,
    pub estimate: String,
    /// Whether there is room for words at both lines.
    pub is_far: bool,
}

pub(super) fn outcome(outcome: Outcome) -> Badge {
    match outcome {
        Outcome::Pass => badge("ok", "pass"),
        Outcome::Fail => badge("warn", "fail"),
        Outcome::Insufficient => badge("proxy", "insufficient"),
        Outcome::NoData => badge("none", "no data"),
    }
}

pub(super) fn metric(place: usize, status: &MetricStatus) -> MetricShown {
    let evidence = status.evidence.as_ref();
    MetricShown {
        name: if evidence.is_some() { status.name.clone() } else { rule(&status.name) },
        // A limit that is not crossed is no verdict on the version.
        state: match (status.outcome, evidence) {
            (Outcome::Pass, None) => badge("ok", "holds"),
            (other, _) => outcome(other),
        },
        shadow: status.shadow,
        said: status.said.clone(),
        arms: evidence.map(arms),
        picture: evidence.and_then(|evidence| picture(place, evidence)),
    }
}

/// A limit is called as it is written; this says of what.
fn rule(name: &str) -> String {
    let what = match name.chars().next() {
        Some('>' | '<') => "errors",
        Some(first) if first.is_ascii_digit() => "breaker:",
        _ => "latency:",
    };
    format!("{what} {name}")
}

fn value(unit: Unit, arm: &ArmEstimate) -> String {
    match unit {
        Unit::Share => words::percent(arm.value),
        Unit::Microseconds => match arm.tail {
            Some(tail) => format!("{} (p99 {})", words::latency(arm.value), words::latency(tail)),
            None => words::latency(arm.value),
        },
        Unit::Value => format!("{:.4}", arm.value),
    }
}

fn difference(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Share => words::points(value),
        Unit::Microseconds => format!("{:+.1} %", value * 100.0),
        Unit::Value => format!("{value:+.4}"),
    }
}

fn arms(evidence: &MetricEvidence) -> Arms {
    let unit = evidence.unit;
    let of = |arm: Option<&ArmEstimate>| match arm {
        Some(arm) => (value(unit, arm), words::count(arm.count)),
        None => ("–".to_owned(), "0".to_owned()),
    };
    let (new, new_count) = of(evidence.canary.as_ref());
    let (old, old_count) = of(evidence.baseline.as_ref());
    let difference = evidence.difference.map(|found| {
        let one = |value| difference(unit, value);
        format!("{} ({} to {})", one(found.estimate), one(found.low), one(found.high))
    });
    Arms { limit: evidence.limit.clone(), new, new_count, old, old_count, difference: difference.unwrap_or_default() }
}

/// The limit as a difference.
fn limit(evidence: &MetricEvidence) -> Option<f64> {
    let worse = Worse::parse(&evidence.limit).ok()?;
    let line = worse.line();
    match worse.by {
        By::Points(_) => Some(line.offset),
        By::Part(_) if evidence.unit == Unit::Microseconds => Some(line.factor - 1.0),
        By::Part(_) => evidence.baseline.map(|baseline| (line.factor - 1.0) * baseline.value),
    }
}

fn picture(id: usize, evidence: &MetricEvidence) -> Option<Picture> {
    let (found, limit) = (evidence.difference?, limit(evidence)?);
    if !(found.estimate.is_finite() && limit.is_finite()) || limit == 0.0 {
        return None;
    }
    // Wide enough for the limit and the estimate; an interval that says little yet goes beyond.
    let half = (2.5 * limit.abs()).max(1.3 * found.estimate.abs());
    let x = |value: f64| WIDE * (0.5 + 0.5 * (value / half).clamp(-1.0, 1.0));
    let (low, high) = (x(found.low.max(-half)), x(found.high.min(half)));
    let beyond = if limit > 0.0 { (x(limit), WIDE) } else { (0.0, x(limit)) };
    let text = |value: f64| format!("{value:.1}");
    let one = |value| difference(evidence.unit, value);
    Some(Picture {
        id,
        told: format!(
            "New minus old: {}, with 95 % between {} and {}; too much begins at {}.",
            one(found.estimate),
            one(found.low),
            one(found.high),
            one(limit)
        ),
        same: text(x(0.0)),
        limit: text(x(limit)),
        beyond: (text(beyond.0), text(beyond.1 - beyond.0)),
        low: text(low),
        wide: text((high - low).max(1.0)),
        estimate: text(x(found.estimate)),
        is_far: (x(limit) - x(0.0)).abs() > 30.0,
    })
}

#[cfg(test)]
mod tests {
    use signalbox_canary::evidence::estimate::Difference;

    use super::*;

    fn evidence(limit: &str, unit: Unit, low: f64, estimate: f64, high: f64) -> MetricEvidence {
        let arm = |value| Some(ArmEstimate { value, tail: None, count: 1234 });
        let difference = Some(Difference { estimate, low, high });
        MetricEvidence { limit: limit.into(), unit, canary: arm(0.02), baseline: arm(0.01), difference, more: None }
    }

    #[test]
    fn the_picture_has_the_limit_on_the_side_that_is_worse() {
        let number = |text: &str| text.parse::<f64>().unwrap();
        let up = picture(1, &evidence("+1 points", Unit::Share, -0.001, 0.002, 0.004)).unwrap();
        assert!(number(&up.limit) > 160.0 && number(&up.low) < 160.0 && number(&up.estimate) > 160.0);
        let down = picture(1, &evidence("-5 %", Unit::Value, -1.0, 0.0, 1.0)).unwrap();
        assert!(number(&down.limit) < 160.0 && down.beyond.0 == "0.0");
        assert!(
            picture(1, &MetricEvidence { difference: None, ..evidence("+1 points", Unit::Share, 0., 0., 0.) })
                .is_none()
        );
        assert!(picture(1, &evidence("+1 points", Unit::Share, 0.0, f64::NAN, 0.0)).is_none());
    }

    #[test]
    fn latencies_are_told_as_a_part() {
        let told = arms(&evidence("+20 %", Unit::Microseconds, -0.05, 0.1, 0.3));
        assert_eq!((told.difference.as_str(), told.new_count.as_str()), ("+10.0 % (-5.0 % to +30.0 %)", "1,234"));
    }
}
