//! The file of acknowledged ids, which a crash test compares with what is stored.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

pub(crate) struct Ids {
    file: File,
    buffer: Vec<u8>,
}

impl Ids {
    pub(crate) fn append_to(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { file, buffer: Vec::with_capacity(64 * 1024) })
    }

    pub(crate) fn push(&mut self, id: &[u8]) {
        self.buffer.extend_from_slice(id);
        self.buffer.push(b'\n');
    }

    /// Whole lines in one write: several threads append to the same file.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if !self.buffer.is_empty() {
            self.file.write_all(&self.buffer).context("cannot write the acknowledged ids")?;
            self.buffer.clear();
        }
        Ok(())
    }
}
