//! Post-conditions: whether what a step or its undo is to bring about is there, and whether it is seen to work.

use super::observation::Observation;
use crate::model::plan::{Action, Plan, Undo};
use crate::model::value::Percent;

/// Whether a thing is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing shows it; only the journal knows.
    Unseen,
    Missing,
    /// It was set, and what it is for is not yet seen.
    Set,
    Seen,
}

fn place(set: bool, seen: bool) -> Place {
    match (set, seen) {
        (false, _) => Place::Missing,
        (true, false) => Place::Set,
        (true, true) => Place::Seen,
    }
}

/// After a step.
pub(super) fn of_action(action: &Action, now: &Observation) -> Place {
    match action {
        Action::SetWeight { version, weight } => {
            let seen = now.seen(version);
            place(seen.weight == *weight, seen.share_follows())
        }
        Action::Scale { version, instances } => {
            let seen = now.seen(version);
            place(seen.running >= *instances, seen.ready >= *instances)
        }
        Action::Stop { version } | Action::ClearLeftover { version } => {
            let seen = now.seen(version);
            place(seen.running == 0 && seen.weight == Percent::NONE, true)
        }
        Action::Drain { version, .. } => place(true, now.seen(version).in_flight == 0),
        Action::Migrate { number, .. } => place(now.applied.contains(number), true),
        Action::StartStaging { .. } => place(now.staging, true),
        Action::RestoreCopy => place(now.copy, true),
        Action::StopStaging => place(!now.staging && !now.copy, true),
        _ => Place::Unseen,
    }
}

/// After an undo.
pub(super) fn of_undo(undo: &Undo, plan: &Plan, now: &Observation) -> Place {
    match undo {
        Undo::RouteAll { to } => {
            let (bad, good) = (now.seen(&plan.to), now.seen(to));
            let set = bad.weight == Percent::NONE && good.weight == Percent::ALL;
            place(set, bad.share_follows())
        }
        Undo::StartAgain { version, instances } => {
            let seen = now.seen(version);
            place(seen.running >= *instances, seen.ready >= *instances)
        }
        Undo::StopInstances { version } => place(now.seen(version).running == 0, true),
        Undo::StopStaging => place(!now.staging, true),
        Undo::RemoveCopy => place(!now.copy, true),
        Undo::Nothing | Undo::Stays { .. } | Undo::Impossible { .. } => Place::Seen,
    }
}
