//! How many requests a verdict needs, and how long that takes: what a plan says before anything is deployed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::evidence::bet::Against;
use crate::evidence::share::Bad;
use crate::setting::worse::Worse;
use crate::words;

/// What a bet costs beside the threshold: the bets that turn out wrong, and the reserve. In nats, from simulation.
const COST: f64 = 2.5;
const FALSE_PASS: f64 = 0.05;

/// What is expected of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traffic {
    /// Requests (or trials) per second of both arms together.
    pub per_second: f64,
    /// The canary's share of them, between 0 and 1.
    pub share: f64,
    /// The rate of events in the baseline, between 0 and 1.
    pub baseline: f64,
}

/// How long a verdict takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Needs {
    /// Requests of a canary that is as good as the baseline until it passes. None: never, at this limit.
    pub to_pass: Option<u64>,
    /// Requests of a canary that is twice as bad as its limit allows until it fails.
    pub to_fail: Option<u64>,
    /// The same as times at this traffic. None: it is not decided at all.
    pub pass_after: Option<Duration>,
    pub fail_after: Option<Duration>,
    pub words: String,
}

/// `alpha` is the share of false alarms that the metric has: all of them, divided by the number of metrics.
pub fn needs(worse: &Worse, traffic: &Traffic, alpha: f64) -> Needs {
    let line = worse.line();
    let baseline = traffic.baseline.clamp(0.0, 1.0);
    let share = traffic.share.clamp(0.0, 1.0);
    let ratio = share / (1.0 - share).max(1e-9);
    let (beyond, within) = match worse.bad {
        Bad::Above => (Against::AtMost, Against::AtLeast),
        Bad::Below => (Against::AtLeast, Against::AtMost),
    };
    let requests = |against, canary: f64, alpha: f64| {
        let growth = if share > 0.0 && share < 1.0 { line.growth(against, canary, baseline, ratio) } else { 0.0 };
        (growth > 1e-12).then(|| words::about(((1.0 / alpha).ln() + COST) / growth))
    };
    let twice = (2.0 * line.at(baseline) - baseline).clamp(0.0, 1.0);
    let (to_pass, to_fail) = (requests(within, baseline, FALSE_PASS), requests(beyond, twice, alpha));
    let per_second = traffic.per_second.max(0.0) * share;
    let after = |requests: Option<u64>| {
        let seconds = requests? as f64 / per_second;
        // A year is never.
        (seconds.is_finite() && seconds < 3.2e7).then(|| Duration::from_secs(seconds.ceil() as u64))
    };
    let (pass_after, fail_after) = (after(to_pass), after(to_fail));
    let tell = |what: &str, requests: Option<u64>, time: Option<Duration>| match (requests, time) {
        (Some(requests), Some(time)) => {
            format!("{what} after ~{} requests of the canary (about {})", words::count(requests), words::elapsed(time))
        }
        (Some(requests), None) => {
            format!("{what} would need ~{} requests of the canary, which do not come", words::count(requests))
        }
        (None, _) => format!("{what} never: this limit cannot be told from the baseline"),
    };
    let words = format!(
        "{}; {}",
        tell("a canary as good as the baseline passes", to_pass, pass_after),
        tell("one twice as bad as allowed fails", to_fail, fail_after)
    );
    Needs { to_pass, to_fail, pass_after, fail_after, words }
}

impl Needs {
    /// Whether a step that is held for so long can pass by evidence.
    pub fn decides_within(&self, hold: Duration) -> bool {
        self.pass_after.is_some_and(|time| time <= hold)
    }
}

/// Requests without an error that prove an error rate below `limit` with a confidence of 1 − `alpha`.
pub fn clean_requests(limit: f64, alpha: f64) -> Option<u64> {
    (limit > 0.0 && limit < 1.0 && alpha > 0.0 && alpha < 1.0).then(|| (alpha.ln() / (-limit).ln_1p()).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_of_three() {
        assert_eq!(clean_requests(0.01, 0.05), Some(299));
        assert_eq!([clean_requests(0.0, 0.05), clean_requests(f64::NAN, 0.05), clean_requests(1.0, 0.05)], [None; 3]);
    }

    #[test]
    fn a_tighter_limit_a_smaller_share_and_less_traffic_need_more() {
        let traffic = Traffic { per_second: 100.0, share: 0.1, baseline: 0.005 };
        let at = |worse: &str, traffic: &Traffic| needs(&worse.parse().unwrap(), traffic, 0.02);
        let usual = at("+0.5 points", &traffic);
        let tight = at("+0.1 points", &traffic);
        assert!(tight.to_pass > usual.to_pass && tight.to_fail > usual.to_fail);
        let small = at("+0.5 points", &Traffic { share: 0.01, ..traffic });
        assert!(small.pass_after > usual.pass_after);
        assert!(usual.decides_within(Duration::from_secs(3_600)), "{usual:?}");
        assert!(!usual.decides_within(Duration::from_secs(10)));
    }

    #[test]
    fn what_cannot_be_decided_is_said() {
        let nobody = Traffic { per_second: 0.0, share: 0.1, baseline: 0.005 };
        let needs = needs(&"+0.5 points".parse().unwrap(), &nobody, 0.02);
        assert!(needs.pass_after.is_none() && needs.words.contains("which do not come"), "{}", needs.words);
        let all = Traffic { per_second: 100.0, share: 1.0, baseline: 0.005 };
        let needs = super::needs(&"+0.5 points".parse().unwrap(), &all, 0.02);
        assert!(needs.to_pass.is_none() && needs.words.contains("never"), "{}", needs.words);
        let zero = Traffic { share: 0.1, ..all };
        assert_eq!(super::needs(&"+0 points".parse().unwrap(), &zero, 0.02).to_pass, None);
    }
}
