//! Making a checkpoint: what was appended since the last one is verified before it is signed.

use signalbox_core::time::Micros;
use signalbox_crypto::chain::{Fault, GENESIS, Kind, Walk};
use signalbox_crypto::checkpoint::{AuditKey, Checkpoint};
use signalbox_store::{Scope, Store, StoreError};

use crate::rows;

/// No checkpoint was made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the audit log does not hold at entry {}: {}; nothing is signed: run `signalbox audit verify`", .0.seq, .0.detail)]
    Tampered(Fault),
}

/// Signs the present end of the log. `last` is the checkpoint before, which must be signed by `key` to be believed.
pub fn make(store: &Store, key: &AuditKey, last: Option<&Checkpoint>, now: Micros) -> Result<Checkpoint, MakeError> {
    let (mut after, hash) = match last {
        Some(last) if last.is_signed_by(&key.public()) => (last.seq, last.hash),
        _ => (0, GENESIS),
    };
    let known = after;
    let mut walk = Walk::after(after, &hash, Vec::new());
    let head = store.read_here(&Scope::all(), |conn| {
        let head = rows::head(conn)?;
        let until = head.map_or(i64::MAX, |(seq, _)| seq);
        loop {
            let batch = rows::batch(conn, after, until)?;
            let Some(last) = batch.last() else { return Ok(head) };
            after = last.seq;
            batch.iter().for_each(|entry| entry.walk(&mut walk));
        }
    })?;
    if let Some((seq, _)) = head
        && seq < known
    {
        let detail = format!("the chain ends after {seq}; the last checkpoint knows of {known} entries");
        return Err(MakeError::Tampered(Fault { seq: seq + 1, kind: Kind::Truncated, detail }));
    }
    let found = walk.finish(head.as_ref().map(|(seq, hash)| (*seq, hash.as_slice())));
    match (found.faults.into_iter().next(), head) {
        (None, Some((seq, hash))) => Ok(key.sign(seq, hash, now)),
        (Some(fault), _) => Err(MakeError::Tampered(fault)),
        (None, None) => Err(MakeError::Store(StoreError::Corrupt("the audit log has no head".into()))),
    }
}
