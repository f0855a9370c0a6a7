//! The eight phases with their steps, as the journal has them.

use std::collections::BTreeMap;

use super::shown::{Badge, badge, lasting};
use crate::model::machine::{Direction, Event, Journal};
use crate::model::plan::{Phase, StepId};

/// A phase as it stands.
#[derive(Debug)]
pub(super) struct PhaseShown {
    pub number: u8,
    pub title: &'static str,
    pub state: Badge,
    /// The class of its place in the row of phases: done, now, failed, todo or nothing.
    pub class: &'static str,
    pub steps: Vec<StepShown>,
}

#[derive(Debug)]
pub(super) struct StepShown {
    pub id: String,
    pub what: String,
    pub state: Badge,
    pub said: String,
    pub took: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Todo,
    UnderWay,
    Done,
    Failed,
    Undone,
}

struct Seen {
    at: At,
    said: String,
    began: i64,
    ended: Option<i64>,
}

/// What became of each step.
pub(super) fn phases(journal: &Journal, ended: bool) -> Vec<PhaseShown> {
    let seen = steps(journal);
    let plan = journal.plan();
    let phase = |phase: Phase| {
        let planned = plan.phases.iter().find(|planned| planned.phase == phase);
        let steps = planned.map(|planned| planned.steps.as_slice()).unwrap_or_default();
        let at = |id: StepId| seen.get(&id).map_or(At::Todo, |seen| seen.at);
        let all: Vec<At> = steps.iter().map(|step| at(step.id)).collect();
        let (state, class) = whole(&all, ended);
        let steps = steps.iter().map(|step| {
            let known = seen.get(&step.id);
            let took = known.and_then(|known| Some(lasting(known.ended? - known.began))).unwrap_or_default();
            StepShown {
                id: step.id.to_string(),
                what: step.action.to_string(),
                state: word(at(step.id), ended),
                said: known.map(|known| known.said.clone()).unwrap_or_default(),
                took,
            }
        });
        PhaseShown { number: phase.number(), title: phase.title(), state, class, steps: steps.collect() }
    };
    Phase::ALL.map(phase).into()
}

fn word(at: At, ended: bool) -> Badge {
    match at {
        At::Todo if ended => badge("none", "not begun"),
        At::Todo => badge("none", "to do"),
        At::UnderWay if ended => badge("none", "broken off"),
        At::UnderWay => badge("human", "under way"),
        At::Done => badge("ok", "done"),
        At::Failed => badge("warn", "failed"),
        At::Undone => badge("proxy", "taken back"),
    }
}

fn whole(steps: &[At], ended: bool) -> (Badge, &'static str) {
    let any = |wanted: At| steps.contains(&wanted);
    let one = |at: At| word(at, ended);
    match steps {
        [] => (badge("none", "nothing to do"), ""),
        _ if any(At::Failed) => (one(At::Failed), "failed"),
        _ if any(At::UnderWay) && !ended => (one(At::UnderWay), "now"),
        _ if any(At::Undone) => (one(At::Undone), "failed"),
        _ if !any(At::Todo) && !any(At::UnderWay) => (one(At::Done), "done"),
        _ if any(At::Done) && ended => (badge("none", "broken off"), "todo"),
        _ if any(At::Done) => (one(At::UnderWay), "now"),
        _ => (one(At::Todo), "todo"),
    }
}

fn steps(journal: &Journal) -> BTreeMap<StepId, Seen> {
    let mut seen: BTreeMap<StepId, Seen> = BTreeMap::new();
    for record in journal.records() {
        let at = record.at.0;
        match &record.event {
            Event::Intent { step, direction: Direction::Do, attempt, .. } => {
                let began = seen.get(step).filter(|_| *attempt > 1).map_or(at, |seen| seen.began);
                seen.insert(*step, Seen { at: At::UnderWay, said: String::new(), began, ended: None });
            }
            Event::Effect { step, direction, said } | Event::Confirm { step, direction, said } => {
                let Some(seen) = seen.get_mut(step) else { continue };
                seen.at = if *direction == Direction::Do { At::Done } else { At::Undone };
                if *direction == Direction::Do {
                    seen.said = said.clone();
                    seen.ended = Some(at);
                }
            }
            Event::Failed { step, direction: Direction::Do, said } => {
                if let Some(seen) = seen.get_mut(step) {
                    (seen.at, seen.said, seen.ended) = (At::Failed, said.clone(), Some(at));
                }
            }
            _ => (),
        }
    }
    seen
}
