//! A folder that is gone when we are.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::guard::{Guard, Order};

pub(crate) struct Folder {
    inner: Option<TempDir>,
    order: Order,
    guard: Arc<Guard>,
}

impl Folder {
    /// In `/var/tmp`, which lies on a disk where `/tmp` may lie in memory: an fsync must cost what it costs.
    pub(crate) fn create(guard: &Arc<Guard>, name: &str) -> Result<Self> {
        let disk = PathBuf::from("/var/tmp");
        Self::create_in(guard, &if disk.is_dir() { disk } else { std::env::temp_dir() }, name)
    }

    pub(crate) fn create_in(guard: &Arc<Guard>, parent: &Path, name: &str) -> Result<Self> {
        let inner = tempfile::Builder::new()
            .prefix(&format!("signalbox-{name}-"))
            // PostgreSQL runs as a user of its own and must be able to reach its folder.
            .permissions(std::fs::Permissions::from_mode(0o711))
            .tempdir_in(parent)
            .with_context(|| format!("cannot create a folder in {}", parent.display()))?;
        let order = Order::Remove(inner.path().to_owned());
        guard.order(&order);
        Ok(Self { inner: Some(inner), order, guard: Arc::clone(guard) })
    }

    pub(crate) fn path(&self) -> &Path {
        self.inner.as_ref().expect("only `drop` takes it").path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.inner.take().map(TempDir::close) {
            eprintln!("warning: {error}");
        }
        self.guard.withdraw(&self.order);
    }
}
