use serde::Serialize;
use signalbox_core::time::Micros;

use super::observation::{Gate, Observation};
use super::progress::Progress;
use super::record::{Direction, Outcome, Why};
use crate::model::exit::Exit;
use crate::model::plan::{Action, Phase, Step, StepId};
use crate::model::value::Percent;

/// A release as people are shown it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    Running {
        phase: Phase,
        step: StepId,
        doing: String,
    },
    Holding {
        step: StepId,
        weight: Percent,
        since: Micros,
        until: Micros,
    },
    AwaitingApproval {
        said: String,
    },
    WindowClosed {
        said: String,
    },
    NoGo {
        said: String,
    },
    Paused {
        step: Option<StepId>,
        by: String,
        said: String,
    },
    RollingBack {
        reason: Why,
        said: String,
        since: Micros,
    },
    /// `exit` tells a release that never touched production for want of readiness from one that did.
    RolledBack {
        said: String,
        exit: Exit,
    },
    Promoted,
    NeedsHands {
        said: String,
    },
}

impl State {
    /// From what is written and what is seen.
    pub fn of(progress: &Progress<'_>, now: &Observation) -> Self {
        match progress.ended {
            Some((Outcome::Promoted, _)) => return Self::Promoted,
            Some((Outcome::RolledBack, said)) => {
                let said = progress.rollback.map_or(said, |rollback| rollback.said).to_owned();
                return Self::RolledBack { said, exit: rolled_back(progress) };
            }
            Some((Outcome::NeedsHands, said)) => return Self::NeedsHands { said: said.to_owned() },
            None => (),
        }
        if let Some(rollback) = progress.rollback {
            return Self::RollingBack { reason: rollback.why, said: rollback.said.to_owned(), since: rollback.since };
        }
        let step = progress.current();
        if let Some((by, said)) = progress.paused {
            return Self::Paused { step: step.map(|step| step.id), by: by.to_owned(), said: said.to_owned() };
        }
        let Some(step) = step else { return Self::Promoted };
        let attempt = progress.attempt(Direction::Do, step.id);
        match (&step.action, attempt) {
            (Action::Judge { weight, .. }, Some(attempt)) => Self::Holding {
                step: step.id,
                weight: *weight,
                since: attempt.since,
                until: attempt.hold_until.unwrap_or(attempt.deadline),
            },
            (Action::AwaitGo { .. }, Some(_)) => match now.gate.clone() {
                Gate::WindowClosed { said } => Self::WindowClosed { said },
                Gate::NoGo { said } => Self::NoGo { said },
                Gate::AwaitingApproval { said } => Self::AwaitingApproval { said },
                Gate::Open => running(step),
            },
            _ => running(step),
        }
    }

    /// What a command that watches ends with, where there is nothing more to watch.
    pub fn exit(&self) -> Option<Exit> {
        match self {
            Self::Running { .. } | Self::Holding { .. } | Self::RollingBack { .. } => None,
            Self::AwaitingApproval { .. } => Some(Exit::AwaitingApproval),
            Self::WindowClosed { .. } => Some(Exit::WindowClosed),
            Self::NoGo { .. } => Some(Exit::NoGo),
            Self::Paused { .. } => Some(Exit::Paused),
            Self::RolledBack { exit, .. } => Some(*exit),
            Self::Promoted => Some(Exit::Done),
            Self::NeedsHands { .. } => Some(Exit::NeedsHands),
        }
    }
}

fn running(step: &Step) -> State {
    let phase = Phase::ALL[usize::from(step.id.phase.clamp(1, 8)) - 1];
    State::Running { phase, step: step.id, doing: step.action.to_string() }
}

fn rolled_back(progress: &Progress<'_>) -> Exit {
    let step = match progress.rollback.map(|rollback| rollback.why) {
        Some(Why::StepFailed { step } | Why::StepTimedOut { step }) => progress.plan.step(step),
        _ => None,
    };
    match step.map(|step| &step.action) {
        Some(Action::CheckReadiness { .. }) => Exit::NoGo,
        Some(Action::AwaitGo { .. }) => Exit::AwaitingApproval,
        _ => Exit::RolledBack,
    }
}
