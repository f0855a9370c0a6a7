use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use signalbox_core::setting::Period;

use super::{Action, Phase, TrafficReport, Undo};
use crate::model::manifest::Profile;
use crate::model::text::written_as_text;
use crate::model::value::{Digest, Name, Version, digest_of};

/// `6.7`: the seventh step of the sixth phase. Stable as long as the plan's hash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId {
    pub phase: u8,
    pub step: u16,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub id: StepId,
    pub action: Action,
    pub undo: Undo,
    /// An estimate.
    pub expected: Period,
    /// How long it may take before the release is rolled back.
    pub at_most: Period,
}

/// A phase and its steps; a phase without steps has nothing to do here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhasePlan {
    pub phase: Phase,
    pub steps: Vec<Step>,
}

/// How a version goes to production.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub service: Name,
    /// What serves now; none: a first release.
    pub from: Option<Version>,
    pub to: Version,
    pub profile: Profile,
    pub manifest: Digest,
    pub phases: Vec<PhasePlan>,
    /// From this step on no code rolls back.
    pub point_of_no_return: Option<StepId>,
    /// An estimate.
    pub expected: Period,
    pub traffic: TrafficReport,
    /// Of everything above but estimates and traffic, which differ from minute to minute.
    pub hash: Digest,
}

impl Plan {
    /// Every step, in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.phases.iter().flat_map(|phase| &phase.steps)
    }

    /// The step with this id.
    pub fn step(&self, id: StepId) -> Option<&Step> {
        self.steps().find(|step| step.id == id)
    }

    /// The hash that this plan must have.
    pub fn compute_hash(&self) -> Digest {
        let steps: Vec<_> = self.steps().map(|step| (step.id, &step.action, &step.undo, step.at_most)).collect();
        digest_of(&(1, &self.service, &self.from, &self.to, self.profile, self.manifest, steps))
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.phase, self.step)
    }
}

impl FromStr for StepId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('.').and_then(|(phase, step)| Some((phase.parse().ok()?, step.parse().ok()?)));
        let (phase, step) = parts
            .filter(|(phase, step)| (1..=8).contains(phase) && *step > 0)
            .ok_or_else(|| format!("{text:?} is not a step; write 6.7 for the seventh step of the sixth phase"))?;
        Ok(Self { phase, step })
    }
}

written_as_text!(StepId, "StepId", "A step of a plan: phase and number.", "6.7");
