//! The weight of the new version over time, as a picture and as a table.

use signalbox_core::time::Micros;

use super::shown::{Moment, lasting, moment};
use crate::executor::Status;
use crate::model::machine::{Direction, Event, Journal};
use crate::model::plan::{Action, Undo};

/// The picture's inner size.
const WIDE: f64 = 600.0;
const HIGH: f64 = 120.0;

/// Everything that the picture shows.
#[derive(Debug)]
pub(super) struct Weights {
    /// The line, as a path.
    pub line: String,
    /// The same, closed at the bottom.
    pub area: String,
    /// Where something was decided: place, its words, and a class for words at the end.
    pub marks: Vec<(String, &'static str, &'static str)>,
    /// The share that was observed, as a height, where there is one.
    pub observed: Option<String>,
    pub rows: Vec<WeightRow>,
    /// What the picture tells.
    pub told: String,
    pub began: Moment,
    pub lasted: String,
    pub is_empty: bool,
}

#[derive(Debug)]
pub(super) struct WeightRow {
    pub at: Moment,
    pub weight: String,
    pub said: String,
}

/// From the journal; `now` is the end of a release that still runs.
pub(super) fn weights(journal: &Journal, status: &Status, now: Micros) -> Weights {
    let plan = journal.plan();
    let records = journal.records();
    let began = records[0].at;
    let ends = if matches!(records.last().map(|last| &last.event), Some(Event::Ended { .. })) {
        records.last().map_or(now, |last| last.at)
    } else {
        now
    };
    let mut points: Vec<(Micros, f64, String)> = Vec::new();
    let mut marks = Vec::new();
    let span = (ends.0 - began.0).max(1) as f64;
    let x = |at: Micros| ((at.0 - began.0) as f64 / span * WIDE).clamp(0.0, WIDE);
    for record in records {
        match &record.event {
            Event::Effect { step, direction, said } => {
                let Some(step) = plan.step(*step) else { continue };
                match (direction, &step.action, &step.undo) {
                    (Direction::Do, Action::SetWeight { version, weight }, _) if *version == plan.to => {
                        points.push((record.at, weight.share() * 100.0, said.clone()));
                    }
                    (Direction::Undo, _, Undo::RouteAll { .. }) => points.push((record.at, 0.0, said.clone())),
                    _ => (),
                }
            }
            Event::RollbackBegun { .. } => marks.push(mark(x(record.at), "rolling back")),
            Event::Paused { .. } => marks.push(mark(x(record.at), "paused")),
            _ => (),
        }
    }
    let y = |percent: f64| HIGH * (1.0 - percent / 100.0);
    let mut line = format!("M0 {HIGH}");
    for (at, percent, _) in &points {
        line.push_str(&format!("H{:.1}V{:.1}", x(*at), y(*percent)));
    }
    line.push_str(&format!("H{WIDE}"));
    let own = status.versions.iter().find(|one| one.version == plan.to);
    let observed = own.and_then(|own| own.observed).map(|percent| format!("{:.1}", y(percent)));
    let last = points.last().map_or(0.0, |(_, percent, _)| *percent);
    let told = match points.len() {
        0 => format!("{} has had no requests so far.", plan.to),
        count => format!("{count} changes of the weight of {}; the last one to {last} %.", plan.to),
    };
    let row = |(at, percent, said): &(Micros, f64, String)| WeightRow {
        at: moment(*at),
        weight: format!("{percent} %"),
        said: said.clone(),
    };
    Weights {
        area: format!("{line}V{HIGH}H0Z"),
        line,
        marks,
        observed,
        rows: points.iter().map(row).collect(),
        told,
        began: moment(began),
        lasted: lasting(ends.0 - began.0),
        is_empty: points.is_empty(),
    }
}

fn mark(x: f64, word: &'static str) -> (String, &'static str, &'static str) {
    (format!("{x:.1}"), word, if x > 0.85 * WIDE { "late" } else { "" })
}
