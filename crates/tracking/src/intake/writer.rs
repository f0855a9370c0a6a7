//! The committing thread: takes whatever waits, appends it in one transaction, then tells every waiter.
//! While it syncs, the next one gathers by itself, so the group grows with the load.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use signalbox_events::chunk::{self, Chunk, Packed};
use signalbox_events::kind::Kind;
use signalbox_events::record::RecordId;
use signalbox_store::{LogWriter, StoreError};

use super::queue::{Intake, Outcome, Part, Shared};

/// Housekeeping happens when nothing came in for this long, and at least every so many commits.
const QUIET: Duration = Duration::from_millis(200);
const TIDY_COMMITS: u32 = 256;
/// After the store could not be reached, nothing is tried for this long.
const BACK_OFF: Duration = Duration::from_millis(500);
/// When a commit held more events than this, the next one waits a moment for company: fewer syncs, shorter answers.
const BUSY_EVENTS: usize = 48;
const MOMENT: Duration = Duration::from_micros(150);
/// No commit is larger than this unless a single part is.
const COMMIT_BYTES: usize = 1 << 20;

/// Faults that exist only to prove that tests and judges would notice.
#[derive(Debug, Clone, Copy, Default)]
pub struct IntakeFaults {
    /// Answer before the commit.
    pub acknowledge_early: bool,
    /// Of so many clicks in a thousand nothing is recorded, and all are answered as if.
    pub drop_clicks: u16,
}

/// The running thread.
pub struct IntakeThread {
    intake: Intake,
    thread: Option<JoinHandle<()>>,
}

impl IntakeThread {
    /// Starts it. `after_commit` is called with nothing but the fact, to wake the projector.
    pub fn start(
        intake: &Intake,
        writer: LogWriter,
        version: String,
        faults: IntakeFaults,
        after_commit: impl Fn() + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::clone(&intake.shared);
        let thread = std::thread::Builder::new()
            .name("intake".into())
            .spawn(move || run(&shared, writer, &version, faults, &after_commit))?;
        Ok(Self { intake: intake.clone(), thread: Some(thread) })
    }

    /// Closes the queue, waits until everything in it is committed and ends the thread.
    pub fn finish(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.intake.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for IntakeThread {
    fn drop(&mut self) {
        self.end();
    }
}

fn run(shared: &Shared, mut writer: LogWriter, version: &str, faults: IntakeFaults, after_commit: &dyn Fn()) {
    let (mut commits, mut events_before) = (0, 0);
    let mut failed_at: Option<Instant> = None;
    loop {
        if events_before > BUSY_EVENTS {
            std::thread::sleep(MOMENT);
        }
        let Some(mut parts) = next_parts(shared) else { return };
        let (events, bytes) = size(&parts);
        events_before = events;
        if parts.is_empty() || commits >= TIDY_COMMITS {
            commits = 0;
            if let Err(error) = writer.tidy() {
                tracing::warn!(%error, "checkpoint of the intake log failed; it is tried again");
            }
        }
        if parts.is_empty() {
            continue;
        }
        if faults.drop_clicks > 0 {
            parts.iter_mut().for_each(|part| lose_clicks(&mut part.packed, faults.drop_clicks));
        }
        let backing_off = failed_at.is_some_and(|at| at.elapsed() < BACK_OFF);
        if faults.acknowledge_early {
            let (packed, done): (Vec<_>, Vec<_>) = parts.into_iter().map(|part| (part.packed, part.done)).unzip();
            done.into_iter().for_each(|done| done(Outcome::Recorded));
            let _ = append(shared, &mut writer, chunk::join(version, packed.iter()), events, &mut failed_at);
        } else {
            let outcome = if backing_off {
                Outcome::Unrecorded
            } else {
                let chunks = chunk::join(version, parts.iter().map(|part| &part.packed));
                append(shared, &mut writer, chunks, events, &mut failed_at)
            };
            parts.into_iter().for_each(|part| (part.done)(outcome));
        }
        commits += 1;
        let mut queue = shared.lock();
        queue.events -= events;
        queue.bytes -= bytes;
        drop(queue);
        after_commit();
    }
}

fn size(parts: &[Part]) -> (usize, usize) {
    parts
        .iter()
        .fold((0, 0), |(events, bytes), part| (events + part.packed.count() as usize, bytes + part.packed.size_bytes()))
}

/// As a version does that loses clicks without knowing it.
fn lose_clicks(packed: &mut Packed, thousandths: u16) {
    let mut kept = Packed::default();
    for Chunk { body, count } in chunk::join("", std::iter::once(&*packed)) {
        let read = chunk::read(&body, count, |_, record| {
            let is_click = i64::from(record.kind) == Kind::Clicked.code();
            let chance = match record.id {
                // The last bits of an id are a counter.
                RecordId::Own(id) => (id.wrapping_mul(0x9e37_79b9) >> 12).rem_euclid(1000),
                RecordId::Given(_) => 1000,
            };
            if !is_click || chance >= i64::from(thousandths) {
                kept.push(&record);
            }
        });
        read.expect("what was packed here is readable");
    }
    *packed = kept;
}

/// What goes into the next commit; empty after a quiet while; `None` when the queue is closed and empty.
fn next_parts(shared: &Shared) -> Option<Vec<Part>> {
    let mut queue = shared.lock();
    if queue.parts.is_empty() {
        if queue.closed {
            return None;
        }
        queue = shared.wait(queue, QUIET);
    }
    let mut bytes = 0;
    let fitting = queue.parts.iter().take_while(|part| {
        bytes += part.packed.size_bytes();
        bytes <= COMMIT_BYTES
    });
    let take = fitting.count().max(1).min(queue.parts.len());
    Some(queue.parts.drain(..take).collect())
}

fn append(
    shared: &Shared,
    writer: &mut LogWriter,
    chunks: impl Iterator<Item = Chunk>,
    events: usize,
    failed_at: &mut Option<Instant>,
) -> Outcome {
    let counters = &shared.counters;
    let started = Instant::now();
    let appended = writer.append(chunks.map(|chunk| (chunk.body, chunk.count)));
    counters.commit_seconds.observe(started.elapsed().as_secs_f64());
    match appended {
        Ok(_) => {
            if failed_at.take().is_some() {
                tracing::info!("events are recorded again");
            }
            counters.recorded.inc_by(events as u64);
            Outcome::Recorded
        }
        Err(error) => {
            if failed_at.replace(Instant::now()).is_none() && !matches!(error, StoreError::Poisoned(_)) {
                tracing::error!(%error, "events could not be recorded");
            }
            Outcome::Unrecorded
        }
    }
}
