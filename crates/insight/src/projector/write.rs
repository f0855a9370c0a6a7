//! Writing a batch's events and what it changed of earlier ones.

use rustc_hash::FxHashMap;
use signalbox_core::time::Micros;
use signalbox_events::judge::{Change, Fold, RULE_VERSION, Reasons, weigh};
use signalbox_events::kind::Kind;
use signalbox_store::{Column, Conn, Insert, StoreError, Type};

use super::draft::Draft;
use super::versions::Rendered;

const EVENT: Insert = Insert {
    table: "event",
    columns: &[
        ("seq", Type::Int),
        ("id", Type::Text),
        ("principal_id", Type::Int),
        ("campaign_id", Type::Int),
        ("message_id", Type::Int),
        ("recipient_id", Type::Int),
        ("link_id", Type::Int),
        ("kind", Type::Int),
        ("occurred_at", Type::Int),
        ("received_at", Type::Int),
        ("source", Type::Bytes),
        ("user_agent_id", Type::Int),
        ("request_id", Type::Text),
        ("version", Type::Text),
        ("rendered", Type::Text),
        ("hints", Type::Int),
        ("value_micros", Type::Int),
        ("currency", Type::Text),
        ("detail", Type::Text),
        ("class", Type::Int),
        ("score", Type::Int),
        ("reasons", Type::Int),
        ("rule_version", Type::Int),
    ],
    conflict: "ON CONFLICT DO NOTHING",
    returning: "",
};

/// Inserts the batch; how many rows were really new.
pub(super) fn events(conn: &mut Conn<'_>, drafts: &[Draft<'_>], fold: &Fold) -> Result<u64, StoreError> {
    let ints = |each: &dyn Fn(&Draft<'_>) -> i64| Column::Ints(drafts.iter().map(each).collect());
    let verdict = |draft: &Draft<'_>| weigh(draft.kind, fold.reasons(draft.seq));
    conn.insert(
        &EVENT,
        &[
            ints(&|draft| draft.seq),
            Column::Texts(drafts.iter().map(|draft| draft.id.as_str()).collect()),
            ints(&|draft| draft.record.principal),
            ints(&|draft| draft.campaign),
            ints(&|draft| draft.message),
            ints(&|draft| draft.recipient),
            ints(&|draft| draft.link),
            ints(&|draft| draft.kind.code()),
            ints(&|draft| draft.record.occurred_at),
            ints(&|draft| draft.record.received_at),
            Column::OptBytes(
                drafts.iter().map(|draft| draft.record.source.as_ref().map(<[u8; 16]>::as_slice)).collect(),
            ),
            ints(&|draft| draft.user_agent),
            Column::Texts(drafts.iter().map(|draft| draft.record.request_id).collect()),
            Column::Texts(drafts.iter().map(|draft| draft.version).collect()),
            Column::OptTexts(drafts.iter().map(|draft| draft.rendered.as_deref()).collect()),
            ints(&|draft| i64::from(draft.record.hints)),
            Column::OptInts(
                drafts.iter().map(|draft| draft.record.detail.and_then(|detail| detail.value_micros)).collect(),
            ),
            Column::OptTexts(
                drafts
                    .iter()
                    .map(|draft| draft.record.detail.map(|detail| detail.currency).filter(|text| !text.is_empty()))
                    .collect(),
            ),
            Column::OptTexts(
                drafts
                    .iter()
                    .map(|draft| draft.record.detail.map(|detail| detail.json).filter(|text| !text.is_empty()))
                    .collect(),
            ),
            ints(&|draft| verdict(draft).class.code()),
            ints(&|draft| i64::from(verdict(draft).score)),
            ints(&|draft| i64::from(fold.reasons(draft.seq).0)),
            ints(&|draft| if draft.kind.is_judged() { RULE_VERSION } else { 0 }),
        ],
        &mut |_| Ok(()),
    )
}

/// What counters need to know of an event that was re-labelled.
#[derive(Debug, Clone)]
pub struct Relabelled {
    pub seq: i64,
    pub principal: i64,
    pub campaign: i64,
    pub recipient: i64,
    pub link: i64,
    pub kind: Kind,
    pub hour: i64,
    pub user_agent: i64,
    pub hints: u32,
    pub served: String,
    /// Empty where it is not known.
    pub rendered: String,
    pub before: Reasons,
    pub after: Reasons,
}

/// Gives earlier events their new verdicts, and tells where they count.
pub fn relabel(conn: &mut Conn<'_>, changes: &[Change]) -> Result<Vec<Relabelled>, StoreError> {
    let by_seq: FxHashMap<i64, &Change> = changes.iter().map(|change| (change.seq, change)).collect();
    let mut relabelled = Vec::with_capacity(changes.len());
    let sql = "SELECT e.seq, e.principal_id, e.campaign_id, e.recipient_id, e.link_id, e.kind, e.occurred_at, e.user_agent_id, e.reasons, e.hints,
        e.version, COALESCE(e.rendered, '') FROM {keys} CROSS JOIN event AS e WHERE e.seq = k.k0";
    conn.lookup(sql, &[Column::Ints(changes.iter().map(|change| change.seq).collect())], &mut |row| {
        let seq = row.int(0)?;
        relabelled.push(Relabelled {
            seq,
            principal: row.int(1)?,
            campaign: row.int(2)?,
            recipient: row.int(3)?,
            link: row.int(4)?,
            kind: Kind::from_code(row.int(5)?).ok_or(StoreError::Shape { column: 5 })?,
            hour: Micros(row.int(6)?).hour().0,
            user_agent: row.int(7)?,
            before: Reasons(row.int(8)? as u32),
            hints: row.int(9)? as u32,
            served: row.text(10)?,
            rendered: row.text(11)?,
            after: by_seq[&seq].after,
        });
        Ok(())
    })?;
    let verdict = |event: &Relabelled| weigh(event.kind, event.after);
    let ints = |each: &dyn Fn(&Relabelled) -> i64| Column::Ints(relabelled.iter().map(each).collect());
    let columns = [
        ints(&|event| event.seq),
        ints(&|event| verdict(event).class.code()),
        ints(&|event| i64::from(verdict(event).score)),
        ints(&|event| i64::from(event.after.0)),
        ints(&|_| RULE_VERSION),
    ];
    let sql = "UPDATE event SET class = k.k1, score = k.k2, reasons = k.k3, rule_version = k.k4 FROM {keys} WHERE event.seq = k.k0 RETURNING event.seq";
    conn.lookup(sql, &columns, &mut |_| Ok(()))?;
    Ok(relabelled)
}

/// Keeps what the fold learned of messages and sources.
pub(super) fn knowledge(conn: &mut Conn<'_>, fold: &Fold, rendered: &Rendered) -> Result<(), StoreError> {
    const MESSAGE: Insert = Insert {
        table: "message_state",
        columns: &[
            ("principal_id", Type::Int),
            ("message_id", Type::Int),
            ("sent_at", Type::Int),
            ("delivered_at", Type::Int),
            ("first_hit", Type::Int),
            ("rendered", Type::Text),
        ],
        conflict: "ON CONFLICT (principal_id, message_id)
            DO UPDATE SET sent_at = excluded.sent_at, delivered_at = excluded.delivered_at, first_hit = excluded.first_hit,
                rendered = COALESCE(message_state.rendered, excluded.rendered)",
        returning: "",
    };
    const SOURCE: Insert = Insert {
        table: "source_record",
        columns: &[("principal_id", Type::Int), ("source", Type::Bytes), ("judged", Type::Int), ("machine", Type::Int)],
        conflict: "ON CONFLICT (principal_id, source) DO UPDATE SET judged = excluded.judged, machine = excluded.machine",
        returning: "",
    };
    let mut messages: Vec<_> = fold.touched_messages().collect();
    messages.sort_unstable_by_key(|message| (message.0, message.1));
    conn.insert(
        &MESSAGE,
        &[
            Column::Ints(messages.iter().map(|message| message.0).collect()),
            Column::Ints(messages.iter().map(|message| message.1).collect()),
            Column::OptInts(messages.iter().map(|message| message.2.sent_at).collect()),
            Column::OptInts(messages.iter().map(|message| message.2.delivered_at).collect()),
            Column::OptInts(messages.iter().map(|message| message.2.first_hit).collect()),
            Column::OptTexts(messages.iter().map(|message| rendered.of(message.0, message.1)).collect()),
        ],
        &mut |_| Ok(()),
    )?;
    let mut sources: Vec<_> =
        fold.touched_sources().map(|(principal, source, record)| (principal, source.to_be_bytes(), record)).collect();
    sources.sort_unstable_by_key(|source| (source.0, source.1));
    conn.insert(
        &SOURCE,
        &[
            Column::Ints(sources.iter().map(|source| source.0).collect()),
            Column::Bytes(sources.iter().map(|source| source.1.as_slice()).collect()),
            Column::Ints(sources.iter().map(|source| source.2.judged).collect()),
            Column::Ints(sources.iter().map(|source| source.2.machine).collect()),
        ],
        &mut |_| Ok(()),
    )
    .map(|_| ())
}
