use signalbox_core::setting::Period;
use signalbox_core::time::Micros;

use super::content::{Block, Line, Mark};
use super::kinds::{Sources, decision_words, heading, in_journal, measured, paragraph, table};
use crate::model::machine::{Direction, Event, Journal, Outcome, Record};
use crate::model::plan::{StepId, Undo};

pub(super) fn blocks(sources: &Sources<'_>, journal: &Journal) -> Vec<Block> {
    let records = journal.records();
    let mut blocks = vec![paragraph(decision_words(sources)), paragraph(outcome(journal))];
    let figures = measured(sources);
    blocks.push(heading("Figures"));
    if figures.is_empty() {
        blocks.push(paragraph("Nothing was measured.".into()));
    } else {
        blocks.push(table("check", "result", figures));
    }
    blocks.push(heading("Steps"));
    let lines = sources.plan.steps().filter_map(|step| {
        let intent = first(records, step.id, Direction::Do, |event| matches!(event, Event::Intent { .. }))?;
        let confirm = first(records, step.id, Direction::Do, |event| matches!(event, Event::Confirm { .. }));
        let what = format!("{} {}", step.id, step.action);
        let line = match confirm {
            Some(confirm) => Line::judged(true, what, format!("took {}", between(intent.at, confirm.at))),
            None => Line { mark: Mark::Unknown, ..Line::note(what, "was begun and not finished") },
        };
        let last = confirm.unwrap_or(intent);
        Some(Line { evidence: in_journal(sources, last.seq, last.at), ..line })
    });
    blocks.push(table("step", "result", lines.collect()));
    blocks.extend(rollback(sources, records));
    blocks.push(heading("Lessons"));
    let lessons = lessons(sources, records);
    if lessons.is_empty() {
        blocks.push(paragraph("Everything went as planned: no step was tried twice, none took more than twice its estimate, nothing was paused or skipped.".into()));
    } else {
        blocks.push(table("what", "how it was", lessons));
    }
    blocks
}

fn outcome(journal: &Journal) -> String {
    let records = journal.records();
    let (begun, last) = (&records[0], &records[records.len() - 1]);
    let took = between(begun.at, last.at);
    match &last.event {
        Event::Ended { outcome: Outcome::Promoted, said } => format!("Promoted after {took}: {said}."),
        Event::Ended { outcome: Outcome::RolledBack, said } => format!("Rolled back after {took}: {said}."),
        Event::Ended { outcome: Outcome::NeedsHands, said } => format!("Needs hands after {took}: {said}."),
        _ => format!("Under way for {took}."),
    }
}

/// Why it went back, and how fast the traffic did.
fn rollback(sources: &Sources<'_>, records: &[Record]) -> Vec<Block> {
    let Some((begun, said)) = records.iter().find_map(|record| match &record.event {
        Event::RollbackBegun { said, .. } => Some((record, said)),
        _ => None,
    }) else {
        return Vec::new();
    };
    let mut lines = vec![Line {
        evidence: in_journal(sources, begun.seq, begun.at),
        ..Line::judged(false, "reason", said.clone())
    }];
    let undone = records.iter().filter_map(|record| match record.event {
        Event::Confirm { step, direction: Direction::Undo, .. } => Some((record, sources.plan.step(step)?)),
        _ => None,
    });
    for (record, step) in undone {
        let what = match &step.undo {
            Undo::RouteAll { to } => format!("all traffic back on {to}"),
            undo => undo.to_string(),
        };
        let said = format!("{} after the decision", between(begun.at, record.at));
        lines.push(Line { evidence: in_journal(sources, record.seq, record.at), ..Line::judged(true, what, said) });
    }
    vec![heading("Rollback"), table("what", "how it was", lines)]
}

/// What the journal teaches.
fn lessons(sources: &Sources<'_>, records: &[Record]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut add = |record: &Record, what: String, said: String| {
        lines.push(Line { evidence: in_journal(sources, record.seq, record.at), ..Line::note(what, said) });
    };
    for record in records {
        match &record.event {
            Event::Intent { step, attempt, .. } if *attempt > 1 => {
                add(record, format!("step {step} was tried again"), format!("try {attempt}"));
            }
            Event::Failed { step, said, .. } => add(record, format!("step {step} failed"), said.clone()),
            Event::Paused { by, said } => add(record, format!("{by} paused it"), said.clone()),
            Event::RollbackBegun { said, .. } => add(record, "it went back".into(), said.clone()),
            Event::Skipped { by, approver, reason, .. } => {
                add(record, format!("{by} promoted without a verdict"), format!("{reason}; approved by {approver}"));
            }
            Event::Confirm { step, direction: Direction::Do, .. } => {
                let Some(planned) = sources.plan.step(*step) else { continue };
                let Some(intent) = first(records, *step, Direction::Do, |event| matches!(event, Event::Intent { .. }))
                else {
                    continue;
                };
                let took = between(intent.at, record.at);
                if took.0 > planned.expected.0 * 2 && took > Period::from_secs(5) {
                    let said = format!("{took} instead of about {}", planned.expected);
                    add(record, format!("step {step} took longer than planned"), said);
                }
            }
            _ => (),
        }
    }
    lines
}

fn first(records: &[Record], wanted: StepId, way: Direction, kind: fn(&Event) -> bool) -> Option<&Record> {
    records.iter().find(|record| match &record.event {
        Event::Intent { step, direction, .. }
        | Event::Effect { step, direction, .. }
        | Event::Confirm { step, direction, .. } => *step == wanted && *direction == way && kind(&record.event),
        _ => false,
    })
}

/// Milliseconds below a second, seconds above.
fn between(from: Micros, until: Micros) -> Period {
    let ms = u64::try_from((until.0 - from.0) / 1000).unwrap_or(0);
    Period::from_millis(if ms < 1000 { ms } else { (ms + 500) / 1000 * 1000 })
}
