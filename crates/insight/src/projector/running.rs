//! The projector as a thread: woken by commits, stepping back while hits need the processor.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Registry};
use signalbox_store::StoreError;

use super::project::Projector;

/// Looks for work at least this often, because another process may have appended.
const IDLE: Duration = Duration::from_millis(250);
/// Lets commits gather before a batch; what somebody sees is this old at least.
const GATHER: Duration = Duration::from_millis(50);
/// After a batch of so many events: fewer, larger transactions leave the disk to the hits, which wait for it.
const BUSY_EVENTS: u64 = 300;
const BUSY_GATHER: Duration = Duration::from_millis(200);
/// While hits flood in, projecting takes one part in this many of the time.
const FLOOD_SHARE: u32 = 32;

/// What the projector tells about itself.
#[derive(Clone)]
pub struct ProjectorMetrics {
    pub events: IntCounter,
    pub duplicates: IntCounter,
    pub relabelled: IntCounter,
    pub lag: IntGauge,
    pub batch_seconds: Histogram,
    pub failing: IntGauge,
}

impl ProjectorMetrics {
    /// Metrics that `registry` shows.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            events: IntCounter::new("signalbox_projector_events_total", "Events taken from the intake log.")?,
            duplicates: IntCounter::new(
                "signalbox_projector_duplicates_total",
                "Events dropped because their id was known.",
            )?,
            relabelled: IntCounter::new(
                "signalbox_projector_relabelled_total",
                "Earlier events that got another verdict.",
            )?,
            lag: IntGauge::new("signalbox_projector_lag_events", "Events that are on disk and not projected yet.")?,
            batch_seconds: Histogram::with_opts(HistogramOpts::new(
                "signalbox_projector_batch_seconds",
                "One batch, committed.",
            ))?,
            failing: IntGauge::new("signalbox_projector_failing", "1 while projecting fails.")?,
        };
        registry.register(Box::new(metrics.events.clone()))?;
        registry.register(Box::new(metrics.duplicates.clone()))?;
        registry.register(Box::new(metrics.relabelled.clone()))?;
        registry.register(Box::new(metrics.lag.clone()))?;
        registry.register(Box::new(metrics.batch_seconds.clone()))?;
        registry.register(Box::new(metrics.failing.clone()))?;
        Ok(metrics)
    }
}

/// How the thread behaves.
pub struct RunningSettings {
    /// While more events than this arrive per second, it steps back.
    pub yield_above: u64,
    /// How many events were recorded so far.
    pub recorded: Box<dyn Fn() -> u64 + Send>,
    /// Told since when projecting fails, in microseconds; 0 while it does not.
    pub failing_since: Arc<AtomicI64>,
    /// Projects only while this holds: another process does it otherwise.
    pub leads: Arc<AtomicBool>,
}

/// The running thread.
pub struct ProjectorThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    work: Mutex<bool>,
    wake: Condvar,
    stop: AtomicBool,
}

impl ProjectorThread {
    /// Starts it.
    pub fn start(projector: Projector, settings: RunningSettings, metrics: ProjectorMetrics) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let work = move || run(projector, &settings, &metrics, &theirs);
        let thread = std::thread::Builder::new().name("projector".into()).spawn(work)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Something to call after every commit.
    pub fn waker(&self) -> impl Fn() + Send + Clone + 'static {
        let shared = Arc::clone(&self.shared);
        move || {
            let mut work = shared.work.lock().unwrap_or_else(PoisonError::into_inner);
            if !*work {
                *work = true;
                shared.wake.notify_one();
            }
        }
    }

    /// Ends the thread after the batch in hand; what is left is projected after the next start.
    pub fn finish(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for ProjectorThread {
    fn drop(&mut self) {
        self.end();
    }
}

fn run(mut projector: Projector, settings: &RunningSettings, metrics: &ProjectorMetrics, shared: &Shared) {
    // Linux applies it to the calling thread alone.
    let _ = rustix::process::setpriority_process(None, 10);
    let mut pressure = Pressure { at: Instant::now(), recorded: (settings.recorded)(), flooded: false };
    while !shared.stop.load(Ordering::SeqCst) {
        if !settings.leads.load(Ordering::SeqCst) {
            // What was seen last says nothing of now.
            metrics.lag.set(0);
            metrics.failing.set(0);
            settings.failing_since.store(0, Ordering::Relaxed);
            pause(shared, IDLE);
            continue;
        }
        let started = Instant::now();
        let projected = match projector.step() {
            Ok(projected) => {
                metrics.failing.set(0);
                settings.failing_since.store(0, Ordering::Relaxed);
                if projected.events > 0 {
                    metrics.events.inc_by(projected.events);
                    metrics.duplicates.inc_by(projected.duplicates);
                    metrics.relabelled.inc_by(projected.relabelled);
                    metrics.batch_seconds.observe(started.elapsed().as_secs_f64());
                }
                let last = projector.last_seq().unwrap_or(projected.seq);
                metrics.lag.set((last - projected.seq).max(0));
                projected.events
            }
            Err(error) => {
                if metrics.failing.get() == 0 {
                    tracing::error!(%error, "projecting failed; it is tried again");
                    settings.failing_since.store(projector.now().0, Ordering::Relaxed);
                }
                metrics.failing.set(1);
                // However much waits: trying at once again would only heat the processor.
                pause(shared, IDLE);
                0
            }
        };
        let flooded = pressure.is_flood(settings);
        projector.pace(flooded, metrics.lag.get());
        if flooded && projected > 0 {
            pause(shared, (started.elapsed() * (FLOOD_SHARE - 1)).clamp(GATHER, Duration::from_secs(1)));
        } else if metrics.lag.get() < 1000 {
            wait_for_work(shared);
            pause(shared, if projected > BUSY_EVENTS { BUSY_GATHER } else { GATHER });
        }
    }
}

struct Pressure {
    at: Instant,
    recorded: u64,
    flooded: bool,
}

impl Pressure {
    fn is_flood(&mut self, settings: &RunningSettings) -> bool {
        let elapsed = self.at.elapsed();
        if elapsed >= IDLE {
            let recorded = (settings.recorded)();
            self.flooded = (recorded - self.recorded) as f64 / elapsed.as_secs_f64() > settings.yield_above as f64;
            (self.at, self.recorded) = (Instant::now(), recorded);
        }
        self.flooded
    }
}

fn wait_for_work(shared: &Shared) {
    let mut work = shared.work.lock().unwrap_or_else(PoisonError::into_inner);
    if !*work && !shared.stop.load(Ordering::SeqCst) {
        work = shared.wake.wait_timeout(work, IDLE).unwrap_or_else(PoisonError::into_inner).0;
    }
    *work = false;
}

fn pause(shared: &Shared, time: Duration) {
    if !shared.stop.load(Ordering::SeqCst) {
        std::thread::sleep(time);
    }
}

/// Projects everything that was in the log when called, however many others project at the same time.
pub fn catch_up(projector: &mut Projector, mut progress: impl FnMut(i64, i64)) -> Result<i64, StoreError> {
    let target = projector.last_seq()?;
    loop {
        let seq = match projector.step() {
            Ok(projected) if projected.events == 0 => return Ok(projected.seq),
            Ok(projected) => projected.seq,
            Err(StoreError::Busy) => {
                std::thread::sleep(Duration::from_millis(20));
                projector.cursor()?
            }
            Err(error) => return Err(error),
        };
        progress(seq, target);
        if seq >= target {
            return Ok(seq);
        }
    }
}
