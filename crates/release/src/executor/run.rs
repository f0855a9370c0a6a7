//! The loop: look, ask the model what comes next, write or act or wait, look again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use signalbox_core::time::Micros;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::act;
use super::journal_file::{JournalError, JournalFile};
use super::observe::Blind;
use super::release::{Kind, Release};
use super::sight::Sight;
use super::status::Status;
use crate::model::machine::{Direction, Event, Next, Outcome, Progress, Verb, command, resume};
use crate::model::plan::StepId;
use crate::model::value::Name;

/// How often is looked while nothing happens.
const TICK: Duration = Duration::from_millis(250);
/// How soon is looked after something was written: what was just done mostly is in place at once. Then twice as long
/// each time.
const SOON: Duration = Duration::from_millis(15);
/// The same step is not done again sooner.
const PACE: Duration = Duration::from_millis(500);
/// For an act whose effect is seen already.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// Whoever asks twice in a hurry must not end where it is bad.
const TWICE: &str = "a way back is under way, and it is not taken back; when it has ended, deploy what you want";

/// What people ask of a running release.
#[derive(Debug)]
pub enum Ask {
    Verb { verb: Verb, by: String, reply: oneshot::Sender<Result<(), String>> },
    Sign { role: Name, who: String, reply: oneshot::Sender<Result<(), String>> },
}

/// A running release from outside.
#[derive(Debug, Clone)]
pub struct Handle {
    pub asks: mpsc::Sender<Ask>,
    pub status: watch::Receiver<Status>,
}

/// How carrying it out came to an end.
#[derive(Debug)]
pub enum Ended {
    Outcome(Outcome),
    /// Another controller leads now.
    Superseded(String),
    /// The journal cannot be written: nothing more is done.
    Broken(String),
}

/// Carries a release out from where its journal is, until it ends.
pub async fn run(
    release: Release,
    journal: JournalFile,
    asks: mpsc::Receiver<Ask>,
    status: watch::Sender<Status>,
) -> Ended {
    let sight = match Sight::new(&release, journal.journal().plan()) {
        Ok(sight) => sight,
        Err(why) => return Ended::Broken(why),
    };
    let runner = Runner {
        release,
        journal,
        asks,
        status,
        sight,
        acting: None,
        over: Arc::default(),
        paced: BTreeMap::new(),
        pause: SOON,
    };
    match runner.go().await {
        Ok(ended) => ended,
        Err(error) => Ended::Broken(error.to_string()),
    }
}

struct Runner {
    release: Release,
    journal: JournalFile,
    asks: mpsc::Receiver<Ask>,
    status: watch::Sender<Status>,
    sight: Sight,
    acting: Option<Acting>,
    /// Something that is done came to its end.
    over: Arc<Notify>,
    /// When each step was last begun.
    paced: BTreeMap<(Direction, StepId), Instant>,
    /// The longest that the next rest lasts.
    pause: Duration,
}

/// What is being done.
struct Acting {
    step: StepId,
    direction: Direction,
    task: JoinHandle<Result<String, String>>,
}

impl Runner {
    async fn go(mut self) -> Result<Ended, JournalError> {
        loop {
            while let Ok(ask) = self.asks.try_recv() {
                self.answer(ask)?;
            }
            let now = match self.sight.look(&self.release, self.journal.journal()).await {
                Ok(now) => now,
                Err(Blind::Superseded(said)) => return Ok(Ended::Superseded(said)),
                Err(Blind::Passing(said)) => {
                    self.status.send_modify(|status| status.waiting = said);
                    self.rest(None).await?;
                    continue;
                }
            };
            let next = resume(self.journal.journal(), &now);
            let waiting = match &next {
                Next::Wait { said, .. } => said.clone(),
                _ => String::new(),
            };
            let journal = self.journal.journal();
            let verdict = self.sight.verdict();
            self.status.send_replace(Status::of(&self.release, journal, &now, Some(&verdict), waiting));
            match next {
                Next::Write(event) => {
                    let event = self.settle(event).await;
                    self.write(event)?;
                }
                Next::Act { step, direction, .. } => self.act(step, direction).await?,
                Next::Wait { until, .. } => self.rest(until).await?,
                Next::Done(outcome) => return Ok(Ended::Outcome(outcome)),
            }
        }
    }

    fn write(&mut self, event: Event) -> Result<(), JournalError> {
        let at = self.release.tools.clock.now();
        let said = super::words::of(&event, self.journal.journal().plan());
        self.sight.take_note(&event);
        let record = self.journal.append(at, event)?;
        self.pause = SOON;
        tracing::info!(release.id = %self.release.id, release.record = record.seq, "{said}");
        Ok(())
    }

    /// Before something is written, what is done comes to an end: by itself where its effect is seen, else at once.
    async fn settle(&mut self, mut event: Event) -> Event {
        let Some(mut acting) = self.acting.take() else { return event };
        let own = (acting.step, acting.direction);
        if let Event::Effect { step, direction, said } = &mut event
            && (*step, *direction) == own
            && let Ok(went) = tokio::time::timeout(LAST_MOMENT, &mut acting.task).await
        {
            if let Ok(Ok(more)) = went {
                *said = more;
            }
            return event;
        }
        acting.task.abort();
        // It has ended, or is ended here.
        let _ = acting.task.await;
        event
    }

    /// Begins to do a step, or takes what came of it.
    async fn act(&mut self, step: StepId, direction: Direction) -> Result<(), JournalError> {
        if let Some(acting) = &self.acting
            && (acting.step, acting.direction) == (step, direction)
        {
            if !acting.task.is_finished() {
                return self.rest(None).await;
            }
            let Some(acting) = self.acting.take() else { return Ok(()) };
            let went = acting.task.await.unwrap_or_else(|error| Err(format!("it broke off: {error}")));
            let has_effect =
                Progress::of(self.journal.journal()).attempt(direction, step).is_some_and(|attempt| attempt.effect);
            return match went {
                Ok(_) if has_effect => Ok(()),
                Ok(said) => self.write(Event::Effect { step, direction, said }),
                Err(said) => self.write(Event::Failed { step, direction, said }),
            };
        }
        if let Some(other) = self.acting.take() {
            other.task.abort();
            let _ = other.task.await;
        }
        let begun = self.paced.get(&(direction, step));
        if begun.is_some_and(|begun| begun.elapsed() < PACE) {
            return self.rest(None).await;
        }
        self.paced.insert((direction, step), Instant::now());
        let (release, plan) = (self.release.clone(), self.journal.journal().plan().clone());
        let over = Arc::clone(&self.over);
        let task = tokio::spawn(async move {
            let went = match plan.step(step) {
                None => Err(format!("the plan has no step {step}")),
                Some(found) if direction == Direction::Do => act::forward(&release, &plan, found).await,
                Some(found) => act::back(&release, &plan, &found.undo).await,
            };
            over.notify_one();
            went
        });
        self.acting = Some(Acting { step, direction, task });
        self.rest(None).await
    }

    /// Waits for a moment, for the end of what is done, or for somebody who asks.
    async fn rest(&mut self, until: Option<Micros>) -> Result<(), JournalError> {
        let now = self.release.tools.clock.now();
        let left = until.map(|until| Duration::from_micros(u64::try_from(until.0 - now.0).unwrap_or(0)));
        let pause = left.map_or(self.pause, |left| left.clamp(Duration::from_millis(1), self.pause));
        self.pause = (self.pause * 2).min(TICK);
        let ask = tokio::select! {
            () = tokio::time::sleep(pause) => None,
            () = self.over.notified() => None,
            // When nobody can ask any more, the others still wake it.
            Some(ask) = self.asks.recv() => Some(ask),
        };
        match ask {
            Some(ask) => self.answer(ask),
            None => Ok(()),
        }
    }

    fn answer(&mut self, ask: Ask) -> Result<(), JournalError> {
        match ask {
            Ask::Verb { verb, by, reply } => {
                let twice = self.release.request.kind == Kind::Rollback && matches!(verb, Verb::RollBack { .. });
                let made = command(&Progress::of(self.journal.journal()), verb, &by);
                let told = match made {
                    Err(refusal) => Err(refusal.to_string()),
                    Ok(_) if twice => Err(TWICE.to_owned()),
                    Ok(event) => {
                        if matches!(event, Event::Resumed { .. }) {
                            self.drop_act();
                        }
                        self.write(event)?;
                        Ok(())
                    }
                };
                // Whoever asked may have gone away.
                let _ = reply.send(told);
            }
            Ask::Sign { role, who, reply } => {
                let asked = self.release.manifest.approvals.roles.contains(&role);
                let ended = Progress::of(self.journal.journal()).ended.is_some();
                let told = if !asked {
                    Err(format!("no signature of {role} is asked for"))
                } else if ended {
                    Err("the release has ended".to_owned())
                } else {
                    self.write(Event::Signed { role, who })?;
                    Ok(())
                };
                let _ = reply.send(told);
            }
        }
        Ok(())
    }

    /// What begins anew is not taken from before.
    fn drop_act(&mut self) {
        if let Some(acting) = self.acting.take() {
            acting.task.abort();
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.drop_act();
    }
}
