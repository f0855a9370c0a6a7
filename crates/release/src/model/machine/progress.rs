use std::collections::BTreeMap;

use signalbox_core::time::Micros;

use super::journal::Journal;
use super::record::{Direction, Event, Outcome, Why};
use crate::model::plan::{Plan, Step, StepId, Undo};

/// How far a release is: the journal, read once from its beginning.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress<'j> {
    pub plan: &'j Plan,
    attempts: BTreeMap<(Direction, StepId), Attempt>,
    pub rollback: Option<Rollback<'j>>,
    /// Who paused it, and why.
    pub paused: Option<(&'j str, &'j str)>,
    /// A step that failed and that nothing was decided about yet.
    pub failed: Option<(StepId, Direction, &'j str)>,
    /// Verdicts are not waited for any more.
    pub skips_verdicts: bool,
    pub ended: Option<(Outcome, &'j str)>,
}

/// The last try at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    pub number: u32,
    pub since: Micros,
    pub deadline: Micros,
    pub hold_until: Option<Micros>,
    pub effect: bool,
    /// How often it was done.
    pub times: u32,
    pub confirmed: bool,
    pub failed: bool,
    /// Somebody resumed the release: it begins anew.
    pub stale: bool,
}

/// Why and since when it goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rollback<'j> {
    pub why: Why,
    pub said: &'j str,
    pub since: Micros,
}

impl<'j> Progress<'j> {
    /// Reads the journal.
    pub fn of(journal: &'j Journal) -> Self {
        let mut progress = Self {
            plan: journal.plan(),
            attempts: BTreeMap::new(),
            rollback: None,
            paused: None,
            failed: None,
            skips_verdicts: false,
            ended: None,
        };
        for record in journal.records() {
            progress.take(&record.event, record.at);
        }
        progress
    }

    fn take(&mut self, event: &'j Event, at: Micros) {
        match event {
            Event::Begun { .. } | Event::Signed { .. } => (),
            Event::Intent { step, direction, attempt, deadline, hold_until } => {
                let attempt = Attempt {
                    number: *attempt,
                    since: at,
                    deadline: *deadline,
                    hold_until: *hold_until,
                    effect: false,
                    times: 0,
                    confirmed: false,
                    failed: false,
                    stale: false,
                };
                self.failed = self.failed.filter(|(failed, back, _)| (*failed, *back) != (*step, *direction));
                self.attempts.insert((*direction, *step), attempt);
            }
            Event::Effect { step, direction, .. } => self.change(*direction, *step, |attempt| {
                attempt.effect = true;
                attempt.times += 1;
            }),
            Event::Confirm { step, direction, .. } => {
                self.change(*direction, *step, |attempt| attempt.confirmed = true)
            }
            Event::Failed { step, direction, said } => {
                self.change(*direction, *step, |attempt| attempt.failed = true);
                self.failed = Some((*step, *direction, said));
            }
            Event::Paused { by, said } => self.paused = Some((by, said)),
            Event::Resumed { .. } => {
                self.paused = None;
                if let Some(step) = self.current() {
                    self.change(Direction::Do, step.id, |attempt| attempt.stale = true);
                }
            }
            Event::Skipped { all, .. } => {
                self.paused = None;
                self.skips_verdicts |= *all;
                if let Some(step) = self.current() {
                    self.change(Direction::Do, step.id, |attempt| (attempt.effect, attempt.stale) = (true, false));
                }
            }
            Event::RollbackBegun { why, said } => {
                // A roll-back of a roll-back is none: the first goes on.
                self.rollback.get_or_insert(Rollback { why: *why, said, since: at });
                self.paused = None;
                self.failed = None;
            }
            Event::Ended { outcome, said } => self.ended = Some((*outcome, said)),
        }
    }

    fn change(&mut self, direction: Direction, step: StepId, change: impl FnOnce(&mut Attempt)) {
        if let Some(attempt) = self.attempts.get_mut(&(direction, step)) {
            change(attempt);
        }
    }

    /// The last try at a step, where there was one.
    pub fn attempt(&self, direction: Direction, step: StepId) -> Option<&Attempt> {
        self.attempts.get(&(direction, step))
    }

    /// Whether anything of the step may have been done.
    pub fn touched(&self, step: StepId) -> bool {
        self.attempts.contains_key(&(Direction::Do, step))
    }

    /// The first step that is not confirmed; none: all are.
    pub fn current(&self) -> Option<&'j Step> {
        let done = |id| self.attempt(Direction::Do, id).is_some_and(|attempt| attempt.confirmed);
        self.plan.steps().find(|step| !done(step.id))
    }

    /// Whether something was begun that no code takes back.
    pub fn past_return(&self) -> bool {
        self.plan.steps().any(|step| matches!(step.undo, Undo::Impossible { .. }) && self.touched(step.id))
    }
}
