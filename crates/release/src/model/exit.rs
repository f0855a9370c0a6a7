//! How commands of releases end: the numbers that scripts rely on. They never change their meaning.

use serde::Serialize;

/// What a command ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Exit {
    /// Healthy, promoted, or nothing to do.
    Done = 0,
    /// An error, which is printed.
    Error = 1,
    /// `plan`: there is something to do, as Terraform's -detailed-exitcode has it.
    Changes = 2,
    /// Not ready: score, a check that must pass, a risk or the checklist.
    NoGo = 3,
    /// The new version was rolled back; the old one serves everything.
    RolledBack = 4,
    /// It did not end within the time that --timeout gives; it goes on.
    TimedOut = 5,
    /// A role has not signed this plan.
    AwaitingApproval = 6,
    /// Another release or controller has the lock.
    Locked = 7,
    /// No window is open, or there is a freeze.
    WindowClosed = 8,
    /// It is paused and waits for a person.
    Paused = 9,
    /// The linter refuses the plan, or the request makes no sense in this state.
    Refused = 10,
    /// The live state or the manifest is no longer what --plan HASH was made for.
    PlanDrifted = 11,
    /// It failed and could not be rolled back: a person has to look.
    NeedsHands = 12,
}

impl Exit {
    /// All of them, in order.
    pub const ALL: [Self; 13] = [
        Self::Done,
        Self::Error,
        Self::Changes,
        Self::NoGo,
        Self::RolledBack,
        Self::TimedOut,
        Self::AwaitingApproval,
        Self::Locked,
        Self::WindowClosed,
        Self::Paused,
        Self::Refused,
        Self::PlanDrifted,
        Self::NeedsHands,
    ];

    /// The number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Its name in JSON and documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Error => "error",
            Self::Changes => "changes",
            Self::NoGo => "no_go",
            Self::RolledBack => "rolled_back",
            Self::TimedOut => "timed_out",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Locked => "locked",
            Self::WindowClosed => "window_closed",
            Self::Paused => "paused",
            Self::Refused => "refused",
            Self::PlanDrifted => "plan_drifted",
            Self::NeedsHands => "needs_hands",
        }
    }

    /// What it means, as the documents tell it.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "healthy, promoted, or nothing to do",
            Self::Error => "an error, which is printed",
            Self::Changes => "`plan`: there is something to do",
            Self::NoGo => "not ready: the score, a check that must pass, a risk, or the checklist",
            Self::RolledBack => "rolled back; the old version serves everything",
            Self::TimedOut => "it did not end in time; it goes on",
            Self::AwaitingApproval => "a role has not signed this plan",
            Self::Locked => "another release or controller has the lock",
            Self::WindowClosed => "no window is open, or there is a freeze",
            Self::Paused => "paused; it waits for a person",
            Self::Refused => "the linter refuses the plan, or the request makes no sense in this state",
            Self::PlanDrifted => "what is live, or the manifest, is no longer what the plan was made for",
            Self::NeedsHands => "failed, and could not be rolled back: a person has to look",
        }
    }

    /// In which order refusals are told: first what no waiting mends.
    pub(crate) fn gravity(self) -> u8 {
        match self {
            Self::Refused => 0,
            Self::NoGo => 1,
            Self::AwaitingApproval => 2,
            Self::WindowClosed => 3,
            _ => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_tell_every_number() {
        let document = include_str!("../../../../docs/releases.md");
        for (number, exit) in Exit::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(exit.number()), number);
            assert_eq!(serde_json::to_value(exit).unwrap(), exit.word());
            let row = format!("| {number} | `{}` | {} |", exit.word(), exit.meaning());
            assert!(document.contains(&row), "docs/releases.md lacks: {row}");
        }
    }
}
