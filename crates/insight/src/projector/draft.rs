//! Events on their way from the log into rows: names become ids, duplicates go.

use rustc_hash::{FxHashMap, FxHashSet};
use signalbox_core::address::{from_bytes, source_key};
use signalbox_core::id::{EventId, IdMaker};
use signalbox_core::time::Micros;
use signalbox_events::chunk;
use signalbox_events::judge::{Hit, Reasons};
use signalbox_events::kind::Kind;
use signalbox_events::record::{Name as RecordName, Record, RecordId};
use signalbox_store::{Column, Conn, LogRow, StoreError};

use super::agents::Agents;
use crate::names::{Name, Space, resolve};
use crate::synthetic::{Arrived, PRINCIPAL};

const MOST_REMEMBERED: usize = 50_000;

/// An event with ids instead of names.
#[derive(Debug)]
pub(super) struct Draft<'l> {
    pub(super) seq: i64,
    pub(super) id: String,
    pub(super) version: &'l str,
    pub(super) record: Record<'l>,
    pub(super) kind: Kind,
    pub(super) campaign: i64,
    pub(super) message: i64,
    pub(super) recipient: i64,
    pub(super) link: i64,
    pub(super) user_agent: i64,
    /// The version that rendered its message, where that is known.
    pub(super) rendered: Option<String>,
    /// The signals that it carries by itself.
    pub(super) own: Reasons,
}

impl Draft<'_> {
    pub(super) fn hit(&self) -> Hit {
        Hit {
            seq: self.seq,
            principal: self.record.principal,
            message: self.message,
            link: self.link,
            kind: self.kind,
            occurred_at: self.record.occurred_at,
            source: self.record.source.map(|bytes| source_key(from_bytes(bytes))),
            reasons: self.own,
        }
    }
}

/// What came out of rows of the log: events, and hits that somebody made to try a version.
pub(super) struct Unpacked<'l> {
    pub(super) drafts: Vec<Draft<'l>>,
    pub(super) synthetic: Vec<Arrived<'l>>,
}

/// Unpacks rows of the log.
pub(super) fn unpack(rows: &[LogRow]) -> Result<Unpacked<'_>, StoreError> {
    let mut synthetic = Vec::new();
    let mut drafts = Vec::with_capacity(rows.iter().map(|row| row.count as usize).sum());
    for row in rows {
        let mut seq = row.first_seq;
        let mut unknown = None;
        chunk::read(&row.body, row.count, |version, record| {
            match Kind::from_code(i64::from(record.kind)) {
                Some(kind) if record.principal == PRINCIPAL => {
                    synthetic.push(Arrived { seq, id: record.id, message: record.message, kind: kind.code(), version })
                }
                Some(kind) => drafts.push(Draft {
                    seq,
                    id: match record.id {
                        RecordId::Own(id) => EventId(id).to_string(),
                        RecordId::Given(id) => id.to_owned(),
                    },
                    version,
                    record,
                    kind,
                    campaign: 0,
                    message: 0,
                    recipient: 0,
                    link: 0,
                    user_agent: 0,
                    rendered: None,
                    own: Reasons::NONE,
                }),
                None => unknown = Some(record.kind),
            }
            seq += 1;
        })
        .map_err(|error| StoreError::Corrupt(format!("intake row {}: {error}", row.first_seq)))?;
        if let Some(kind) = unknown {
            return Err(StoreError::Aborted(format!(
                "intake row {} holds events of kind {kind}, which this version does not know",
                row.first_seq
            )));
        }
    }
    Ok(Unpacked { drafts, synthetic })
}

/// Drops events whose id was there before, in the store or earlier in the batch. Ids that Signalbox made are looked
/// up only when `all` says so: they are new unless a client made one up.
pub(super) fn drop_duplicates(conn: &mut Conn<'_>, drafts: &mut Vec<Draft<'_>>, all: bool) -> Result<u64, StoreError> {
    let before = drafts.len();
    let mut seen: FxHashSet<(i64, &str)> = FxHashSet::default();
    let mut given = (Vec::new(), Vec::new());
    let mut repeated: FxHashSet<i64> = FxHashSet::default();
    for draft in drafts.iter() {
        if !seen.insert((draft.record.principal, &draft.id)) {
            repeated.insert(draft.seq);
        }
        if all || matches!(draft.record.id, RecordId::Given(_)) {
            given.0.push(draft.record.principal);
            given.1.push(draft.id.as_str());
        }
    }
    let mut stored: FxHashSet<(i64, String)> = FxHashSet::default();
    let sql =
        "SELECT e.principal_id, e.id FROM {keys} CROSS JOIN event AS e WHERE e.principal_id = k.k0 AND e.id = k.k1";
    conn.lookup(sql, &[Column::Ints(given.0), Column::Texts(given.1)], &mut |row| {
        stored.insert((row.int(0)?, row.text(1)?));
        Ok(())
    })?;
    if stored.is_empty() && repeated.is_empty() {
        return Ok(0);
    }
    drafts.retain(|draft| {
        !repeated.contains(&draft.seq)
            && (stored.is_empty() || !stored.contains(&(draft.record.principal, draft.id.clone())))
    });
    Ok((before - drafts.len()) as u64)
}

/// Ids of names, remembered between batches.
#[derive(Default)]
pub(super) struct Names(FxHashMap<Name, i64>);

impl Names {
    /// Fills in every id of the drafts.
    pub(super) fn fill(
        &mut self,
        conn: &mut Conn<'_>,
        drafts: &mut [Draft<'_>],
        agents: &mut Agents,
        ids: &IdMaker,
        now: Micros,
    ) -> Result<(), StoreError> {
        if self.0.len() > MOST_REMEMBERED {
            self.0.clear();
        }
        // Links are named within their campaign, so campaigns come first.
        self.learn(conn, drafts, ids, now, |draft| {
            let plain = [
                (Space::Campaign, draft.record.campaign),
                (Space::Contact, draft.record.recipient),
                (Space::Message, draft.record.message),
            ];
            plain.into_iter().filter_map(|(space, name)| named(draft, space, name)).collect()
        })?;
        for draft in drafts.iter_mut() {
            draft.campaign = self.id(draft, Space::Campaign, draft.record.campaign);
            draft.recipient = self.id(draft, Space::Contact, draft.record.recipient);
            draft.message = self.id(draft, Space::Message, draft.record.message);
        }
        self.learn(conn, drafts, ids, now, |draft| {
            named(draft, Space::Link { campaign: draft.campaign }, draft.record.link).into_iter().collect()
        })?;
        agents.learn(conn, drafts.iter().map(|draft| draft.record.user_agent), ids, now)?;
        for draft in drafts.iter_mut() {
            draft.link = self.id(draft, Space::Link { campaign: draft.campaign }, draft.record.link);
            draft.user_agent = agents.id(draft.record.user_agent);
            draft.own = agents.own_reasons(
                draft.kind,
                draft.user_agent,
                draft.record.source.map(from_bytes),
                draft.record.hints,
            );
        }
        Ok(())
    }

    fn learn(
        &mut self,
        conn: &mut Conn<'_>,
        drafts: &[Draft<'_>],
        ids: &IdMaker,
        now: Micros,
        names: impl Fn(&Draft<'_>) -> Vec<Name>,
    ) -> Result<(), StoreError> {
        let has_names = |draft: &&Draft<'_>| {
            [draft.record.campaign, draft.record.recipient, draft.record.message, draft.record.link]
                .iter()
                .any(|name| matches!(name, RecordName::Key(_)))
        };
        let unknown: FxHashSet<Name> =
            drafts.iter().filter(has_names).flat_map(names).filter(|name| !self.0.contains_key(name)).collect();
        let mut unknown: Vec<Name> = unknown.into_iter().collect();
        unknown.sort_unstable_by(|one, other| (one.principal, &one.key).cmp(&(other.principal, &other.key)));
        self.0.extend(resolve(conn, &unknown, ids, now)?);
        Ok(())
    }

    fn id(&self, draft: &Draft<'_>, space: Space, name: RecordName<'_>) -> i64 {
        match name {
            RecordName::None => 0,
            RecordName::Id(id) => id,
            RecordName::Key(_) => {
                named(draft, space, name).and_then(|name| self.0.get(&name).copied()).unwrap_or_default()
            }
        }
    }
}

fn named(draft: &Draft<'_>, space: Space, name: RecordName<'_>) -> Option<Name> {
    match name {
        RecordName::Key(key) => Some(Name { principal: draft.record.principal, space, key: key.to_owned() }),
        _ => None,
    }
}
