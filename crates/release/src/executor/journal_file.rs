//! The journal of one release on disk: a line of JSON per record, synced before what it speaks of goes on.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use signalbox_core::time::Micros;

use super::fault::{FailPoint, Side, die};
use crate::model::machine::{Event, Journal, JournalFault, Record};
use crate::model::plan::Plan;

/// Its name in the folder of the release.
pub const FILE: &str = "journal.jsonl";

/// A journal, in memory and on disk.
#[derive(Debug)]
pub struct JournalFile {
    path: PathBuf,
    file: File,
    /// What is on disk is this long; another length was written by somebody else.
    length: u64,
    journal: Journal,
    epoch: u64,
    fail: Option<FailPoint>,
    /// A write or a sync has failed: what is on disk is not known any more.
    poisoned: bool,
}

/// Why something is not in the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{}: {source}", path.display())]
    Disk { path: PathBuf, source: io::Error },
    #[error("{}: {fault}", path.display())]
    Fault { path: PathBuf, fault: JournalFault },
    #[error("{}: somebody else has written to it; this controller stops", path.display())]
    Foreign { path: PathBuf },
    #[error("{}: writing failed before; nothing more is written to it", path.display())]
    Poisoned { path: PathBuf },
}

impl JournalFile {
    /// Begins the journal of a release in a folder that is there; one that is begun already is not touched.
    pub fn begin(
        folder: &Path,
        plan: Plan,
        by: &str,
        at: Micros,
        epoch: u64,
        fail: Option<FailPoint>,
    ) -> Result<Self, JournalError> {
        let path = folder.join(FILE);
        let journal =
            Journal::begin(plan, by, at, epoch).map_err(|fault| JournalError::Fault { path: path.clone(), fault })?;
        let disk = |source| JournalError::Disk { path: path.clone(), source };
        let file = OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(disk)?;
        let line = journal.records()[0].line();
        let mut this = Self { path: path.clone(), file, length: 0, journal, epoch, fail, poisoned: false };
        this.write(1, &line)?;
        sync_folder(folder).map_err(disk)?;
        Ok(this)
    }

    /// Opens a journal to go on with it. A last line that was torn is cut off.
    pub fn open(folder: &Path, epoch: u64, fail: Option<FailPoint>) -> Result<Self, JournalError> {
        let path = folder.join(FILE);
        let disk = |source| JournalError::Disk { path: path.clone(), source };
        let fault = |fault| JournalError::Fault { path: path.clone(), fault };
        let mut file = OpenOptions::new().read(true).append(true).open(&path).map_err(disk)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(disk)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let journal = parse(&bytes[..whole]).map_err(fault)?;
        if epoch < journal.epoch() {
            return Err(fault(JournalFault::OldEpoch { epoch, newest: journal.epoch() }));
        }
        if whole < bytes.len() {
            file.set_len(whole as u64).map_err(disk)?;
            file.sync_all().map_err(disk)?;
        }
        file.seek(SeekFrom::End(0)).map_err(disk)?;
        Ok(Self { path, file, length: whole as u64, journal, epoch, fail, poisoned: false })
    }

    /// Reads a journal without going on with it.
    pub fn read(folder: &Path) -> Result<Journal, JournalError> {
        let path = folder.join(FILE);
        let bytes = std::fs::read(&path).map_err(|source| JournalError::Disk { path: path.clone(), source })?;
        parse(&bytes).map_err(|fault| JournalError::Fault { path, fault })
    }

    /// Writes what happened. When this comes back it is on disk.
    pub fn append(&mut self, at: Micros, event: Event) -> Result<&Record, JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned { path: self.path.clone() });
        }
        // A clock that was set back does not turn the order round.
        let at = self.journal.records().last().map_or(at, |last| at.max(last.at));
        let mut next = self.journal.clone();
        let record = next.append(at, self.epoch, event);
        let record = record.map_err(|fault| JournalError::Fault { path: self.path.clone(), fault })?;
        let (seq, line) = (record.seq, record.line());
        self.write(seq, &line)?;
        self.journal = next;
        Ok(&self.journal.records()[seq as usize - 1])
    }

    /// What is written so far.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    fn write(&mut self, seq: u64, line: &str) -> Result<(), JournalError> {
        let hits = |side| self.fail.is_some_and(|fail| fail.hits(side, seq));
        if hits(Side::Before) {
            die();
        }
        let disk = |source| JournalError::Disk { path: self.path.clone(), source };
        if self.file.metadata().map_err(disk)?.len() != self.length {
            self.poisoned = true;
            return Err(JournalError::Foreign { path: self.path.clone() });
        }
        if hits(Side::Torn) {
            let _ = self.file.write_all(&line.as_bytes()[..line.len() / 2]).and_then(|()| self.file.sync_all());
            die();
        }
        if let Err(source) = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_all()) {
            self.poisoned = true;
            return Err(JournalError::Disk { path: self.path.clone(), source });
        }
        self.length += line.len() as u64;
        if hits(Side::After) {
            die();
        }
        Ok(())
    }
}

fn parse(bytes: &[u8]) -> Result<Journal, JournalFault> {
    Journal::read(&String::from_utf8_lossy(bytes))
}

/// A new name in a folder is only safe once the folder is synced.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
