//! One controller leads: a lock on a file, and an epoch that rises with every start.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::disk;

/// Held as long as the controller leads; the system gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct Lead {
    folder: PathBuf,
    epoch: u64,
    _lock: File,
}

/// Why this one does not lead.
#[derive(Debug, thiserror::Error)]
pub enum LeadError {
    #[error("another controller leads here ({owner}); it has the lock {}", path.display())]
    Taken { path: PathBuf, owner: String },
    #[error("{}: {source}", path.display())]
    Disk { path: PathBuf, source: io::Error },
}

impl Lead {
    /// Takes the lead in this folder, with an epoch above every one before: those on disk, and `newest`, which the data
    /// plane has seen.
    pub fn take(folder: &Path, newest: u64) -> Result<Self, LeadError> {
        let mut lock = lock(folder)?;
        let disk = |path: &Path| {
            let path = path.to_owned();
            move |source| LeadError::Disk { path, source }
        };
        let path = folder.join("epoch");
        let stored: u64 = match std::fs::read_to_string(&path) {
            Ok(text) => {
                let wrong = || disk(&path)(io::Error::other("it holds no number"));
                text.trim().parse().map_err(|_| wrong())?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(disk(&path)(error)),
        };
        let epoch = stored.max(newest) + 1;
        disk::store(&path, format!("{epoch}\n").as_bytes()).map_err(disk(&path))?;
        let owner = format!("process {}, epoch {epoch}\n", std::process::id());
        let told = lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| lock.write_all(owner.as_bytes()));
        told.map_err(disk(&folder.join("lock")))?;
        Ok(Self { folder: folder.to_owned(), epoch, _lock: lock })
    }

    /// Whatever is written and set carries it.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Where everything of the controller is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

fn lock(folder: &Path) -> Result<File, LeadError> {
    let path = folder.join("lock");
    let disk = |source| LeadError::Disk { path: path.clone(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(disk)?;
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(disk)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut owner = String::new();
        // Who it is helps, and is not needed.
        let _ = file.read_to_string(&mut owner);
        return Err(LeadError::Taken { path, owner: owner.trim().to_owned() });
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_leads_and_epochs_rise() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lead::take(folder.path(), 4).unwrap();
        assert_eq!(first.epoch(), 5);
        let refused = Lead::take(folder.path(), 0).unwrap_err().to_string();
        assert!(refused.contains("another controller leads") && refused.contains("epoch 5"), "{refused}");
        drop(first);
        assert_eq!(Lead::take(folder.path(), 0).unwrap().epoch(), 6);
    }
}
