//! Which version did what: the version that served an event, the one that rendered its message, and how often.

use rustc_hash::{FxHashMap, FxHashSet};
use signalbox_events::kind::Kind;
use signalbox_events::record::hint;
use signalbox_store::{Column, Conn, Insert, Row, StoreError, Type};

use super::draft::Draft;

/// Messages are remembered a while longer than the fold does, which looks them up for both.
const MOST_REMEMBERED: usize = 500_000;

/// One row of `version_counter`: names stand for their place in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    served: usize,
    rendered: usize,
    hit: i64,
    kind: i64,
    class: i64,
}

/// The same with the names themselves. `hit` is 1 for what a pixel or a link of ours brought, 0 for what was reported.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionKey {
    pub served: String,
    pub rendered: String,
    pub hit: i64,
    pub kind: i64,
    pub class: i64,
}

/// Sums on their way into `version_counter`.
#[derive(Debug, Default)]
pub struct VersionCounts {
    names: Interned,
    totals: FxHashMap<Key, i64>,
}

/// The few names of versions.
#[derive(Debug, Default)]
struct Interned(Vec<String>);

impl Interned {
    fn place(&mut self, name: &str) -> usize {
        self.0.iter().position(|other| other == name).unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        })
    }
}

/// The columns of the table.
pub const VERSION: &[(&str, Type)] = &[
    ("served", Type::Text),
    ("rendered", Type::Text),
    ("hit", Type::Int),
    ("kind", Type::Int),
    ("class", Type::Int),
    ("total", Type::Int),
];

/// Whether the event came by a pixel or a link of ours.
pub fn is_hit(kind: Kind, hints: u32) -> bool {
    kind.is_judged() && hints & hint::REPORTED == 0
}

impl VersionCounts {
    /// Adds events that one version served and one rendered (empty where that is not known).
    pub fn add(&mut self, served: &str, rendered: &str, (kind, hints): (Kind, u32), class: i64, change: i64) {
        let (served, rendered) = (self.names.place(served), self.names.place(rendered));
        let hit = i64::from(is_hit(kind, hints));
        *self.totals.entry(Key { served, rendered, hit, kind: kind.code(), class }).or_default() += change;
    }

    /// All sums that are not nothing.
    pub fn totals(&self) -> FxHashMap<VersionKey, i64> {
        let name = |place: usize| self.names.0[place].clone();
        let totals = self.totals.iter().filter(|(_, total)| **total != 0);
        let named = totals.map(|(key, total)| {
            let Key { served, rendered, hit, kind, class } = *key;
            (VersionKey { served: name(served), rendered: name(rendered), hit, kind, class }, *total)
        });
        named.collect()
    }

    /// Adds them to what is stored.
    pub(super) fn write(&self, conn: &mut Conn<'_>) -> Result<(), StoreError> {
        let mut rows: Vec<_> = self.totals().into_iter().collect();
        rows.sort_unstable();
        let insert = Insert {
            table: "version_counter",
            columns: VERSION,
            conflict: "ON CONFLICT (served, rendered, hit, kind, class) DO UPDATE SET total = version_counter.total + excluded.total",
            returning: "",
        };
        conn.insert(&insert, &version_columns(&rows), &mut |_| Ok(())).map(|_| ())
    }
}

/// Reads the key from the first columns of a row.
pub fn read_version_key(row: &Row<'_>) -> Result<VersionKey, StoreError> {
    let (served, rendered) = (row.text(0)?, row.text(1)?);
    Ok(VersionKey { served, rendered, hit: row.int(2)?, kind: row.int(3)?, class: row.int(4)? })
}

/// Rows as [`VERSION`] has them.
pub fn version_columns(rows: &[(VersionKey, i64)]) -> [Column<'_>; 6] {
    let ints = |each: fn(&VersionKey) -> i64| Column::Ints(rows.iter().map(|row| each(&row.0)).collect());
    [
        Column::Texts(rows.iter().map(|row| row.0.served.as_str()).collect()),
        Column::Texts(rows.iter().map(|row| row.0.rendered.as_str()).collect()),
        ints(|key| key.hit),
        ints(|key| key.kind),
        ints(|key| key.class),
        Column::Ints(rows.iter().map(|row| row.1).collect()),
    ]
}

/// The versions that rendered messages: those through which their first `sent` event was accepted.
#[derive(Debug, Default)]
pub struct RenderedBy {
    names: Interned,
    of: FxHashMap<(i64, i64), usize>,
}

impl RenderedBy {
    /// Takes note of a `sent` event; the first one counts.
    pub fn note(&mut self, principal: i64, message: i64, served: &str) {
        let place = self.names.place(served);
        self.of.entry((principal, message)).or_insert(place);
    }

    /// Who rendered a message.
    pub fn of(&self, principal: i64, message: i64) -> Option<&str> {
        self.of.get(&(principal, message)).map(|place| self.names.0[*place].as_str())
    }
}

/// The same for a batch, with what the store knows.
#[derive(Debug, Default)]
pub(super) struct Rendered {
    known: RenderedBy,
    /// Messages that were looked up.
    asked: FxHashSet<(i64, i64)>,
}

impl Rendered {
    /// Takes in what the store says of a message.
    pub(super) fn supply(&mut self, principal: i64, message: i64, rendered: Option<&str>) {
        if let (true, Some(name)) = (self.asked.insert((principal, message)), rendered) {
            self.known.note(principal, message, name);
        }
    }

    /// Fills in who rendered the message of each draft, as it was known when the event came.
    pub(super) fn assign(&mut self, conn: &mut Conn<'_>, drafts: &mut [Draft<'_>]) -> Result<(), StoreError> {
        if self.asked.len() > MOST_REMEMBERED {
            *self = Self::default();
        }
        self.learn(conn, drafts)?;
        for draft in drafts.iter_mut().filter(|draft| draft.message != 0) {
            let (principal, message) = (draft.record.principal, draft.message);
            if draft.kind == Kind::Sent {
                self.known.note(principal, message, draft.version);
            }
            draft.rendered = self.known.of(principal, message).map(str::to_owned);
        }
        Ok(())
    }

    /// The messages that nobody has looked up yet.
    fn learn(&mut self, conn: &mut Conn<'_>, drafts: &[Draft<'_>]) -> Result<(), StoreError> {
        let mut unknown: Vec<(i64, i64)> = drafts
            .iter()
            .map(|draft| (draft.record.principal, draft.message))
            .filter(|key| key.1 != 0 && !self.asked.contains(key))
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        let keys = [
            Column::Ints(unknown.iter().map(|key| key.0).collect()),
            Column::Ints(unknown.iter().map(|key| key.1).collect()),
        ];
        let sql = "SELECT m.principal_id, m.message_id, m.rendered FROM {keys} CROSS JOIN message_state AS m
            WHERE m.principal_id = k.k0 AND m.message_id = k.k1";
        conn.lookup(sql, &keys, &mut |row| {
            self.supply(row.int(0)?, row.int(1)?, row.opt_text(2)?.as_deref());
            Ok(())
        })?;
        unknown.into_iter().for_each(|(principal, message)| self.supply(principal, message, None));
        Ok(())
    }

    /// Who rendered a message.
    pub(super) fn of(&self, principal: i64, message: i64) -> Option<&str> {
        self.known.of(principal, message)
    }
}
