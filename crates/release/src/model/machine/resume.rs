use signalbox_core::setting::Period;
use signalbox_core::time::{Micros, SECOND};

use super::journal::Journal;
use super::observation::{Gate, Observation, Verdict};
use super::place::{Place, of_action, of_undo};
use super::progress::{Attempt, Progress};
use super::record::{Direction, Event, Outcome, Why};
use super::undo::{UndoTask, undo_tasks};
use crate::model::limits::Then;
use crate::model::plan::{Action, Step, StepId, Undo};
use crate::model::value::Percent;

/// How often a step is done whose effect never shows, or goes away again.
const MOST_TIMES: u32 = 5;
/// How often an undo is tried before a person is asked.
const UNDO_ATTEMPTS: u32 = 3;
/// How long one try may take.
const UNDO_AT_MOST: Period = Period::from_secs(60);

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Append this to the journal, sync it, and ask again.
    Write(Event),
    /// Do or undo this step, which does no harm if it was done before; append `Effect` or `Failed`, and ask again.
    Act {
        step: StepId,
        direction: Direction,
        deadline: Micros,
    },
    /// Ask again when what is seen changes, at the latest then.
    Wait {
        until: Option<Micros>,
        said: String,
    },
    Done(Outcome),
}

/// Decides what comes next, from what is written and from what is seen. It is asked in every phase, waits included, and
/// after a crash; wherever the journal breaks off, what it says ends in the same state.
pub fn resume(journal: &Journal, now: &Observation) -> Next {
    let progress = Progress::of(journal);
    if let Some((outcome, _)) = progress.ended {
        return Next::Done(outcome);
    }
    if progress.rollback.is_some() {
        return back(&progress, now);
    }
    if let Some(next) = trouble(&progress, now) {
        return next;
    }
    if let Some((by, said)) = progress.paused {
        return Next::Wait { until: None, said: format!("paused by {by}: {said}") };
    }
    match progress.current() {
        Some(step) => forward(&progress, step, now),
        None => ended(Outcome::Promoted, format!("{} serves everything", progress.plan.to)),
    }
}

/// Triggers and failed steps: they come before everything, also while it is paused.
fn trouble(progress: &Progress<'_>, now: &Observation) -> Option<Next> {
    let (why, said) = if let Some(tripped) = now.tripped.first() {
        (Why::Trigger { trigger: tripped.kind }, tripped.said.clone())
    } else {
        let (step, _, said) = progress.failed?;
        (Why::StepFailed { step }, said.to_owned())
    };
    Some(go_back(progress, why, said))
}

/// Begins to go back, or where no return is waits for a person.
fn go_back(progress: &Progress<'_>, why: Why, said: String) -> Next {
    if !progress.past_return() {
        return Next::Write(Event::RollbackBegun { why, said });
    }
    match progress.paused {
        Some(_) => Next::Wait { until: None, said: format!("past the point of no return: {said}") },
        None => {
            let said = format!("past the point of no return, where no code rolls back: {said}");
            Next::Write(Event::Paused { by: "signalbox".into(), said })
        }
    }
}

fn forward(progress: &Progress<'_>, step: &Step, now: &Observation) -> Next {
    let attempt = match progress.attempt(Direction::Do, step.id) {
        Some(attempt) if !attempt.stale => attempt,
        other => return intend(step, other.map_or(1, |attempt| attempt.number + 1), now),
    };
    if attempt.effect {
        return confirm(progress, step, attempt, now);
    }
    match &step.action {
        Action::Judge { .. } => judge(progress, step, attempt, now),
        Action::Bake { .. } => match attempt.hold_until.filter(|until| *until > now.now) {
            Some(until) => Next::Wait { until: Some(until), said: "watching at 100 %".into() },
            None => effect(step, "nothing was found"),
        },
        Action::AwaitGo { .. } => gate(progress, step, attempt, now),
        action => match of_action(action, now) {
            Place::Set | Place::Seen => effect(step, "it is in place"),
            _ if now.now >= attempt.deadline => timed_out(progress, step),
            // Somebody gave it traffic again: then it is not stopped.
            _ if matches!(action, Action::Stop { version } if now.seen(version).weight != Percent::NONE) => {
                Next::Wait { until: Some(attempt.deadline), said: format!("{action}: it still has traffic") }
            }
            Place::Missing | Place::Unseen => {
                Next::Act { step: step.id, direction: Direction::Do, deadline: attempt.deadline }
            }
        },
    }
}

fn intend(step: &Step, attempt: u32, now: &Observation) -> Next {
    let hold = match &step.action {
        Action::Judge { hold, .. } | Action::Bake { lasting: hold } => Some(*hold),
        _ => None,
    };
    Next::Write(Event::Intent {
        step: step.id,
        direction: Direction::Do,
        attempt,
        deadline: now.now.plus(step.at_most.micros()),
        hold_until: hold.map(|hold| now.now.plus(hold.micros())),
    })
}

fn confirm(progress: &Progress<'_>, step: &Step, attempt: &Attempt, now: &Observation) -> Next {
    let late = now.now >= attempt.deadline;
    let said = match of_action(&step.action, now) {
        Place::Seen => "seen",
        Place::Unseen => "done",
        // What still is in flight then has had its time.
        Place::Set if late && matches!(step.action, Action::Drain { .. }) => "the time to drain is over",
        _ if late => return timed_out(progress, step),
        Place::Set => {
            return Next::Wait { until: Some(attempt.deadline), said: format!("{} is not seen yet", step.action) };
        }
        Place::Missing if attempt.times >= MOST_TIMES => {
            let said = format!("{} was done {MOST_TIMES} times and is not in place", step.action);
            return go_back(progress, Why::StepFailed { step: step.id }, said);
        }
        // It was there and is gone: somebody else, or a machine that came back.
        Place::Missing => return Next::Act { step: step.id, direction: Direction::Do, deadline: attempt.deadline },
    };
    Next::Write(Event::Confirm { step: step.id, direction: Direction::Do, said: said.into() })
}

fn judge(progress: &Progress<'_>, step: &Step, attempt: &Attempt, now: &Observation) -> Next {
    if progress.skips_verdicts {
        return effect(step, "verdicts are skipped");
    }
    let judged = now.judged.as_ref().filter(|judged| judged.step == step.id);
    let (verdict, said) = judged.map_or((Verdict::NoData, "nothing was measured yet"), |one| (one.verdict, &one.said));
    let hold_until = attempt.hold_until.unwrap_or(attempt.deadline);
    match verdict {
        Verdict::Fail => go_back(progress, Why::Verdict, said.to_owned()),
        _ if now.now < hold_until => Next::Wait { until: Some(hold_until), said: format!("holding: {said}") },
        Verdict::Pass => effect(step, said),
        _ if now.now < attempt.deadline => {
            Next::Wait { until: Some(attempt.deadline), said: format!("holding longer: {said}") }
        }
        Verdict::Insufficient | Verdict::NoData => match &step.action {
            Action::Judge { insufficient: Some(policy), .. } if policy.then == Then::Pause => {
                Next::Write(Event::Paused { by: "policy".into(), said: said.to_owned() })
            }
            _ => {
                go_back(progress, Why::Undecided, format!("not decided in its time, so the policy rolls back: {said}"))
            }
        },
    }
}

fn gate(progress: &Progress<'_>, step: &Step, attempt: &Attempt, now: &Observation) -> Next {
    match &now.gate {
        Gate::Open => effect(step, "nothing stands in the way"),
        Gate::AwaitingApproval { said } | Gate::WindowClosed { said } | Gate::NoGo { said } => {
            if now.now < attempt.deadline {
                return Next::Wait { until: Some(attempt.deadline), said: said.clone() };
            }
            let said = format!("{} did not end within {}: {said}", step.action, step.at_most);
            go_back(progress, Why::StepTimedOut { step: step.id }, said)
        }
    }
}

fn effect(step: &Step, said: &str) -> Next {
    Next::Write(Event::Effect { step: step.id, direction: Direction::Do, said: said.to_owned() })
}

fn timed_out(progress: &Progress<'_>, step: &Step) -> Next {
    let said = format!("{} did not end within {}", step.action, step.at_most);
    go_back(progress, Why::StepTimedOut { step: step.id }, said)
}

fn ended(outcome: Outcome, said: String) -> Next {
    Next::Write(Event::Ended { outcome, said })
}

/// Takes back, task by task.
fn back(progress: &Progress<'_>, now: &Observation) -> Next {
    for task in undo_tasks(progress) {
        let attempt = progress.attempt(Direction::Undo, task.step);
        if attempt.is_some_and(|attempt| attempt.confirmed) {
            continue;
        }
        return match attempt {
            Some(attempt) => undo(progress, task, attempt, now),
            None => intend_undo(task, 1, now),
        };
    }
    let left = now.seen(&progress.plan.to).weight;
    // In a first release there is nobody else to answer.
    if progress.plan.from.is_some() && left != Percent::NONE {
        let said = format!("everything is taken back, and {} still has {left} of the traffic", progress.plan.to);
        return ended(Outcome::NeedsHands, said);
    }
    let to = progress
        .plan
        .from
        .as_ref()
        .map_or("nothing was live before".to_owned(), |from| format!("{from} serves everything"));
    ended(Outcome::RolledBack, to)
}

fn intend_undo(task: UndoTask<'_>, attempt: u32, now: &Observation) -> Next {
    let deadline = now.now.plus(UNDO_AT_MOST.micros());
    Next::Write(Event::Intent { step: task.step, direction: Direction::Undo, attempt, deadline, hold_until: None })
}

fn undo(progress: &Progress<'_>, task: UndoTask<'_>, attempt: &Attempt, now: &Observation) -> Next {
    let found = of_undo(task.undo, progress.plan, now);
    let write = |event: fn(StepId, Direction, String) -> Event, said: &str| {
        Next::Write(event(task.step, Direction::Undo, said.to_owned()))
    };
    match found {
        Place::Seen if attempt.effect => {
            return write(|step, direction, said| Event::Confirm { step, direction, said }, "seen");
        }
        Place::Set | Place::Seen if !attempt.effect => {
            return write(|step, direction, said| Event::Effect { step, direction, said }, "it is in place");
        }
        _ => (),
    }
    if attempt.failed || now.now >= attempt.deadline {
        // What failed at once is given a moment longer each time.
        let rest = attempt.since.plus(i64::from(attempt.number) * SECOND).min(attempt.deadline);
        if attempt.number < UNDO_ATTEMPTS && now.now < rest {
            return Next::Wait { until: Some(rest), said: format!("{} failed and is tried again", task.undo) };
        }
        if attempt.number < UNDO_ATTEMPTS {
            return intend_undo(task, attempt.number + 1, now);
        }
        return ended(Outcome::NeedsHands, format!("{} did not succeed in {UNDO_ATTEMPTS} tries", task.undo));
    }
    if let Some(said) = not_yet(progress, task.undo, now) {
        return Next::Wait { until: Some(attempt.deadline), said };
    }
    match found {
        Place::Set => Next::Wait { until: Some(attempt.deadline), said: format!("{} is not seen yet", task.undo) },
        _ => Next::Act { step: task.step, direction: Direction::Undo, deadline: attempt.deadline },
    }
}

/// What has to be so before an undo may act.
fn not_yet(progress: &Progress<'_>, undo: &Undo, now: &Observation) -> Option<String> {
    match undo {
        // Traffic never goes where nobody answers.
        Undo::RouteAll { to } if now.seen(to).ready == 0 => {
            Some(format!("waiting until an instance of {to} is healthy"))
        }
        // Never retired before it is routed away and drained; in a first release nobody else could answer.
        Undo::StopInstances { version } if progress.plan.from.is_some() => {
            let seen = now.seen(version);
            let busy = seen.weight != Percent::NONE || seen.in_flight > 0;
            busy.then(|| format!("draining {version}: {} requests in flight", seen.in_flight))
        }
        _ => None,
    }
}
