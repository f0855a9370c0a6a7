//! Verifying a log, in the store or in an export: the chain, the personal values, the head, and what checkpoints that
//! left the machine know. Reading and hashing run side by side.

use std::io::BufRead;
use std::sync::mpsc;

use serde::Serialize;
use signalbox_core::time::Micros;
use signalbox_crypto::chain::{Fault, Found, Hash, Kind, Known, Walk};
use signalbox_crypto::checkpoint::{Checkpoint, PublicKey};
use signalbox_store::{Conn, Scope, Store, StoreError};

use crate::checkpoint::Line;
use crate::export::{Read, ReadError, Reader};
use crate::rows::{self, Stored};

/// Entries that travel together from reading to hashing.
const BATCH: usize = 2000;

/// What is known from outside.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    /// Keys that may have signed.
    pub keys: Vec<PublicKey>,
    /// Lines of a checkpoint file.
    pub checkpoints: Vec<Line>,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Nothing was found to be wrong.
    pub intact: bool,
    #[serde(flatten)]
    pub found: Found,
    /// Checkpoints that were read, from outside and from the export's first line.
    pub checkpoints: usize,
    /// How far a checkpoint proves that nothing was cut off or rewritten.
    pub proven: Option<Proven>,
    /// For an export: the key that its first line names.
    pub public_key: Option<PublicKey>,
}

/// The last checkpoint that the chain agrees with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Proven {
    pub seq: i64,
    pub at: Micros,
}

impl Report {
    fn new(found: Found, checkpoints: usize, public_key: Option<PublicKey>) -> Self {
        let proven = found.confirmed.map(|known| Proven { seq: known.seq, at: known.at });
        Self { intact: found.faults_total == 0, found, checkpoints, proven, public_key }
    }

    /// The first place where the chain no longer holds.
    pub fn first(&self) -> Option<&Fault> {
        self.found.faults.iter().min_by_key(|fault| fault.seq)
    }
}

/// Splits checkpoints into what they know and which of them are no good.
fn judge(outside: &Outside) -> (Vec<Known>, Vec<(i64, String)>) {
    let (mut known, mut bad) = (Vec::new(), Vec::new());
    for line in &outside.checkpoints {
        match &line.checkpoint {
            Some(checkpoint) if is_signed(checkpoint, &outside.keys) => known.push(checkpoint.known()),
            Some(checkpoint) => {
                let detail = format!("the checkpoint in line {} is not signed by the key", line.number);
                bad.push((checkpoint.seq, detail));
            }
            None => bad.push((0, format!("line {} of the checkpoints cannot be read as one", line.number))),
        }
    }
    (known, bad)
}

fn is_signed(checkpoint: &Checkpoint, keys: &[PublicKey]) -> bool {
    keys.iter().any(|key| checkpoint.is_signed_by(key))
}

/// Verifies the log of a store; `progress` hears how many entries are behind it.
pub fn store(store: &Store, outside: &Outside, mut progress: impl FnMut(u64)) -> Result<Report, StoreError> {
    let (known, bad) = judge(outside);
    let mut walked = Walked { walk: Walk::new(known), personal: 0 };
    let (sender, batches) = mpsc::sync_channel::<Vec<Stored>>(4);
    let read = std::thread::scope(|threads| {
        let reader = threads
            .spawn(move || store.read_here(&Scope::all(), |conn| read(conn, |batch| sender.send(batch).is_ok())));
        for batch in batches {
            progress(walked.take(&batch));
        }
        reader.join().map_err(|_| StoreError::Aborted("reading the audit log crashed".into()))?
    });
    Ok(walked.finish(read?, bad, outside))
}

/// As [`store`], inside of a transaction that is open.
pub fn within(conn: &mut Conn<'_>, outside: &Outside) -> Result<Report, StoreError> {
    let (known, bad) = judge(outside);
    let mut walked = Walked { walk: Walk::new(known), personal: 0 };
    let ending = read(conn, |batch| {
        walked.take(&batch);
        true
    })?;
    Ok(walked.finish(ending, bad, outside))
}

/// What stands beside the entries.
struct Ending {
    head: Option<(i64, Hash)>,
    entries: i64,
    personal: i64,
    orphan: Option<i64>,
}

/// Hands every entry to `take`, until it wants no more.
fn read(conn: &mut Conn<'_>, mut take: impl FnMut(Vec<Stored>) -> bool) -> Result<Ending, StoreError> {
    let mut after = i64::MIN;
    loop {
        let batch = rows::batch(conn, after, i64::MAX)?;
        let Some(last) = batch.last() else { break };
        after = last.seq;
        if !take(batch) {
            break;
        }
    }
    let count = |conn: &mut Conn<'_>, table: &str| {
        let sql = format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {table}");
        conn.first(&sql, &[], |row| row.int(0)).map(Option::unwrap_or_default)
    };
    let orphan = "SELECT seq FROM audit_personal p WHERE NOT EXISTS
        (SELECT 1 FROM audit_entry e WHERE e.seq = p.seq) ORDER BY seq LIMIT 1";
    Ok(Ending {
        entries: count(conn, "audit_entry")?,
        personal: count(conn, "audit_personal")?,
        head: rows::head(conn)?,
        orphan: conn.first(orphan, &[], |row| row.int(0))?,
    })
}

struct Walked {
    walk: Walk,
    personal: u64,
}

impl Walked {
    /// Says how far it is.
    fn take(&mut self, batch: &[Stored]) -> u64 {
        for entry in batch {
            entry.walk(&mut self.walk);
            self.personal += entry.personal.len() as u64;
        }
        batch.last().map_or(0, |entry| u64::try_from(entry.seq).unwrap_or(0))
    }

    fn finish(self, ending: Ending, bad: Vec<(i64, String)>, outside: &Outside) -> Report {
        let Self { walk, personal } = self;
        let Ending { head, orphan, .. } = ending;
        let counts = (ending.entries, ending.personal);
        let mut found = walk.finish(head.as_ref().map(|(seq, hash)| (*seq, hash.as_slice())));
        if counts.0 as u64 != found.entries {
            let detail = format!("{} entries are stored, {} are in the chain", counts.0, found.entries);
            found.fault(0, Kind::Misplaced, detail);
        }
        if let Some(seq) = orphan {
            found.fault(seq, Kind::PersonalMisplaced, "a personal value belongs to no entry");
        } else if counts.1 as u64 != personal {
            found.fault(0, Kind::PersonalMisplaced, "more personal values are stored than belong to entries");
        }
        add(&mut found, bad);
        Report::new(found, outside.checkpoints.len(), None)
    }
}

/// Verifies an export. Where no key is known, the one that its first line names is believed.
pub fn export(
    input: impl BufRead + Send,
    outside: &Outside,
    mut progress: impl FnMut(u64),
) -> Result<Report, ReadError> {
    let (header, mut reader) = Reader::open(input)?;
    let mut outside = outside.clone();
    let named = header.head.public_key;
    if outside.keys.is_empty() {
        outside.keys.push(named);
    }
    let (mut known, mut bad) = judge(&outside);
    if is_signed(&header.head, &outside.keys) {
        known.push(header.head.known());
    } else {
        bad.push((header.head.seq, "the first line is not signed by the key".into()));
    }
    // The end of an empty chain is no entry.
    known.retain(|known| known.seq > 0);
    let mut walk = Walk::new(known);
    let (sender, batches) = mpsc::sync_channel::<Vec<(u64, Option<Stored>)>>(4);
    let read = std::thread::scope(|threads| {
        let reading = threads.spawn(move || -> Result<(), ReadError> {
            let mut number = 1;
            loop {
                let mut batch = Vec::with_capacity(BATCH);
                let mut ended = false;
                while batch.len() < BATCH && !ended {
                    number += 1;
                    match reader.next()? {
                        Read::Entry(entry) => batch.push((number, Some(*entry))),
                        Read::Damaged => batch.push((number, None)),
                        Read::End => ended = true,
                    }
                }
                if sender.send(batch).is_err() || ended {
                    return Ok(());
                }
            }
        });
        for batch in batches {
            for (number, entry) in &batch {
                match entry {
                    Some(entry) => entry.walk(&mut walk),
                    None => walk.step_damaged(*number),
                }
            }
            progress(walk.entries());
        }
        reading.join().map_err(|_| ReadError::Read(std::io::Error::other("reading crashed")))?
    });
    read?;
    let mut found = walk.finish(Some((header.head.seq, &header.head.hash)));
    add(&mut found, bad);
    Ok(Report::new(found, outside.checkpoints.len() + 1, Some(named)))
}

fn add(found: &mut Found, bad: Vec<(i64, String)>) {
    for (seq, detail) in bad {
        found.fault(seq, Kind::BadCheckpoint, detail);
    }
}
