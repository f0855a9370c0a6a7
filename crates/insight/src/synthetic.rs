//! Synthetic hits: made by whoever leads a release, to see whether a version records what it answers. They go the whole
//! way through the log and never into anybody's events, counters or reports.

use signalbox_core::id::EventId;
use signalbox_core::time::{MINUTE, Micros};
use signalbox_events::record::{Name, RecordId};
use signalbox_store::{Column, Conn, Insert, Scope, Store, StoreError, Type};

use crate::projector::{VersionKey, read_version_key};

/// The principal of synthetic hits. It has no row and no name.
pub const PRINCIPAL: i64 = 0;
/// They are kept for so long.
const KEPT: i64 = 10 * MINUTE;

/// One that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synthetic {
    /// The message of its link.
    pub message: i64,
    pub kind: i64,
    /// The version that served it.
    pub version: String,
}

/// One on its way.
#[derive(Debug)]
pub(crate) struct Arrived<'l> {
    pub seq: i64,
    pub id: RecordId<'l>,
    pub message: Name<'l>,
    pub kind: i64,
    pub version: &'l str,
}

const INSERT: Insert = Insert {
    table: "synthetic_event",
    columns: &[
        ("seq", Type::Int),
        ("id", Type::Text),
        ("message_id", Type::Int),
        ("kind", Type::Int),
        ("version", Type::Text),
        ("at", Type::Int),
    ],
    conflict: "ON CONFLICT DO NOTHING",
    returning: "",
};

/// Stores them, and forgets old ones.
pub(crate) fn store(conn: &mut Conn<'_>, arrived: &[Arrived<'_>], now: Micros) -> Result<(), StoreError> {
    if arrived.is_empty() {
        return Ok(());
    }
    conn.execute("DELETE FROM synthetic_event WHERE at < $1", &[(now.0 - KEPT).into()])?;
    let ids: Vec<String> = arrived
        .iter()
        .map(|one| match one.id {
            RecordId::Own(id) => EventId(id).to_string(),
            RecordId::Given(id) => id.to_owned(),
        })
        .collect();
    let message = |one: &Arrived<'_>| if let Name::Id(id) = one.message { id } else { 0 };
    let columns = [
        Column::Ints(arrived.iter().map(|one| one.seq).collect()),
        Column::Texts(ids.iter().map(String::as_str).collect()),
        Column::Ints(arrived.iter().map(message).collect()),
        Column::Ints(arrived.iter().map(|one| one.kind).collect()),
        Column::Texts(arrived.iter().map(|one| one.version).collect()),
        Column::Ints(arrived.iter().map(|_| now.0).collect()),
    ];
    conn.insert(&INSERT, &columns, &mut |_| Ok(())).map(|_| ())
}

/// Those of these messages that were stored.
pub fn stored(store: &Store, messages: &[i64]) -> Result<Vec<Synthetic>, StoreError> {
    store.read_here(&Scope::all(), |conn| {
        let mut found = Vec::new();
        let sql = "SELECT s.message_id, s.kind, s.version FROM {keys} CROSS JOIN synthetic_event AS s WHERE s.message_id = k.k0";
        conn.lookup(sql, &[Column::Ints(messages.to_vec())], &mut |row| {
            found.push(Synthetic { message: row.int(0)?, kind: row.int(1)?, version: row.text(2)? });
            Ok(())
        })?;
        Ok(found)
    })
}

/// How often versions did what, and up to which seq that is counted.
pub fn version_counts(store: &Store) -> Result<(i64, Vec<(VersionKey, i64)>), StoreError> {
    store.read_here(&Scope::all(), |conn| {
        let seq = crate::report::projected_seq(conn)?;
        let sql = "SELECT served, rendered, hit, kind, class, total FROM version_counter";
        let rows = conn.query(sql, &[], |row| Ok((read_version_key(row)?, row.int(5)?)))?;
        Ok((seq, rows))
    })
}
