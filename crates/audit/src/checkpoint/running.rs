//! Checkpoints while the server runs: after so many entries or so much time, and at the end. A thread of its own does
//! it, so that nothing waits for a slow disk, a name server or a log host.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use signalbox_core::clock::Clock;
use signalbox_crypto::checkpoint::{AuditKey, Checkpoint};
use signalbox_store::{Scope, Store};

use super::{Syslog, append_line, last_in, make};
use crate::rows;

/// How often it looks whether a checkpoint is due.
const TICK: Duration = Duration::from_secs(1);
/// After a failure it waits this long.
const AGAIN: Duration = Duration::from_secs(10);
/// The stop waits this long for the last checkpoint.
const PATIENCE: Duration = Duration::from_secs(5);

/// When a checkpoint is due.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// So many entries after the last one.
    pub entries: i64,
    /// So long after the last one, if anything was appended.
    pub every: Duration,
}

/// Where checkpoints go.
#[derive(Debug, Clone)]
pub struct Sinks {
    pub file: PathBuf,
    pub syslog: Option<Syslog>,
}

impl Sinks {
    /// Writes to every place, also when one of them fails; tells of those that failed.
    pub fn write(&self, checkpoint: &Checkpoint) -> Result<(), String> {
        let outcomes = [self.to_file(checkpoint), self.to_syslog(checkpoint)];
        let failed: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
    }

    fn to_file(&self, checkpoint: &Checkpoint) -> Result<(), String> {
        append_line(&self.file, checkpoint).map_err(|error| format!("{}: {error}", self.file.display()))
    }

    fn to_syslog(&self, checkpoint: &Checkpoint) -> Result<(), String> {
        let Some(syslog) = &self.syslog else { return Ok(()) };
        syslog.send(checkpoint).map_err(|error| format!("syslog: {error}"))
    }
}

/// The thread that makes checkpoints.
pub struct Checkpointer {
    stop: mpsc::Sender<()>,
    ended: mpsc::Receiver<()>,
    thread: JoinHandle<()>,
}

struct Running {
    store: Store,
    key: AuditKey,
    sinks: Sinks,
    policy: Policy,
    clock: Arc<dyn Clock>,
    /// What the file has.
    last: Option<Checkpoint>,
    /// What syslog did not take.
    unsent: Option<Checkpoint>,
    /// When that was, or when this began.
    since: Instant,
}

impl Checkpointer {
    /// Starts the thread.
    ///
    /// It makes checkpoints only while `leads` holds: another process does it otherwise.
    pub fn start(
        store: Store,
        key: AuditKey,
        sinks: Sinks,
        policy: Policy,
        clock: Arc<dyn Clock>,
        leads: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let (ending, ended) = mpsc::channel();
        let work = move || {
            let mut last = None;
            match last_in(&sinks.file) {
                Ok(found) => last = found,
                Err(error) => tracing::warn!(%error, file = %sinks.file.display(), "the checkpoints cannot be read"),
            }
            let mut running = Running { store, key, sinks, policy, clock, last, unsent: None, since: Instant::now() };
            let mut wait = TICK;
            loop {
                let stopping = !matches!(stopped.recv_timeout(wait), Err(RecvTimeoutError::Timeout));
                let well = !leads.load(Ordering::SeqCst) || running.tick(stopping);
                wait = if well { TICK } else { AGAIN };
                if stopping {
                    break;
                }
            }
            // Nobody waits any more when this fails.
            let _ = ending.send(());
        };
        let thread = std::thread::Builder::new().name("audit".into()).spawn(work)?;
        Ok(Self { stop, ended, thread })
    }

    /// Makes the last checkpoint and ends.
    pub fn finish(self) {
        // Where the thread has crashed there is nobody to be told.
        let _ = self.stop.send(());
        match self.ended.recv_timeout(PATIENCE) {
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!("the last checkpoint of the audit log was not made in time")
            }
            _ => drop(self.thread.join()),
        }
    }
}

impl Running {
    /// Whether all went well.
    fn tick(&mut self, stopping: bool) -> bool {
        let head = match self.store.read_here(&Scope::all(), rows::head) {
            Ok(Some((seq, _))) => seq,
            Ok(None) => {
                tracing::error!("the head of the audit log is missing: run `signalbox audit verify`");
                return false;
            }
            Err(error) => {
                tracing::warn!(%error, "the audit log cannot be read; its checkpoint is tried again");
                return false;
            }
        };
        let behind = head.saturating_sub(self.last.as_ref().map_or(0, |last| last.seq));
        let due = behind != 0 && (stopping || behind < 0 || behind >= self.policy.entries)
            || behind > 0 && self.since.elapsed() >= self.policy.every;
        if !due {
            return self.send();
        }
        let checkpoint = match make(&self.store, &self.key, self.last.as_ref(), self.clock.now()) {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                tracing::error!(%error, "no checkpoint of the audit log was made; it is tried again");
                return false;
            }
        };
        if let Err(error) = self.sinks.to_file(&checkpoint) {
            tracing::warn!(error, "a checkpoint of the audit log could not be written; it is tried again");
            return false;
        }
        tracing::debug!(audit.seq = checkpoint.seq, "checkpoint of the audit log");
        self.since = Instant::now();
        self.unsent = Some(checkpoint.clone());
        self.last = Some(checkpoint);
        self.send()
    }

    /// Sends what syslog does not have yet.
    fn send(&mut self) -> bool {
        let Some(checkpoint) = &self.unsent else { return true };
        match self.sinks.to_syslog(checkpoint) {
            Ok(()) => {
                self.unsent = None;
                true
            }
            Err(error) => {
                tracing::warn!(error, "a checkpoint of the audit log could not be sent; it is tried again");
                false
            }
        }
    }
}
