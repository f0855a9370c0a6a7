use serde::{Deserialize, Serialize};
use signalbox_canary::setting::worse::Worse;
use signalbox_canary::traffic::{Traffic as Expected, needs};
use signalbox_core::setting::Period;

use crate::model::limits::Policy;
use crate::model::manifest::{Canary, Source};
use crate::model::value::Percent;

/// The share of failed requests that is assumed where nobody saw it.
const USUAL_ERRORS: f64 = 0.001;
/// The probability that a version within its limits is ever failed by a comparison.
pub const FALSE_ALARMS: f64 = 0.05;

/// What the service is asked, as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    pub requests_per_second: f64,
    /// The share of them that failed, between 0 and 1; none: nobody saw it.
    #[serde(default)]
    pub errors: Option<f64>,
    /// Over how long it was seen; none: somebody said so.
    pub seen_for: Option<Period>,
}

/// How long each step needs at the traffic seen.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TrafficReport {
    pub traffic: Option<Traffic>,
    pub steps: Vec<StepTraffic>,
    /// Metrics whose counts no one knows beforehand.
    pub unknown: Vec<String>,
}

/// One step of the canary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepTraffic {
    pub weight: Percent,
    pub hold: Period,
    /// Requests of the new version that a verdict needs.
    pub requests: u64,
    /// How long those take to come.
    pub needs: Option<Period>,
    pub decides: Decides,
}

/// Whether a step can be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decides {
    WithinHold,
    /// Only when the policy's longer hold is used as well.
    WithinPolicy,
    /// The policy will decide, not the requests.
    Never,
    /// Nobody saw the traffic.
    Unknown,
}

impl TrafficReport {
    pub(super) fn new(canary: &Canary, traffic: Option<Traffic>) -> Self {
        let errors = traffic.and_then(|traffic| traffic.errors).unwrap_or(USUAL_ERRORS);
        let step = |weight: Percent, hold: Period| {
            let of_errors = requests_of_errors(canary, weight, errors);
            let requests = canary.min_requests.get().max(of_errors.unwrap_or(0));
            let needs = traffic.and_then(|traffic| time_for(requests, weight, traffic)).filter(|_| of_errors.is_some());
            let decides = match (traffic, needs) {
                (None, _) => Decides::Unknown,
                (Some(_), None) => Decides::Never,
                (Some(_), Some(needs)) => decides(needs, hold, canary.insufficient),
            };
            StepTraffic { weight, hold, requests, needs, decides }
        };
        let unknown = canary.metrics.iter().filter(|metric| !matches!(metric.source, Source::Errors | Source::Latency));
        Self {
            traffic,
            steps: canary.steps.iter().map(|one| step(one.weight, one.hold)).collect(),
            unknown: unknown.map(|metric| metric.name.clone()).collect(),
        }
    }
}

/// Requests of a version that is as good as the present one until its errors pass at a weight; 0 where errors are not
/// compared, or nobody is left to compare with. None: never, at this limit.
fn requests_of_errors(canary: &Canary, weight: Percent, errors: f64) -> Option<u64> {
    if weight == Percent::ALL {
        return Some(0);
    }
    let metrics = canary.metrics.iter().filter(|metric| metric.source == Source::Errors && !metric.shadow);
    let of = |worse: Worse| {
        let expected = Expected { per_second: 1.0, share: weight.share(), baseline: errors };
        needs(&worse, &expected, FALSE_ALARMS).to_pass
    };
    metrics.map(|metric| of(metric.worse.to_string().parse().ok()?)).try_fold(0, |most, one| Some(most.max(one?)))
}

fn decides(needs: Period, hold: Period, policy: Policy) -> Decides {
    if needs <= hold {
        Decides::WithinHold
    } else if needs.0 <= hold.0 + policy.waits().0 {
        Decides::WithinPolicy
    } else {
        Decides::Never
    }
}

/// How long so many requests take to come at a weight; none where they never do within a year.
fn time_for(requests: u64, weight: Percent, traffic: Traffic) -> Option<Period> {
    let per_second = traffic.requests_per_second * weight.share();
    let seconds = (requests as f64 / per_second).ceil();
    let year = 366.0 * 86_400.0;
    (per_second > 0.0 && seconds.is_finite() && seconds <= year).then(|| Period::from_secs(seconds as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::manifest::Manifest;

    #[test]
    fn a_step_needs_what_its_errors_need_and_never_less_than_was_said() {
        let canary = |worse: &str, min: u64| {
            let text = format!(
                "[service]\nname = \"shop\"\nrun = [\"./shop\", \"{{port}}\"]\nhealth = {{ path = \"/\" }}\n[canary]\nsteps = [10, 100]\n\
                 min_requests = {min}\n[[canary.metric]]\nname = \"errors\"\nworse = \"{worse}\"\n"
            );
            Manifest::parse("release.toml", &text).expect("a manifest").canary
        };
        let seen = Traffic { requests_per_second: 100.0, errors: Some(0.005), seen_for: None };
        let steps = |canary: &Canary| TrafficReport::new(canary, Some(seen)).steps;
        let tight = steps(&canary("+0.5 points", 300));
        assert!(tight[0].requests > 1_000, "{tight:?}");
        assert_eq!(tight[1].requests, 300, "at 100 % nobody is left to compare with");
        assert_eq!(steps(&canary("+0.5 points", 100_000))[0].requests, 100_000);
    }

    #[test]
    fn the_arithmetic_of_the_field() {
        // Zero errors in 300 requests prove less than 1 % at 95 %: at 1 % over 5 minutes that takes 100 requests a second.
        let traffic = |requests_per_second| Traffic { requests_per_second, errors: None, seen_for: None };
        assert_eq!(time_for(300, Percent::whole(1), traffic(100.0)), Some(Period::from_secs(300)));
        assert_eq!(time_for(300, Percent::whole(1), traffic(0.0)), None);
        assert_eq!(time_for(300, Percent::whole(1), traffic(f64::NAN)), None);
        assert_eq!(time_for(300, Percent::ALL, traffic(1e-9)), None);
    }
}
