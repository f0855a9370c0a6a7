//! What the fold over the log needs from the store before it takes a batch.

use rustc_hash::FxHashMap;
use signalbox_core::address::{from_bytes, source_key};
use signalbox_events::judge::{Fold, Hit, MessageState, Needs, Reasons, SourceRecord, Window};
use signalbox_events::kind::Kind;
use signalbox_store::{Column, Conn, StoreError};

use super::versions::Rendered;
use crate::stretch;

/// Looks up what the store knows of the messages and sources in `needs`, and gives it to `fold`; who rendered a message goes
/// to `rendered`.
pub(super) fn supply_known(
    conn: &mut Conn<'_>,
    fold: &mut Fold,
    needs: &Needs,
    rendered: &mut Rendered,
) -> Result<(), StoreError> {
    messages(conn, fold, needs, rendered)?;
    sources(conn, fold, &needs.sources)
}

/// Looks up the sources that the supplied hits brought up.
pub fn supply_wanted(conn: &mut Conn<'_>, fold: &mut Fold) -> Result<(), StoreError> {
    let wanted = fold.wanted_sources();
    sources(conn, fold, &wanted)
}

fn messages(conn: &mut Conn<'_>, fold: &mut Fold, needs: &Needs, rendered: &mut Rendered) -> Result<(), StoreError> {
    let mut wanted = needs.messages.clone();
    wanted.sort_unstable();
    let keys = [
        Column::Ints(wanted.iter().map(|key| key.0).collect()),
        Column::Ints(wanted.iter().map(|key| key.1).collect()),
    ];
    let mut found = FxHashMap::default();
    let sql = "SELECT m.principal_id, m.message_id, m.sent_at, m.delivered_at, m.first_hit, m.rendered FROM {keys} CROSS JOIN message_state AS m
        WHERE m.principal_id = k.k0 AND m.message_id = k.k1";
    conn.lookup(sql, &keys, &mut |row| {
        rendered.supply(row.int(0)?, row.int(1)?, row.opt_text(5)?.as_deref());
        found.insert(
            (row.int(0)?, row.int(1)?),
            MessageState { sent_at: row.opt_int(2)?, delivered_at: row.opt_int(3)?, first_hit: row.opt_int(4)? },
        );
        Ok(())
    })?;
    for key in &wanted {
        fold.supply_message(key.0, key.1, found.get(key).copied().unwrap_or_default());
        rendered.supply(key.0, key.1, None);
    }
    Ok(())
}

fn sources(conn: &mut Conn<'_>, fold: &mut Fold, wanted: &[(i64, u128)]) -> Result<(), StoreError> {
    let mut wanted = wanted.to_vec();
    wanted.sort_unstable();
    let bytes: Vec<[u8; 16]> = wanted.iter().map(|key| key.1.to_be_bytes()).collect();
    let keys = [
        Column::Ints(wanted.iter().map(|key| key.0).collect()),
        Column::Bytes(bytes.iter().map(<[u8; 16]>::as_slice).collect()),
    ];
    let mut found = FxHashMap::default();
    let sql = "SELECT s.principal_id, s.source, s.judged, s.machine FROM {keys} CROSS JOIN source_record AS s
        WHERE s.principal_id = k.k0 AND s.source = k.k1";
    conn.lookup(sql, &keys, &mut |row| {
        let source = row.opt_address(1)?.map(u128::from_be_bytes).ok_or(StoreError::Shape { column: 1 })?;
        found.insert((row.int(0)?, source), SourceRecord { judged: row.int(2)?, machine: row.int(3)? });
        Ok(())
    })?;
    for key in &wanted {
        fold.supply_source(key.0, key.1, found.get(key).copied().unwrap_or_default());
    }
    Ok(())
}

/// Looks up the earlier hits in `needs` (those before `before_seq`), and gives them to `fold`, which knows the messages
/// by now. `reasons_of` tells what a hit is judged to be, given what is stored.
pub fn supply_hits(
    conn: &mut Conn<'_>,
    fold: &mut Fold,
    needs: &Needs,
    before_seq: i64,
    reasons_of: &dyn Fn(i64, Reasons) -> Reasons,
) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT e.seq, e.principal_id, e.message_id, e.link_id, e.kind, e.occurred_at, e.source, e.reasons FROM {{keys}} CROSS JOIN event AS e
         WHERE {} = k.k4 AND e.message_id = k.k1 AND e.message_id <> 0 AND e.principal_id = k.k0 AND e.occurred_at >= k.k2 AND e.occurred_at <= k.k3
         AND e.kind IN ({}, {}) AND +e.seq < {before_seq}",
        stretch::OF_EVENT,
        Kind::Opened.code(),
        Kind::Clicked.code()
    );
    let mut hits = Vec::new();
    for windows in needs.windows.chunks(stretch::KEYS_AT_ONCE) {
        let spread = stretch::spread(windows.iter().map(|window| {
            let first = fold.first_hit(window.principal, window.message).unwrap_or(before_seq);
            stretch::between(first, before_seq - 1)
        }));
        let ints =
            |each: fn(&Window) -> i64| Column::Ints(spread.iter().map(|(_, place)| each(&windows[*place])).collect());
        let keys = [
            ints(|window| window.principal),
            ints(|window| window.message),
            ints(|window| window.from),
            ints(|window| window.to),
            Column::Ints(spread.iter().map(|(stretch, _)| *stretch).collect()),
        ];
        conn.lookup(&sql, &keys, &mut |row| {
            let seq = row.int(0)?;
            hits.push(Hit {
                seq,
                principal: row.int(1)?,
                message: row.int(2)?,
                link: row.int(3)?,
                kind: Kind::from_code(row.int(4)?).ok_or(StoreError::Shape { column: 4 })?,
                occurred_at: row.int(5)?,
                source: row.opt_address(6)?.map(|bytes| source_key(from_bytes(bytes))),
                reasons: reasons_of(seq, Reasons(row.int(7)? as u32)),
            });
            Ok(())
        })?;
    }
    hits.iter().for_each(|hit| fold.supply_hit(hit));
    Ok(())
}
