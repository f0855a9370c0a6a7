//! The intake log: chunks of packed events in the order in which they became durable. Whoever appends assigns the seq.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::engine::{postgres, postgres_log, sqlite_log};
use crate::error::StoreError;
use crate::health::Health;
use crate::store::Faults;

/// The log of one store. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    place: Place,
    health: Arc<Health>,
    /// Rows that begin below this seq are projected and may go.
    trim_below: Arc<AtomicI64>,
}

#[derive(Clone)]
enum Place {
    Sqlite { path: PathBuf, faults: Faults },
    Postgres(Arc<postgres::Postgres>),
}

/// One appended chunk: `count` events from `first_seq` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    pub first_seq: i64,
    pub count: u32,
    pub body: Vec<u8>,
}

/// Appends to the log; owned by the one thread that commits.
pub struct LogWriter {
    inner: WriterOf,
    trim_below: Arc<AtomicI64>,
}

enum WriterOf {
    Sqlite(sqlite_log::Writer),
    Postgres(postgres_log::Writer),
}

/// Reads the log.
pub struct LogReader {
    inner: ReaderOf,
}

enum ReaderOf {
    Sqlite(sqlite_log::Reader),
    Postgres(Arc<postgres::Postgres>),
}

impl Log {
    pub(crate) fn sqlite(path: PathBuf, faults: Faults, health: Arc<Health>) -> Self {
        Self { place: Place::Sqlite { path, faults }, health, trim_below: Arc::default() }
    }

    pub(crate) fn postgres(engine: Arc<postgres::Postgres>, health: Arc<Health>) -> Self {
        Self { place: Place::Postgres(engine), health, trim_below: Arc::default() }
    }

    /// A writer whose seqs are above `after`, the projector's cursor, even when the log itself was lost or is an older
    /// copy. On SQLite it first makes durable what an earlier process may have left unsynced.
    pub fn writer(&self, after: i64) -> Result<LogWriter, StoreError> {
        let inner = match &self.place {
            Place::Sqlite { path, faults } => {
                let mut writer = sqlite_log::open_writer(path, *faults, Arc::clone(&self.health), after)?;
                writer.recover()?;
                WriterOf::Sqlite(writer)
            }
            Place::Postgres(engine) => WriterOf::Postgres(postgres_log::Writer::new(Arc::clone(engine), after)),
        };
        Ok(LogWriter { inner, trim_below: Arc::clone(&self.trim_below) })
    }

    /// A reader.
    pub fn reader(&self) -> Result<LogReader, StoreError> {
        let inner = match &self.place {
            Place::Sqlite { path, faults } => ReaderOf::Sqlite(sqlite_log::open_reader(path, *faults)?),
            Place::Postgres(engine) => ReaderOf::Postgres(Arc::clone(engine)),
        };
        Ok(LogReader { inner })
    }

    /// Tells that everything up to and including `seq`, the last of a chunk, is projected, so that its rows may be cleared away.
    pub fn projected(&self, seq: i64) {
        self.trim_below.fetch_max(seq + 1, Ordering::Relaxed);
    }
}

impl LogWriter {
    /// Appends chunks, each a body and how many events it holds: all of them, or none. Returns
    /// the seq of the first event. When it returns, they are on disk.
    pub fn append(&mut self, chunks: impl IntoIterator<Item = (Vec<u8>, u32)>) -> Result<i64, StoreError> {
        let rows = chunks.into_iter().map(|(body, count)| NewRow { checksum: crc32fast::hash(&body), body, count });
        let trim_below = self.trim_below.load(Ordering::Relaxed);
        match &mut self.inner {
            WriterOf::Sqlite(writer) => writer.append(rows, trim_below),
            WriterOf::Postgres(writer) => writer.append(rows, trim_below),
        }
    }

    /// Housekeeping between appends: keeps the write-ahead log short.
    pub fn tidy(&mut self) -> Result<(), StoreError> {
        match &mut self.inner {
            WriterOf::Sqlite(writer) => writer.checkpoint(),
            WriterOf::Postgres(_) => Ok(()),
        }
    }
}

impl LogReader {
    /// The chunks after `seq` (which is the last seq of a chunk, or 0), in order, about `most_bytes` of them.
    pub fn after(&self, seq: i64, most_bytes: usize) -> Result<Vec<LogRow>, StoreError> {
        match &self.inner {
            ReaderOf::Sqlite(reader) => reader.after(seq, most_bytes),
            ReaderOf::Postgres(engine) => postgres_log::after(engine, seq, most_bytes),
        }
    }

    /// The seq of the newest event, 0 when there never was one.
    pub fn last_seq(&self) -> Result<i64, StoreError> {
        match &self.inner {
            ReaderOf::Sqlite(reader) => reader.last_seq(),
            ReaderOf::Postgres(engine) => postgres_log::last_seq(engine),
        }
    }

    /// Housekeeping that makes nobody wait.
    pub fn tidy(&self) -> Result<(), StoreError> {
        match &self.inner {
            ReaderOf::Sqlite(reader) => reader.checkpoint_passively(),
            ReaderOf::Postgres(_) => Ok(()),
        }
    }
}

/// A chunk on its way into the log.
pub(crate) struct NewRow {
    pub(crate) body: Vec<u8>,
    pub(crate) count: u32,
    pub(crate) checksum: u32,
}

/// A row whose checksum fits.
pub(crate) fn checked(first_seq: i64, count: i64, checksum: i64, body: Vec<u8>) -> Result<LogRow, StoreError> {
    if i64::from(crc32fast::hash(&body)) != checksum {
        return Err(StoreError::Corrupt(format!("the checksum of intake row {first_seq} does not fit")));
    }
    let count = u32::try_from(count)
        .map_err(|_| StoreError::Corrupt(format!("intake row {first_seq} has a count of {count}")))?;
    Ok(LogRow { first_seq, count, body })
}
