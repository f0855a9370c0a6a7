//! Stored entries in the order of the chain, with the personal values beside them.

use signalbox_core::time::Micros;
use signalbox_crypto::chain::{GENESIS, Hash, Link, Personal, Walk};
use signalbox_store::{Conn, Row, StoreError};

/// Entries that are read at once.
const BATCH: i64 = 5000;

/// An entry as it is stored, or as an export tells it; nothing of it is believed yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stored {
    pub(crate) seq: i64,
    /// A column holds something that no entry holds; the rest is empty.
    pub(crate) unreadable: bool,
    pub(crate) id: String,
    pub(crate) at: Micros,
    pub(crate) actor: String,
    pub(crate) actor_name: Vec<u8>,
    pub(crate) address: Option<Vec<u8>>,
    pub(crate) action: String,
    pub(crate) object: String,
    pub(crate) correlation: String,
    pub(crate) payload: String,
    pub(crate) previous: Vec<u8>,
    pub(crate) hash: Vec<u8>,
    pub(crate) personal: Vec<Value>,
}

/// A personal value beside an entry.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) slot: i64,
    pub(crate) salt: Vec<u8>,
    pub(crate) value: String,
}

impl Stored {
    fn link(&self) -> Link<'_> {
        Link {
            seq: self.seq,
            id: &self.id,
            at: self.at,
            actor: &self.actor,
            actor_name: &self.actor_name,
            address: self.address.as_deref(),
            action: &self.action,
            object: &self.object,
            correlation: &self.correlation,
            payload: &self.payload,
            previous: &self.previous,
        }
    }

    /// Takes this entry as the next one.
    pub(crate) fn walk(&self, walk: &mut Walk) {
        if self.unreadable {
            return walk.step_unreadable(self.seq);
        }
        let personal = self.personal.iter();
        let personal = personal.map(|value| Personal { slot: value.slot, salt: &value.salt, value: &value.value });
        walk.step(&self.link(), &self.hash, personal);
    }
}

/// The end of the chain as the head row tells it: the last seq and its hash. `None` when there is no head row.
pub fn head(conn: &mut Conn<'_>) -> Result<Option<(i64, Hash)>, StoreError> {
    conn.first("SELECT seq, hash FROM audit_head WHERE one = 1", &[], |row| {
        // A head of another shape is that of no chain.
        let hash = match row.opt_bytes(1)? {
            Some(hash) => hash.try_into().unwrap_or([0xff; 32]),
            None => GENESIS,
        };
        Ok((row.int(0)?, hash))
    })
}

const COLUMNS: &str = "seq, id, at, actor, actor_name, address, action, object, correlation, payload, previous, hash";

/// The next entries behind the seq `after`; none at the end.
pub(crate) fn batch(conn: &mut Conn<'_>, after: i64, until: i64) -> Result<Vec<Stored>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM audit_entry WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3");
    let mut entries = conn.query(&sql, &[after.into(), until.into(), BATCH.into()], |row| {
        let seq = row.int(0)?;
        Ok(stored(seq, row).unwrap_or_else(|_| Stored { seq, unreadable: true, ..Stored::default() }))
    })?;
    let Some(last) = entries.last().map(|entry| entry.seq) else { return Ok(entries) };
    let mut position = 0;
    let sql = "SELECT seq, slot, salt, value FROM audit_personal WHERE seq > $1 AND seq <= $2 ORDER BY seq, slot";
    conn.each(sql, &[after.into(), last.into()], &mut |row| {
        let seq = row.int(0)?;
        while entries[position].seq < seq {
            position += 1;
        }
        // What belongs to no entry is found by counting.
        if entries[position].seq == seq {
            let value = Value {
                slot: row.int(1)?,
                salt: row.bytes(2).unwrap_or_default(),
                value: row.text(3).unwrap_or_default(),
            };
            entries[position].personal.push(value);
        }
        Ok(())
    })?;
    Ok(entries)
}

fn stored(seq: i64, row: &Row<'_>) -> Result<Stored, StoreError> {
    Ok(Stored {
        seq,
        unreadable: false,
        id: row.text(1)?,
        at: Micros(row.int(2)?),
        actor: row.text(3)?,
        actor_name: row.bytes(4)?,
        address: row.opt_bytes(5)?,
        action: row.text(6)?,
        object: row.text(7)?,
        correlation: row.text(8)?,
        payload: row.text(9)?,
        previous: row.bytes(10)?,
        hash: row.bytes(11)?,
        personal: Vec::new(),
    })
}
