//! Comparing computed figures with stored ones, table by table, and correcting the rows that differ.

use std::hash::Hash;

use rustc_hash::FxHashMap;
use signalbox_events::judge::{MessageState, SourceRecord};
use signalbox_store::{Column, Conn, Insert, Row, Scope, Store, StoreError, Type, Value};

use super::recompute::Figures;
use crate::projector::{
    CLIENT, COUNTER, ClientKey, ConversionKey, CounterKey, Counts, FirstKey, RenderedBy, Span, VERSION, VersionKey,
    read_first_key, read_version_key, version_columns,
};

/// Rows that differ between what is stored and what was computed.
pub(super) struct Differing<K, V> {
    /// Rows to be written, missing or wrong so far.
    pub(super) write: Vec<(K, V)>,
    /// Rows that should not be there.
    pub(super) delete: Vec<K>,
}

impl<K, V> Differing<K, V> {
    pub(super) fn len(&self) -> u64 {
        (self.write.len() + self.delete.len()) as u64
    }
}

/// Compares one table. Rows for which `empty` holds count as absent on both sides.
fn differing<K: Eq + Hash + Clone, V: Eq + Copy>(
    conn: &mut Conn<'_>,
    sql: &str,
    read: impl Fn(&Row<'_>) -> Result<(K, V), StoreError>,
    computed: &FxHashMap<K, V>,
    empty: impl Fn(&V) -> bool,
) -> Result<Differing<K, V>, StoreError> {
    let mut result = Differing { write: Vec::new(), delete: Vec::new() };
    let mut matched = 0;
    let mut wrong: FxHashMap<K, ()> = FxHashMap::default();
    conn.stream(sql, &[], &mut |row| {
        let (key, stored) = read(row)?;
        match computed.get(&key) {
            Some(value) if *value == stored => matched += 1,
            Some(value) if !empty(value) || !empty(&stored) => {
                result.write.push((key.clone(), *value));
                wrong.insert(key, ());
            }
            Some(_) => matched += 1,
            None if empty(&stored) => (),
            None => result.delete.push(key),
        }
        Ok(())
    })?;
    if matched + wrong.len() == computed.len() {
        return Ok(result);
    }
    // Some computed rows are not stored: find them.
    let mut stored: rustc_hash::FxHashSet<K> = rustc_hash::FxHashSet::default();
    conn.stream(sql, &[], &mut |row| {
        stored.insert(read(row)?.0);
        Ok(())
    })?;
    let missing = computed.iter().filter(|(key, value)| !empty(value) && !stored.contains(*key));
    result.write.extend(missing.map(|(key, value)| (key.clone(), *value)));
    Ok(result)
}

pub(super) struct All {
    pub(super) spans: Vec<OfSpan>,
    pub(super) conversions: Differing<ConversionKey, (i64, i64)>,
    pub(super) firsts: Differing<FirstKey, (i64, i64)>,
    pub(super) messages: Differing<(i64, i64), MessageState>,
    pub(super) sources: Differing<(i64, u128), SourceRecord>,
    pub(super) versions: Differing<VersionKey, i64>,
}

/// The tables of counters of one span.
pub(super) struct OfSpan {
    span: Span,
    pub(super) counters: Differing<CounterKey, (i64, i64)>,
    pub(super) clients: Differing<ClientKey, i64>,
}

fn nothing(sums: &(i64, i64)) -> bool {
    *sums == (0, 0)
}

fn of_span(conn: &mut Conn<'_>, span: Span, counts: &Counts) -> Result<OfSpan, StoreError> {
    Ok(OfSpan {
        span,
        counters: differing(
            conn,
            &format!(
                "SELECT principal_id, campaign_id, hour, link_id, kind, class, total, uniques FROM {}",
                span.counter()
            ),
            |row| {
                let key = CounterKey {
                    principal: row.int(0)?,
                    campaign: row.int(1)?,
                    hour: row.int(2)?,
                    link: row.int(3)?,
                    kind: row.int(4)?,
                    class: row.int(5)?,
                };
                Ok((key, (row.int(6)?, row.int(7)?)))
            },
            &counts.counters,
            nothing,
        )?,
        clients: differing(
            conn,
            &format!(
                "SELECT principal_id, campaign_id, hour, kind, class, client, device, total FROM {}",
                span.client_counter()
            ),
            |row| {
                let key = ClientKey {
                    principal: row.int(0)?,
                    campaign: row.int(1)?,
                    hour: row.int(2)?,
                    kind: row.int(3)?,
                    class: row.int(4)?,
                    client: row.text(5)?.into(),
                    device: row.text(6)?.into(),
                };
                Ok((key, row.int(7)?))
            },
            &counts.clients,
            |total| *total == 0,
        )?,
    })
}

/// Compares every derived table with `figures`. The largest is read beside the others, by a connection of its own: the
/// caller's transaction holds the projector, and has changed nothing yet.
pub(super) fn all(store: &Store, conn: &mut Conn<'_>, figures: &Figures) -> Result<All, StoreError> {
    std::thread::scope(|threads| {
        let firsts = threads.spawn(|| store.read_here(&Scope::all(), |conn| firsts(conn, figures)));
        Ok(All {
            spans: vec![
                of_span(conn, Span::Hour, &figures.sums.counts)?,
                of_span(conn, Span::Day, &figures.sums.counts.by_day())?,
            ],
            conversions: differing(
                conn,
                "SELECT principal_id, campaign_id, hour, currency, total, value_micros FROM conversion_counter",
                |row| {
                    let key = ConversionKey {
                        principal: row.int(0)?,
                        campaign: row.int(1)?,
                        hour: row.int(2)?,
                        currency: row.text(3)?,
                    };
                    Ok((key, (row.int(4)?, row.int(5)?)))
                },
                &figures.sums.counts.conversions,
                nothing,
            )?,
            messages: differing(
                conn,
                "SELECT principal_id, message_id, sent_at, delivered_at, first_hit FROM message_state",
                |row| {
                    Ok((
                        (row.int(0)?, row.int(1)?),
                        MessageState {
                            sent_at: row.opt_int(2)?,
                            delivered_at: row.opt_int(3)?,
                            first_hit: row.opt_int(4)?,
                        },
                    ))
                },
                &figures.messages,
                |_| false,
            )?,
            sources: differing(
                conn,
                "SELECT principal_id, source, judged, machine FROM source_record",
                |row| {
                    let source = row.opt_address(1)?.map(u128::from_be_bytes).ok_or(StoreError::Shape { column: 1 })?;
                    Ok(((row.int(0)?, source), SourceRecord { judged: row.int(2)?, machine: row.int(3)? }))
                },
                &figures.sources,
                |record| *record == SourceRecord::default(),
            )?,
            versions: differing(
                conn,
                "SELECT served, rendered, hit, kind, class, total FROM version_counter",
                |row| Ok((read_version_key(row)?, row.int(5)?)),
                &figures.sums.counts.versions.totals(),
                |total| *total == 0,
            )?,
            firsts: firsts.join().map_err(|_| StoreError::Aborted("comparing crashed".into()))??,
        })
    })
}

fn firsts(conn: &mut Conn<'_>, figures: &Figures) -> Result<Differing<FirstKey, (i64, i64)>, StoreError> {
    differing(
        conn,
        "SELECT principal_id, campaign_id, kind, class, link_id, recipient_id, seq, hour FROM first_hit",
        |row| Ok((read_first_key(row)?, (row.int(6)?, row.int(7)?))),
        &figures.sums.firsts,
        |_| false,
    )
}

fn replace(
    conn: &mut Conn<'_>,
    table: &'static str,
    columns: &'static [(&'static str, Type)],
    conflict: &'static str,
    values: &[Column<'_>],
) -> Result<(), StoreError> {
    conn.insert(&Insert { table, columns, conflict, returning: "" }, values, &mut |_| Ok(())).map(|_| ())
}

fn remove<K>(
    conn: &mut Conn<'_>,
    sql: &str,
    keys: &[K],
    params: impl Fn(&K) -> Vec<Value<'_>>,
) -> Result<(), StoreError> {
    keys.iter().try_for_each(|key| conn.execute(sql, &params(key)).map(|_| ()))
}

const INT: Type = Type::Int;

fn ints<R>(rows: &[R], each: impl Fn(&R) -> i64) -> Column<'static> {
    Column::Ints(rows.iter().map(each).collect())
}

fn correct_span(conn: &mut Conn<'_>, of_span: &OfSpan) -> Result<(), StoreError> {
    let rows = &of_span.counters.write;
    replace(
        conn,
        of_span.span.counter(),
        COUNTER,
        "ON CONFLICT (principal_id, campaign_id, hour, link_id, kind, class) DO UPDATE SET total = excluded.total, uniques = excluded.uniques",
        &[
            ints(rows, |row| row.0.principal),
            ints(rows, |row| row.0.campaign),
            ints(rows, |row| row.0.hour),
            ints(rows, |row| row.0.link),
            ints(rows, |row| row.0.kind),
            ints(rows, |row| row.0.class),
            ints(rows, |row| row.1.0),
            ints(rows, |row| row.1.1),
        ],
    )?;
    let sql = format!(
        "DELETE FROM {} WHERE principal_id = $1 AND campaign_id = $2 AND hour = $3 AND link_id = $4 AND kind = $5 AND class = $6",
        of_span.span.counter()
    );
    remove(conn, &sql, &of_span.counters.delete, |key| {
        vec![
            key.principal.into(),
            key.campaign.into(),
            key.hour.into(),
            key.link.into(),
            key.kind.into(),
            key.class.into(),
        ]
    })?;
    let rows = &of_span.clients.write;
    replace(
        conn,
        of_span.span.client_counter(),
        CLIENT,
        "ON CONFLICT (principal_id, campaign_id, hour, kind, class, client, device) DO UPDATE SET total = excluded.total",
        &[
            ints(rows, |row| row.0.principal),
            ints(rows, |row| row.0.campaign),
            ints(rows, |row| row.0.hour),
            ints(rows, |row| row.0.kind),
            ints(rows, |row| row.0.class),
            Column::Texts(rows.iter().map(|row| row.0.client.as_ref()).collect()),
            Column::Texts(rows.iter().map(|row| row.0.device.as_ref()).collect()),
            ints(rows, |row| row.1),
        ],
    )?;
    let sql = format!(
        "DELETE FROM {} WHERE principal_id = $1 AND campaign_id = $2 AND hour = $3 AND kind = $4 AND class = $5 AND client = $6 AND device = $7",
        of_span.span.client_counter()
    );
    remove(conn, &sql, &of_span.clients.delete, |key| {
        let (client, device): (&str, &str) = (&key.client, &key.device);
        vec![
            key.principal.into(),
            key.campaign.into(),
            key.hour.into(),
            key.kind.into(),
            key.class.into(),
            client.into(),
            device.into(),
        ]
    })?;
    Ok(())
}

/// Corrects every row that differs.
pub(super) fn correct(conn: &mut Conn<'_>, all: &All, rendered: &RenderedBy) -> Result<(), StoreError> {
    for of_span in &all.spans {
        correct_span(conn, of_span)?;
    }
    let rows = &all.conversions.write;
    replace(
        conn,
        "conversion_counter",
        &[
            ("principal_id", INT),
            ("campaign_id", INT),
            ("hour", INT),
            ("currency", Type::Text),
            ("total", INT),
            ("value_micros", INT),
        ],
        "ON CONFLICT (principal_id, campaign_id, hour, currency) DO UPDATE SET total = excluded.total, value_micros = excluded.value_micros",
        &[
            ints(rows, |row| row.0.principal),
            ints(rows, |row| row.0.campaign),
            ints(rows, |row| row.0.hour),
            Column::Texts(rows.iter().map(|row| row.0.currency.as_str()).collect()),
            ints(rows, |row| row.1.0),
            ints(rows, |row| row.1.1),
        ],
    )?;
    let sql =
        "DELETE FROM conversion_counter WHERE principal_id = $1 AND campaign_id = $2 AND hour = $3 AND currency = $4";
    remove(conn, sql, &all.conversions.delete, |key| {
        vec![key.principal.into(), key.campaign.into(), key.hour.into(), key.currency.as_str().into()]
    })?;
    correct_versions(conn, &all.versions)?;
    correct_state(conn, all, rendered)
}

fn correct_versions(conn: &mut Conn<'_>, versions: &Differing<VersionKey, i64>) -> Result<(), StoreError> {
    let conflict = "ON CONFLICT (served, rendered, hit, kind, class) DO UPDATE SET total = excluded.total";
    replace(conn, "version_counter", VERSION, conflict, &version_columns(&versions.write))?;
    let sql =
        "DELETE FROM version_counter WHERE served = $1 AND rendered = $2 AND hit = $3 AND kind = $4 AND class = $5";
    remove(conn, sql, &versions.delete, |key| {
        vec![
            key.served.as_str().into(),
            key.rendered.as_str().into(),
            key.hit.into(),
            key.kind.into(),
            key.class.into(),
        ]
    })
}

fn correct_state(conn: &mut Conn<'_>, all: &All, rendered: &RenderedBy) -> Result<(), StoreError> {
    let rows = &all.firsts.write;
    let ints = |each: fn(&(FirstKey, (i64, i64))) -> i64| Column::Ints(rows.iter().map(each).collect());
    replace(
        conn,
        "first_hit",
        &[
            ("principal_id", INT),
            ("campaign_id", INT),
            ("kind", INT),
            ("class", INT),
            ("link_id", INT),
            ("recipient_id", INT),
            ("seq", INT),
            ("hour", INT),
        ],
        "ON CONFLICT (principal_id, campaign_id, kind, class, link_id, recipient_id) DO UPDATE SET seq = excluded.seq, hour = excluded.hour",
        &[
            ints(|row| row.0.principal),
            ints(|row| row.0.campaign),
            ints(|row| row.0.kind),
            ints(|row| row.0.class),
            ints(|row| row.0.link),
            ints(|row| row.0.recipient),
            ints(|row| row.1.0),
            ints(|row| row.1.1),
        ],
    )?;
    let sql = "DELETE FROM first_hit WHERE principal_id = $1 AND campaign_id = $2 AND kind = $3 AND class = $4 AND link_id = $5 AND recipient_id = $6";
    remove(conn, sql, &all.firsts.delete, |key| {
        vec![
            key.principal.into(),
            key.campaign.into(),
            key.kind.into(),
            key.class.into(),
            key.link.into(),
            key.recipient.into(),
        ]
    })?;
    let rows = &all.messages.write;
    replace(
        conn,
        "message_state",
        &[
            ("principal_id", INT),
            ("message_id", INT),
            ("sent_at", INT),
            ("delivered_at", INT),
            ("first_hit", INT),
            ("rendered", Type::Text),
        ],
        "ON CONFLICT (principal_id, message_id)
            DO UPDATE SET sent_at = excluded.sent_at, delivered_at = excluded.delivered_at, first_hit = excluded.first_hit,
                rendered = COALESCE(message_state.rendered, excluded.rendered)",
        &[
            Column::Ints(rows.iter().map(|row| row.0.0).collect()),
            Column::Ints(rows.iter().map(|row| row.0.1).collect()),
            Column::OptInts(rows.iter().map(|row| row.1.sent_at).collect()),
            Column::OptInts(rows.iter().map(|row| row.1.delivered_at).collect()),
            Column::OptInts(rows.iter().map(|row| row.1.first_hit).collect()),
            Column::OptTexts(rows.iter().map(|row| rendered.of(row.0.0, row.0.1)).collect()),
        ],
    )?;
    remove(
        conn,
        "DELETE FROM message_state WHERE principal_id = $1 AND message_id = $2",
        &all.messages.delete,
        |key| vec![key.0.into(), key.1.into()],
    )?;
    let rows: Vec<_> = all.sources.write.iter().map(|(key, record)| (key.0, key.1.to_be_bytes(), record)).collect();
    replace(
        conn,
        "source_record",
        &[("principal_id", INT), ("source", Type::Bytes), ("judged", INT), ("machine", INT)],
        "ON CONFLICT (principal_id, source) DO UPDATE SET judged = excluded.judged, machine = excluded.machine",
        &[
            Column::Ints(rows.iter().map(|row| row.0).collect()),
            Column::Bytes(rows.iter().map(|row| row.1.as_slice()).collect()),
            Column::Ints(rows.iter().map(|row| row.2.judged).collect()),
            Column::Ints(rows.iter().map(|row| row.2.machine).collect()),
        ],
    )?;
    for key in &all.sources.delete {
        let source = key.1.to_be_bytes();
        conn.execute(
            "DELETE FROM source_record WHERE principal_id = $1 AND source = $2",
            &[key.0.into(), source.as_slice().into()],
        )?;
    }
    Ok(())
}
