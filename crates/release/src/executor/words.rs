//! A record in one line, for people.

use crate::model::machine::{Direction, Event, Outcome};
use crate::model::plan::{Plan, StepId};

/// What happened, in a release that carries out this plan.
pub fn of(event: &Event, plan: &Plan) -> String {
    let back = |direction: &Direction| if *direction == Direction::Undo { "undo " } else { "" };
    match event {
        Event::Begun { plan, by } => {
            let from = plan.from.as_ref().map_or_else(|| "first release".to_owned(), ToString::to_string);
            format!("{by} released {} {from} → {}, plan {}", plan.service, plan.to, plan.hash.short())
        }
        Event::Intent { step, direction, attempt, .. } => {
            let again = if *attempt > 1 { format!(", try {attempt}") } else { String::new() };
            format!("{step} {}{again}", what(plan, *step, *direction))
        }
        Event::Effect { step, direction, said } => format!("{step} {}done: {said}", back(direction)),
        Event::Confirm { step, direction, said } => format!("{step} {}confirmed: {said}", back(direction)),
        Event::Failed { step, direction, said } => format!("{step} {}FAILED: {said}", back(direction)),
        Event::Signed { role, who } => format!("{who} signed as {role}"),
        Event::Paused { by, said } => format!("paused by {by}: {said}"),
        Event::Resumed { by } => format!("resumed by {by}"),
        Event::Skipped { by, approver, reason, all } => {
            let what = if *all { "all verdicts" } else { "this verdict" };
            format!("{by} promoted without {what}, approved by {approver}: {reason}")
        }
        Event::RollbackBegun { said, .. } => format!("ROLLING BACK: {said}"),
        Event::Ended { outcome: Outcome::Promoted, said } => format!("promoted: {said}"),
        Event::Ended { outcome: Outcome::RolledBack, said } => format!("rolled back: {said}"),
        Event::Ended { outcome: Outcome::NeedsHands, said } => format!("NEEDS HANDS: {said}"),
    }
}

/// What a step does, or its undo.
fn what(plan: &Plan, step: StepId, direction: Direction) -> String {
    match (plan.step(step), direction) {
        (None, _) => "begins".into(),
        (Some(found), Direction::Do) => found.action.to_string(),
        (Some(found), Direction::Undo) => format!("back: {}", found.undo),
    }
}
