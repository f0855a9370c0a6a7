//! Exports: JSON lines that can be verified without this installation, and without this program.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};
use signalbox_core::time::Micros;
use signalbox_crypto::chain::{from_hex, to_hex};
use signalbox_crypto::checkpoint::{AuditKey, Checkpoint};
use signalbox_store::{Scope, Store, StoreError};

use crate::rows::{self, Stored, Value};

/// What the first line says that this is.
pub const FORMAT: &str = "signalbox-audit-export/1";
/// No line is longer: what is, was not written by an export.
const LONGEST_LINE: u64 = 64 << 20;

/// The first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    pub format: String,
    /// The end of the chain, signed when the export was made; it also holds the public key.
    pub head: Checkpoint,
}

/// Every other line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    seq: i64,
    id: String,
    at: Micros,
    at_us: i64,
    actor: String,
    actor_name: String,
    address: Option<String>,
    action: String,
    object: String,
    correlation: String,
    payload: String,
    previous: String,
    hash: String,
    personal: Vec<PersonalLine>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonalLine {
    slot: i64,
    salt: String,
    value: String,
}

/// An export cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("writing the export: {0}")]
    Write(#[from] io::Error),
    #[error("the audit log has no head; run `signalbox audit verify`")]
    NoHead,
    #[error("entry {0} holds something that no entry holds; run `signalbox audit verify`")]
    Unreadable(i64),
}

/// An export cannot be read as one.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("reading the export: {0}")]
    Read(#[from] io::Error),
    #[error("this is not an export of an audit log: its first line is no header of the format {FORMAT}")]
    NoExport,
}

/// Writes the whole log as it is now; `progress` hears the seq. Returns the header.
pub fn write(
    store: &Store,
    key: &AuditKey,
    now: Micros,
    out: &mut dyn Write,
    mut progress: impl FnMut(i64),
) -> Result<Header, ExportError> {
    let mut failed = None;
    let written = store.read_here(&Scope::all(), |conn| {
        let mut fail = |error: ExportError| {
            failed = Some(error);
            StoreError::Aborted("the export failed".into())
        };
        let (seq, hash) = rows::head(conn)?.ok_or_else(|| fail(ExportError::NoHead))?;
        let header = Header { format: FORMAT.into(), head: key.sign(seq, hash, now) };
        line(out, &header).map_err(|error| fail(error.into()))?;
        let mut after = i64::MIN;
        loop {
            // Whatever lies behind the head is exported too: hiding it would hide that it should not be there.
            let batch = rows::batch(conn, after, i64::MAX)?;
            let Some(last) = batch.last() else { return Ok(header) };
            after = last.seq;
            for entry in batch {
                if entry.unreadable {
                    return Err(fail(ExportError::Unreadable(entry.seq)));
                }
                line(out, &Line::of(entry)).map_err(|error| fail(error.into()))?;
            }
            progress(after);
        }
    });
    match (written, failed) {
        (_, Some(error)) => Err(error),
        (written, None) => Ok(written?),
    }
}

fn line<T: Serialize>(out: &mut dyn Write, value: &T) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// Reads an export line by line.
pub(crate) struct Reader<R> {
    input: R,
    line: Vec<u8>,
}

/// What a line is.
pub(crate) enum Read {
    Entry(Box<Stored>),
    /// It cannot be read as an entry.
    Damaged,
    End,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    pub(crate) fn open(input: R) -> Result<(Header, Self), ReadError> {
        let mut reader = Self { input, line: Vec::new() };
        reader.next_line()?;
        let header: Header = serde_json::from_slice(&reader.line).map_err(|_| ReadError::NoExport)?;
        if header.format == FORMAT { Ok((header, reader)) } else { Err(ReadError::NoExport) }
    }

    pub(crate) fn next(&mut self) -> io::Result<Read> {
        self.next_line()?;
        if self.line.is_empty() {
            return Ok(Read::End);
        }
        let line = serde_json::from_slice::<Line>(&self.line).ok();
        Ok(line.and_then(Line::stored).map_or(Read::Damaged, |entry| Read::Entry(Box::new(entry))))
    }

    fn next_line(&mut self) -> io::Result<()> {
        use io::Read as _;
        self.line.clear();
        (&mut self.input).take(LONGEST_LINE).read_until(b'\n', &mut self.line).map(drop)
    }
}

impl Line {
    fn of(entry: Stored) -> Self {
        let personal = entry.personal.into_iter();
        Self {
            seq: entry.seq,
            id: entry.id,
            at: entry.at,
            at_us: entry.at.0,
            actor: entry.actor,
            actor_name: to_hex(&entry.actor_name),
            address: entry.address.as_deref().map(to_hex),
            action: entry.action,
            object: entry.object,
            correlation: entry.correlation,
            payload: entry.payload,
            previous: to_hex(&entry.previous),
            hash: to_hex(&entry.hash),
            personal: personal
                .map(|value| PersonalLine { slot: value.slot, salt: to_hex(&value.salt), value: value.value })
                .collect(),
        }
    }

    /// `None` where a field is not what an export writes.
    fn stored(self) -> Option<Stored> {
        let personal = self.personal.into_iter();
        let personal = personal
            .map(|value| Some(Value { slot: value.slot, salt: from_hex(&value.salt)?, value: value.value }))
            .collect::<Option<_>>()?;
        if self.at.0 != self.at_us {
            return None;
        }
        Some(Stored {
            seq: self.seq,
            unreadable: false,
            id: self.id,
            at: self.at,
            actor: self.actor,
            actor_name: from_hex(&self.actor_name)?,
            address: match self.address {
                Some(address) => Some(from_hex(&address)?),
                None => None,
            },
            action: self.action,
            object: self.object,
            correlation: self.correlation,
            payload: self.payload,
            previous: from_hex(&self.previous)?,
            hash: from_hex(&self.hash)?,
            personal,
        })
    }
}
