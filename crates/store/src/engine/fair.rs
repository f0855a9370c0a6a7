//! A lock among the processes that write one file, given about in the order of asking: SQLite's own makes whoever waits
//! look again after pauses that grow, and whoever writes all the time goes first.
//!
//! Two file locks make the line: whoever is next holds `line` until it has `hold`, so whoever gives `hold` back and wants
//! it again has to stand behind. The kernel gives both back when a process dies.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::error::StoreError;

const FOLDER: &str = "locks";

/// For one thread at a time: what one process has locked is not kept from its own threads.
pub(crate) struct FairLock {
    data: PathBuf,
    name: &'static str,
    files: OnceLock<(File, File)>,
}

/// The lock, until it is dropped.
pub(crate) struct Held<'l>(&'l File);

impl FairLock {
    /// The lock called `name` of a data directory; its files are made when it is first taken.
    pub(crate) fn new(data: &Path, name: &'static str) -> Self {
        Self { data: data.to_path_buf(), name, files: OnceLock::new() }
    }

    /// Waits for it.
    pub(crate) fn take(&self) -> Result<Held<'_>, StoreError> {
        let (line, hold) = match self.files.get() {
            Some(files) => files,
            None => {
                let files = (open(&self.data, self.name, "line")?, open(&self.data, self.name, "hold")?);
                self.files.get_or_init(|| files)
            }
        };
        wait(line)?;
        let held = wait(hold).map(|()| Held(hold));
        line.unlock().map_err(failed)?;
        held
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::error!(%error, "a lock could not be given back");
        }
    }
}

/// A lock that one process keeps as long as it lives.
pub(crate) struct SoleLock(File);

impl SoleLock {
    pub(crate) fn open(data: &Path, name: &str) -> Result<Self, StoreError> {
        open(data, name, "sole").map(Self)
    }

    /// Whether this process has it; it takes it where nobody does.
    pub(crate) fn is_ours(&self) -> bool {
        self.0.try_lock().is_ok()
    }
}

fn open(data: &Path, name: &str, kind: &str) -> Result<File, StoreError> {
    let folder = data.join(FOLDER);
    let path = folder.join(format!("{name}.{kind}"));
    let told = |error: std::io::Error| match error.kind() {
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => StoreError::ReadOnly,
        _ => StoreError::Io(format!("{}: {error}", path.display())),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(told)?;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(told)
}

fn wait(file: &File) -> Result<(), StoreError> {
    loop {
        match file.lock() {
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            done => return done.map_err(failed),
        }
    }
}

fn failed(error: std::io::Error) -> StoreError {
    StoreError::Io(format!("locking: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;

    /// Locks of files belong to whoever opened them: two that are opened apart are as two processes.
    #[test]
    fn who_takes_it_all_the_time_shuts_nobody_out() {
        let folder = tempfile::tempdir().unwrap();
        let (busy, seldom) = (FairLock::new(folder.path(), "x"), FairLock::new(folder.path(), "x"));
        let (inside, turns, stop) = (AtomicBool::new(false), AtomicU64::new(0), AtomicBool::new(false));
        let enter = |lock: &FairLock| {
            let held = lock.take().unwrap();
            assert!(!inside.swap(true, Ordering::SeqCst), "two are inside");
            std::thread::sleep(Duration::from_millis(1));
            inside.store(false, Ordering::SeqCst);
            drop(held);
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    enter(&busy);
                    turns.fetch_add(1, Ordering::Relaxed);
                }
            });
            (0..100).for_each(|_| enter(&seldom));
            stop.store(true, Ordering::Relaxed);
        });
        // In turns it is one for one; a busy machine adds some, a lock that is not fair thousands.
        let turns = turns.load(Ordering::Relaxed);
        assert!(turns < 600, "{turns} turns for 100");
    }

    #[test]
    fn a_sole_lock_goes_on_to_another_when_its_owner_ends() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (SoleLock::open(folder.path(), "x").unwrap(), SoleLock::open(folder.path(), "x").unwrap());
        assert!(one.is_ours() && one.is_ours() && !other.is_ours());
        drop(one);
        assert!(other.is_ours());
    }
}
