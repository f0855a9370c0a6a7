//! A record in one line, for people.

use crate::model::machine::{Direction, Event};

/// What happened.
pub fn of(event: &Event) -> String {
    let back = |direction: &Direction| if *direction == Direction::Undo { "undo " } else { "" };
    match event {
        Event::Begun { plan, by } => {
            let from = plan.from.as_ref().map_or_else(|| "first release".to_owned(), ToString::to_string);
            format!("{by} released {} {from} → {}, plan {}", plan.service, plan.to, plan.hash.short())
        }
        Event::Intent { step, direction, attempt, .. } => {
            let again = if *attempt > 1 { format!(", try {attempt}") } else { String::new() };
            format!("{step} {}begins{again}", back(direction))
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
        Event::Ended { said, outcome } => format!("ended {outcome:?}: {said}"),
    }
}
