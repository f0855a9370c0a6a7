//! What a canary is judged by.

use serde::{Deserialize, Serialize};

use crate::rule::breaker::Breaker;
use crate::rule::burn::Burn;
use crate::rule::held::Held;
use crate::setting::worse::Worse;

/// What a canary is judged by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Criteria {
    /// The versions, for the words.
    pub canary: String,
    pub baseline: String,
    pub metrics: Vec<Metric>,
    #[serde(default)]
    pub limits: Limits,
    /// How many requests of the canary a step needs before it can pass, whatever the evidence.
    pub min_requests: u64,
    /// The probability that a canary that is no worse than its limits is ever failed by a comparison, over the whole
    /// roll-out and all metrics.
    #[serde(default = "usual_false_alarms")]
    pub false_alarms: f64,
}

fn usual_false_alarms() -> f64 {
    0.05
}

fn usual_weight() -> u64 {
    1
}

/// A comparison of the two arms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    pub name: String,
    pub source: Source,
    pub worse: Worse,
    /// Its share of the false alarms that are allowed, against the other metrics that decide; at least 1.
    #[serde(default = "usual_weight")]
    pub weight: u64,
    /// Trials that a step needs before this metric can pass, if not `min_requests`.
    #[serde(default)]
    pub min_trials: Option<u64>,
    /// Is shown and does not decide.
    #[serde(default)]
    pub shadow: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The share of requests that fail; answers 4xx count if asked for.
    Errors { client: bool },
    /// The distribution of latencies.
    Latency,
    /// Events among trials, as the readings of this metric's name have them. `trials` names them: "opens".
    Share { trials: String },
    /// Sampled values, as the readings of this metric's name have them.
    Sample,
}

/// What fails a canary by itself, without a comparison. These rules are not part of the bound on false alarms: they
/// are as right as the numbers that somebody chose.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    pub errors: Option<Held>,
    pub latency: Option<Held>,
    pub breaker: Option<Breaker>,
    pub burn: Vec<Burn>,
}

/// Criteria that cannot be judged by.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadCriteria {
    #[error("false alarms are a probability between 0 and 0.5, not {0}")]
    FalseAlarms(f64),
    #[error("metric {0:?} is there twice")]
    Twice(String),
    #[error("metric {0:?} has weight 0: one that must not decide is a shadow")]
    Weight(String),
    #[error("metric {0:?} compares latencies, which are worse when they are higher and by a part: write \"+20 %\"")]
    LatencyDirection(String),
    #[error("metric {0:?} compares errors, which are worse when there are more: write \"+0.5 points\" or \"+20 %\"")]
    ErrorDirection(String),
    #[error("the limit of errors is one of latencies; write it as \"> 1 % for 5m\"")]
    ErrorLimit,
    #[error("the limit of latencies is one of errors; write it as \"mean > 500ms for 5m\"")]
    LatencyLimit,
    #[error("the objective of a burn rate is a share between 0 and 1, not {0}")]
    Objective(f64),
}
