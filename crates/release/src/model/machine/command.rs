use std::fmt;

use super::progress::Progress;
use super::record::{Event, Outcome, Why};
use crate::model::plan::Action;

/// What a person asks of a running release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    Pause {
        reason: String,
    },
    Resume,
    /// Goes on without waiting for the verdict of this hold, or of all holds. Somebody else approves, with a reason.
    Promote {
        all: bool,
        approver: String,
        reason: String,
    },
    RollBack {
        reason: String,
    },
}

/// Why that makes no sense now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerbRefusal {
    Ended(Outcome),
    AlreadyPaused,
    NotPaused,
    AlreadyRollingBack,
    /// A contract has run; code rolls back no more.
    PastReturn,
    NotHolding,
    NeedsApprover,
    NeedsReason,
}

impl fmt::Display for VerbRefusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Ended(Outcome::Promoted) => {
                "the release has ended: promoted; to go back, deploy the version before as a release of its own"
            }
            Self::Ended(Outcome::RolledBack) => "the release has ended: rolled back; there is nothing to roll back",
            Self::Ended(Outcome::NeedsHands) => "the release has ended and needs hands; see its journal",
            Self::AlreadyPaused => "it is paused already",
            Self::NotPaused => "it is not paused",
            Self::AlreadyRollingBack => "it is rolling back already, and a roll-back is not rolled back",
            Self::PastReturn => {
                "it is past the point of no return: a contract migration took away what the old version needs; roll forward, or restore the database"
            }
            Self::NotHolding => "nothing is held that could be promoted",
            Self::NeedsApprover => "promoting without a verdict needs an approver who is somebody else",
            Self::NeedsReason => "promoting without a verdict needs a reason",
        })
    }
}

impl std::error::Error for VerbRefusal {}

/// The record that a verb makes, or why it makes none.
pub fn command(progress: &Progress<'_>, verb: Verb, by: &str) -> Result<Event, VerbRefusal> {
    if let Some((outcome, _)) = progress.ended {
        return Err(VerbRefusal::Ended(outcome));
    }
    if progress.rollback.is_some() {
        return Err(VerbRefusal::AlreadyRollingBack);
    }
    let by = by.to_owned();
    match verb {
        Verb::Pause { .. } if progress.paused.is_some() => Err(VerbRefusal::AlreadyPaused),
        Verb::Pause { reason } => Ok(Event::Paused { by, said: reason }),
        Verb::Resume if progress.paused.is_none() => Err(VerbRefusal::NotPaused),
        Verb::Resume => Ok(Event::Resumed { by }),
        Verb::Promote { approver, .. } if approver.trim().is_empty() || approver == by => {
            Err(VerbRefusal::NeedsApprover)
        }
        Verb::Promote { reason, .. } if reason.trim().is_empty() => Err(VerbRefusal::NeedsReason),
        Verb::Promote { all, approver, reason } => {
            let current = progress.current().filter(|step| progress.touched(step.id));
            match current.map(|step| &step.action) {
                Some(Action::Judge { .. }) => Ok(Event::Skipped { by, approver, reason, all }),
                _ => Err(VerbRefusal::NotHolding),
            }
        }
        Verb::RollBack { .. } if progress.past_return() => Err(VerbRefusal::PastReturn),
        Verb::RollBack { reason } => Ok(Event::RollbackBegun { why: Why::Asked, said: reason }),
    }
}
