//! A folder beside what is to be made. What a dead process left in it is thrown away by the next one; two at once are refused.

use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rustix::fs::{FlockOperation, flock};

pub struct Workshop {
    pub path: PathBuf,
    parent: PathBuf,
    _lock: File,
}

impl Workshop {
    /// `.NAME.WORD` beside `target`.
    pub fn beside(target: &Path, word: &str) -> anyhow::Result<Self> {
        let name = target.file_name().with_context(|| format!("{} has no name", target.display()))?;
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let path = parent.join(format!(".{}.{word}", name.to_string_lossy()));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).with_context(|| path.display().to_string())?;
        let lock = File::open(&path).with_context(|| path.display().to_string())?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!("another process works on {}; wait until it is done", target.display());
        }
        for entry in fs::read_dir(&path)? {
            let left = entry?;
            let removed =
                if left.file_type()?.is_dir() { fs::remove_dir_all(left.path()) } else { fs::remove_file(left.path()) };
            removed.with_context(|| left.path().display().to_string())?;
        }
        Ok(Self { path, parent, _lock: lock })
    }

    /// Puts the folder itself in the place of `target`, which is empty or not there.
    pub fn become_it(self, target: &Path) -> anyhow::Result<()> {
        File::open(&self.path)?.sync_all()?;
        fs::rename(&self.path, target).with_context(|| {
            format!(
                "{} cannot be put in its place: it must not be there, or be empty and no mount point",
                target.display()
            )
        })?;
        self.sync_parent()
    }

    /// Puts a file of the folder in the place of `target`.
    pub fn hand_over(self, name: &str, target: &Path) -> anyhow::Result<()> {
        fs::rename(self.path.join(name), target).with_context(|| target.display().to_string())?;
        self.sync_parent()
    }

    fn sync_parent(&self) -> anyhow::Result<()> {
        Ok(File::open(&self.parent)?.sync_all()?)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // It is not there any more when it became what was to be made.
        let _ = fs::remove_dir_all(&self.path);
    }
}
