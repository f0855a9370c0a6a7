//! How long something took, and how much of that the machine's disk made everybody wait.

use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// After a crash, a failure or a restart the first hit is recorded within this.
pub const READY: Duration = Duration::from_secs(2);
/// A sync of one byte that takes longer is a disk that is busy with others.
const USUAL_SYNC: Duration = Duration::from_millis(50);

/// A stop-watch that also syncs a file of its own again and again, to know when the disk stalls.
pub struct Watch {
    start: Instant,
    stop: Arc<AtomicBool>,
    stalled: JoinHandle<std::io::Result<Duration>>,
}

/// What a watch has measured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Time {
    pub took: Duration,
    /// For so long in that time, others could not sync a byte either.
    pub stalled: Duration,
}

/// The times of many rounds.
#[derive(Debug, Default)]
pub struct Times(Vec<Time>);

impl Watch {
    pub fn start() -> Result<Self> {
        let file = tempfile::tempfile_in("/var/tmp").context("no file in /var/tmp")?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let stalled = std::thread::spawn(move || watch_disk(file, &told));
        Ok(Self { start: Instant::now(), stop, stalled })
    }

    pub fn stop(self) -> Result<Time> {
        let took = self.start.elapsed();
        self.stop.store(true, Ordering::Relaxed);
        let stalled = self.stalled.join().ok().context("the disk's watcher panicked")?;
        Ok(Time { took, stalled: stalled.context("syncing a file in /var/tmp")?.min(took) })
    }
}

fn watch_disk(mut file: File, stop: &AtomicBool) -> std::io::Result<Duration> {
    let mut stalled = Duration::ZERO;
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        file.write_all(b"x")?;
        file.sync_all()?;
        stalled += start.elapsed().saturating_sub(USUAL_SYNC);
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(stalled)
}

impl Time {
    /// Without the stalls of the disk.
    fn own(self) -> Duration {
        self.took.saturating_sub(self.stalled)
    }

    /// An error that begins with `what` when it took longer, stalls of the disk aside.
    pub fn ensure_within(self, limit: Duration, what: &str) -> Result<()> {
        if self.own() > limit {
            bail!("{what} took {self}, which is more than {limit:?}");
        }
        Ok(())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ms", self.took.as_millis())?;
        if !self.stalled.is_zero() {
            write!(out, " ({} ms of it a stalled disk)", self.stalled.as_millis())?;
        }
        Ok(())
    }
}

impl Times {
    pub fn add(&mut self, time: Time) {
        self.0.push(time);
    }

    /// Every one of them, stalls of the disk aside.
    pub fn ensure_within(&self, limit: Duration, what: &str) -> Result<()> {
        self.0.iter().try_for_each(|time| time.ensure_within(limit, what))
    }
}

impl fmt::Display for Times {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by_key(|time| time.took);
        let (median, longest) = (sorted.get(sorted.len() / 2), sorted.last());
        write!(
            out,
            "{} (median), {} (longest)",
            median.copied().unwrap_or_default(),
            longest.copied().unwrap_or_default()
        )
    }
}
