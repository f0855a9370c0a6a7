//! The journal for people, the newest first.

use super::shown::{Moment, moment};
use crate::executor::words;
use crate::model::machine::{Event, Journal};

/// What of it is shown: the word in the address, and its label.
pub(super) const CHOICES: [(&str, &str); 4] =
    [("", "Everything"), ("steps", "Steps"), ("people", "People"), ("trouble", "Trouble")];

#[derive(Debug)]
pub(super) struct Line {
    pub seq: u64,
    pub at: Moment,
    pub mark: &'static str,
    pub said: String,
}

/// A choice of what is shown.
#[derive(Debug)]
pub(super) struct Choice {
    pub href: String,
    pub label: &'static str,
    pub is_chosen: bool,
}

pub(super) fn choices(id: &str, chosen: &str) -> Vec<Choice> {
    let choice = |(word, label): (&str, &'static str)| {
        let parameter = if word.is_empty() { String::new() } else { format!("?journal={word}") };
        Choice { href: format!("/ops/releases/{id}{parameter}#journal"), label, is_chosen: known(chosen) == word }
    };
    CHOICES.map(choice).into()
}

fn known(chosen: &str) -> &str {
    CHOICES.iter().find(|(word, _)| *word == chosen).map_or("", |(word, _)| word)
}

pub(super) fn lines(journal: &Journal, chosen: &str) -> Vec<Line> {
    let plan = journal.plan();
    let wanted = |event: &Event| match known(chosen) {
        "steps" => {
            matches!(event, Event::Intent { .. } | Event::Effect { .. } | Event::Confirm { .. } | Event::Failed { .. })
        }
        "people" => matches!(
            event,
            Event::Begun { .. }
                | Event::Signed { .. }
                | Event::Paused { .. }
                | Event::Resumed { .. }
                | Event::Skipped { .. }
        ),
        "trouble" => matches!(mark(event), "warn"),
        _ => true,
    };
    let records = journal.records().iter().rev().filter(|record| wanted(&record.event));
    let line = |record: &crate::model::machine::Record| Line {
        seq: record.seq,
        at: moment(record.at),
        mark: mark(&record.event),
        said: words::of(&record.event, plan),
    };
    records.map(line).collect()
}

fn mark(event: &Event) -> &'static str {
    use crate::model::machine::Outcome;
    match event {
        Event::Failed { .. } | Event::RollbackBegun { .. } => "warn",
        Event::Ended { outcome: Outcome::Promoted, .. } | Event::Effect { .. } | Event::Confirm { .. } => "ok",
        Event::Ended { .. } => "warn",
        Event::Paused { .. } | Event::Skipped { .. } => "proxy",
        Event::Begun { .. } | Event::Signed { .. } | Event::Resumed { .. } => "human",
        Event::Intent { .. } => "none",
    }
}
