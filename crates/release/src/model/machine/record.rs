use serde::{Deserialize, Serialize};
use signalbox_core::time::Micros;

use super::observation::TriggerKind;
use crate::model::plan::{Plan, StepId};
use crate::model::value::Name;

/// The format of the records; a higher one is refused.
pub(super) const FORMAT: u32 = 1;

/// One line of the journal, synced before what it speaks of goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The format.
    pub v: u32,
    /// From 1, without a gap.
    pub seq: u64,
    pub at: Micros,
    /// Of the controller's lease. Never falls.
    pub epoch: u64,
    #[serde(flatten)]
    pub event: Event,
}

/// What happened. Deadlines are instants, so that a restart gives nobody more time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Begun {
        plan: Box<Plan>,
        by: String,
    },
    /// A step is about to be done or undone.
    Intent {
        step: StepId,
        direction: Direction,
        attempt: u32,
        deadline: Micros,
        /// Of a hold: the first moment at which it can pass.
        #[serde(skip_serializing_if = "Option::is_none")]
        hold_until: Option<Micros>,
    },
    /// It has been done.
    Effect {
        step: StepId,
        direction: Direction,
        said: String,
    },
    /// What it was to bring about was seen.
    Confirm {
        step: StepId,
        direction: Direction,
        said: String,
    },
    /// It cannot be done.
    Failed {
        step: StepId,
        direction: Direction,
        said: String,
    },
    Signed {
        role: Name,
        who: String,
    },
    Paused {
        by: String,
        said: String,
    },
    /// The step that was under way begins anew, with time of its own.
    Resumed {
        by: String,
    },
    /// Somebody promotes without waiting for verdicts: this hold, or all of them. Triggers stay on.
    Skipped {
        by: String,
        approver: String,
        reason: String,
        all: bool,
    },
    RollbackBegun {
        why: Why,
        said: String,
    },
    Ended {
        outcome: Outcome,
        said: String,
    },
}

/// Forward or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Do,
    Undo,
}

/// Why a release is rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Why {
    /// A comparison found it worse.
    Verdict,
    /// Too few requests, or a metric that said nothing: the policy.
    Undecided,
    Trigger {
        trigger: TriggerKind,
    },
    StepFailed {
        step: StepId,
    },
    StepTimedOut {
        step: StepId,
    },
    Asked,
}

/// How a release ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Promoted,
    RolledBack,
    /// It could not be rolled back: a person has to look.
    NeedsHands,
}
