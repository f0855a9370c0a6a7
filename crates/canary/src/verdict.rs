//! What is said about a canary, with the numbers and the words that explain it.

use serde::{Deserialize, Serialize};

use crate::evidence::estimate::Difference;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Shown to be within its limit, on enough requests.
    Pass,
    /// Shown to be beyond its limit.
    Fail,
    /// Neither is shown yet.
    Insufficient,
    /// There is nothing to judge.
    NoData,
}

/// All metrics and rules together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub outcome: Outcome,
    /// Requests of the canary since the step began.
    pub requests: u64,
    pub metrics: Vec<MetricVerdict>,
    pub rules: Vec<RuleVerdict>,
    /// Why, in a sentence or two.
    pub words: String,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricVerdict {
    pub metric: String,
    pub outcome: Outcome,
    /// It is shown and does not decide.
    pub shadow: bool,
    pub unit: Unit,
    pub canary: Option<ArmEstimate>,
    pub baseline: Option<ArmEstimate>,
    /// Canary minus baseline, in `unit`; for latencies the difference of medians as a part of the baseline's. The
    /// interval covers the truth at all times with a probability of 95 %.
    pub difference: Option<Difference>,
    /// As it was set: "+0.5 points".
    pub limit: String,
    /// The probability that a canary within its limit would ever look this bad is at most this.
    pub false_alarm: f64,
    /// The same for a canary beyond its limit that ever looks this good.
    pub false_pass: f64,
    /// By how much counts are taken to vary more than those of independent requests.
    pub dispersion: Option<f64>,
    /// About how many more requests of the canary (or trials, or samples) decide it, if nothing changes.
    pub more: Option<u64>,
    pub words: String,
}

/// What one arm did, in both arms weighed alike over the windows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ArmEstimate {
    /// A share, microseconds (the median) or a value.
    pub value: f64,
    /// For latencies the 99th percentile, in microseconds.
    pub tail: Option<f64>,
    /// Requests, trials or samples.
    pub count: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    Share,
    Microseconds,
    Value,
}

/// One limit, breaker or burn rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleVerdict {
    pub rule: String,
    /// Pass: it does not hold now. A rule alone never promotes.
    pub outcome: Outcome,
    pub words: String,
}

impl Outcome {
    /// The worse of two: fail, no data, insufficient, pass.
    pub fn and(self, other: Self) -> Self {
        let rank = |outcome| match outcome {
            Self::Pass => 0,
            Self::Insufficient => 1,
            Self::NoData => 2,
            Self::Fail => 3,
        };
        if rank(other) > rank(self) { other } else { self }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Insufficient => "insufficient",
            Self::NoData => "no data",
        }
    }
}
