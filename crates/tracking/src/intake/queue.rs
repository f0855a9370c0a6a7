//! What waits for the next commit. Bounded by count and bytes, so that a slow disk costs events, never memory.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use signalbox_events::chunk::Packed;
use tokio::sync::oneshot;

use crate::counters::Counters;

/// What became of events that were handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// On disk.
    Recorded,
    /// Not known to be on disk; nothing may be acknowledged.
    Unrecorded,
}

/// The queue takes no more at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the intake queue is full or closed")]
pub struct Rejected;

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub events: usize,
    pub bytes: usize,
}

pub(super) type Done = Box<dyn FnOnce(Outcome) + Send>;

pub(super) struct Part {
    pub(super) packed: Packed,
    pub(super) done: Done,
}

#[derive(Default)]
pub(super) struct Queue {
    pub(super) parts: Vec<Part>,
    /// Waiting and being committed.
    pub(super) events: usize,
    pub(super) bytes: usize,
    pub(super) closed: bool,
}

/// The door to the queue. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    queue: Mutex<Queue>,
    pub(super) wake: Condvar,
    bounds: Bounds,
    pub(super) counters: Arc<Counters>,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wait<'q>(&self, queue: MutexGuard<'q, Queue>, most: Duration) -> MutexGuard<'q, Queue> {
        self.wake.wait_timeout(queue, most).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Intake {
    /// An empty queue.
    pub fn new(bounds: Bounds, counters: Arc<Counters>) -> Self {
        Self { shared: Arc::new(Shared { queue: Mutex::default(), wake: Condvar::new(), bounds, counters }) }
    }

    /// Hands in events. `done` is called from the committing thread with what became of all of them.
    pub fn submit(&self, packed: Packed, done: impl FnOnce(Outcome) + Send + 'static) -> Result<(), Rejected> {
        let (events, bytes) = (packed.count() as usize, packed.size_bytes());
        let mut queue = self.shared.lock();
        let full = queue.events + events > self.shared.bounds.events || queue.bytes + bytes > self.shared.bounds.bytes;
        // One part that is larger than the bound alone may pass when nothing else waits.
        if queue.closed || (full && queue.events > 0) {
            return Err(Rejected);
        }
        queue.events += events;
        queue.bytes += bytes;
        queue.parts.push(Part { packed, done: Box::new(done) });
        drop(queue);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Hands in events and waits until they are on disk, or for `patience` at most.
    pub async fn record(&self, packed: Packed, patience: Duration) -> Result<Outcome, Rejected> {
        let (sender, receiver) = oneshot::channel();
        self.submit(packed, move |outcome| {
            let _ = sender.send(outcome);
        })?;
        Ok(match tokio::time::timeout(patience, receiver).await {
            Ok(Ok(outcome)) => outcome,
            _ => Outcome::Unrecorded,
        })
    }

    /// How many events wait or are being committed.
    pub fn waiting(&self) -> usize {
        self.shared.lock().events
    }

    /// Takes nothing more; what waits is still committed.
    pub fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
    }
}
