use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use signalbox_core::time::Micros;

use crate::model::plan::StepId;
use crate::model::value::{Percent, Version};

/// What is seen at a moment: the live data plane, never what the journal hopes for.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    pub now: Micros,
    pub versions: BTreeMap<Version, Seen>,
    /// Numbers of the migrations that the database says have run.
    pub applied: BTreeSet<u32>,
    /// Whether the new version is up and healthy in staging.
    pub staging: bool,
    /// Whether a restored copy lies beside production.
    pub copy: bool,
    /// Triggers that are tripped at this moment, in any phase.
    pub tripped: Vec<Tripped>,
    /// What the comparison says, and of which step.
    pub judged: Option<Judged>,
    /// Whether signatures and window allow production to change.
    pub gate: Gate,
}

/// A version as it is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    pub running: u64,
    /// Healthy, and telling the right version.
    pub ready: u64,
    /// As the edge has acknowledged it.
    pub weight: Percent,
    /// Requests that were assigned anew since that weight took effect: to this version, and to all.
    pub assigned: (u64, u64),
    pub in_flight: u64,
}

/// A trigger that is tripped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tripped {
    pub kind: TriggerKind,
    /// The figures, in words.
    pub said: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerKind {
    Errors,
    Latency,
    Breaker,
    Memory,
    Leak,
    Health,
    Database,
    Vulnerability,
    /// A business metric, or a probe of content.
    Content,
}

/// What the comparison says of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    pub step: StepId,
    pub verdict: Verdict,
    pub said: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Pass,
    Fail,
    /// Too few requests so far.
    Insufficient,
    /// Nothing to judge by: never a pass.
    NoData,
}

/// Whether production may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Gate {
    Open,
    AwaitingApproval { said: String },
    WindowClosed { said: String },
    NoGo { said: String },
}

impl Observation {
    /// A version, or nothing of it.
    pub fn seen(&self, version: &Version) -> Seen {
        self.versions.get(version).copied().unwrap_or_default()
    }
}

impl Seen {
    /// Whether the observed share is what the weight says, as far as so many requests can tell: four standard deviations,
    /// and half a percentage point for what was under way when the weight changed.
    pub fn share_follows(&self) -> bool {
        let (own, all) = self.assigned;
        let wanted = self.weight.share();
        if self.weight == Percent::NONE {
            // After a roll-back there is no room: not one request.
            return own == 0;
        }
        if all == 0 {
            return true;
        }
        let deviation = (wanted * (1.0 - wanted) / all as f64).sqrt();
        (own as f64 / all as f64 - wanted).abs() <= 4.0 * deviation + 0.005
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_follows_its_weight_within_chance() {
        let follows = |percent, own, all| {
            Seen { weight: Percent::whole(percent), assigned: (own, all), ..Seen::default() }.share_follows()
        };
        assert!(follows(10, 0, 0) && follows(10, 1002, 10_000) && follows(1, 0, 100));
        assert!(!follows(10, 5000, 10_000) && !follows(50, 100, 10_000));
        assert!(follows(0, 0, 10_000) && !follows(0, 1, 10_000));
        assert!(!follows(100, 9_800, 10_000));
    }
}
