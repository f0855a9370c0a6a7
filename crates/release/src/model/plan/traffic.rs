use serde::{Deserialize, Serialize};
use signalbox_core::setting::Period;

use crate::model::limits::Policy;
use crate::model::manifest::{Canary, Source};
use crate::model::value::Percent;

/// What the service is asked, as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    pub requests_per_second: f64,
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
        let requests = canary.min_requests.get();
        let step = |weight: Percent, hold: Period| {
            let needs = traffic.and_then(|traffic| time_for(requests, weight, traffic));
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

    #[test]
    fn the_arithmetic_of_the_field() {
        // Zero errors in 300 requests prove less than 1 % at 95 %: at 1 % over 5 minutes that takes 100 requests a second.
        let traffic = |requests_per_second| Traffic { requests_per_second, seen_for: None };
        assert_eq!(time_for(300, Percent::whole(1), traffic(100.0)), Some(Period::from_secs(300)));
        assert_eq!(time_for(300, Percent::whole(1), traffic(0.0)), None);
        assert_eq!(time_for(300, Percent::whole(1), traffic(f64::NAN)), None);
        assert_eq!(time_for(300, Percent::ALL, traffic(1e-9)), None);
    }
}
