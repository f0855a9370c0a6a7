//! Uniques: per recipient, campaign, kind, link and class the first event by seq, counted in its hour.
//! Re-labelling an event may take the first of one class away and give another class an earlier one.

use rustc_hash::{FxHashMap, FxHashSet};
use signalbox_core::time::Micros;
use signalbox_store::{Column, Conn, Insert, StoreError, Type};

use super::counting::{CounterKey, Counts};
use crate::stretch;

const MOST_REMEMBERED: usize = 110_000;

/// What "first" is first of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FirstKey {
    pub principal: i64,
    pub campaign: i64,
    pub kind: i64,
    pub class: i64,
    pub link: i64,
    pub recipient: i64,
}

/// Seq and hour of a first.
pub(super) type First = (i64, i64);

impl FirstKey {
    /// The counter in which a first of this key counts when it lies in `hour`.
    pub fn counter(&self, hour: i64) -> CounterKey {
        CounterKey {
            principal: self.principal,
            campaign: self.campaign,
            hour,
            link: self.link,
            kind: self.kind,
            class: self.class,
        }
    }
}

const KEY: &[(&str, Type)] = &[
    ("principal_id", Type::Int),
    ("campaign_id", Type::Int),
    ("kind", Type::Int),
    ("class", Type::Int),
    ("link_id", Type::Int),
    ("recipient_id", Type::Int),
    ("seq", Type::Int),
    ("hour", Type::Int),
];
const NEW: Insert = Insert {
    table: "first_hit",
    columns: KEY,
    conflict: "ON CONFLICT DO NOTHING",
    returning: "principal_id, campaign_id, kind, class, link_id, recipient_id",
};
const MOVED: Insert = Insert {
    table: "first_hit",
    columns: KEY,
    conflict: "ON CONFLICT (principal_id, campaign_id, kind, class, link_id, recipient_id) DO UPDATE SET seq = excluded.seq, hour = excluded.hour",
    returning: "",
};
/// Finds the row `f` of a key in `k0` to `k5`.
pub const KEY_MATCHES: &str = "f.principal_id = k.k0 AND f.campaign_id = k.k1 AND f.kind = k.k2 AND f.class = k.k3 AND f.link_id = k.k4 AND f.recipient_id = k.k5";

/// The firsts that are known to exist, so that most events need no look-up.
#[derive(Default)]
pub(super) struct Firsts {
    known: FxHashSet<FirstKey>,
}

/// What a batch does to firsts.
#[derive(Default)]
pub(super) struct FirstChanges {
    /// The first event of each key among the batch's own.
    pub(super) arrived: FxHashMap<FirstKey, First>,
    /// Earlier events that came to a key by being re-labelled.
    pub(super) gained: FxHashMap<FirstKey, First>,
    /// Earlier events that a key lost.
    pub(super) lost: FxHashMap<FirstKey, FxHashSet<i64>>,
}

/// Keys as columns of a look-up.
pub fn first_columns(keys: &[FirstKey]) -> Vec<Column<'static>> {
    let ints = |each: fn(&FirstKey) -> i64| Column::Ints(keys.iter().map(each).collect());
    vec![
        ints(|key| key.principal),
        ints(|key| key.campaign),
        ints(|key| key.kind),
        ints(|key| key.class),
        ints(|key| key.link),
        ints(|key| key.recipient),
    ]
}

fn rows(rows: &[(FirstKey, First)]) -> Vec<Column<'static>> {
    let mut all = first_columns(&rows.iter().map(|(key, _)| *key).collect::<Vec<_>>());
    all.push(Column::Ints(rows.iter().map(|(_, first)| first.0).collect()));
    all.push(Column::Ints(rows.iter().map(|(_, first)| first.1).collect()));
    all
}

/// The key in the first six columns of a row.
pub fn read_first_key(row: &signalbox_store::Row<'_>) -> Result<FirstKey, StoreError> {
    Ok(FirstKey {
        principal: row.int(0)?,
        campaign: row.int(1)?,
        kind: row.int(2)?,
        class: row.int(3)?,
        link: row.int(4)?,
        recipient: row.int(5)?,
    })
}

impl Firsts {
    /// Applies a batch's changes. The events themselves, and their new classes, are in the store by now.
    pub(super) fn apply(
        &mut self,
        conn: &mut Conn<'_>,
        changes: FirstChanges,
        counts: &mut Counts,
    ) -> Result<(), StoreError> {
        if self.known.len() > MOST_REMEMBERED {
            self.known.clear();
        }
        self.add_new(conn, &changes.arrived, counts)?;
        if changes.gained.is_empty() && changes.lost.is_empty() {
            return Ok(());
        }
        self.move_relabelled(conn, &changes, counts)
    }

    fn add_new(
        &mut self,
        conn: &mut Conn<'_>,
        arrived: &FxHashMap<FirstKey, First>,
        counts: &mut Counts,
    ) -> Result<(), StoreError> {
        let mut unknown: Vec<_> =
            arrived.iter().filter(|(key, _)| !self.known.contains(*key)).map(|(key, first)| (*key, *first)).collect();
        unknown.sort_unstable();
        conn.insert(&NEW, &rows(&unknown), &mut |row| {
            let key = read_first_key(row)?;
            counts.add(key.counter(arrived[&key].1), 0, 1);
            Ok(())
        })?;
        self.known.extend(unknown.iter().map(|(key, _)| *key));
        Ok(())
    }

    fn move_relabelled(
        &mut self,
        conn: &mut Conn<'_>,
        changes: &FirstChanges,
        counts: &mut Counts,
    ) -> Result<(), StoreError> {
        let keys: FxHashSet<FirstKey> = changes.gained.keys().chain(changes.lost.keys()).copied().collect();
        let keys: Vec<FirstKey> = keys.into_iter().collect();
        let mut before: FxHashMap<FirstKey, First> = FxHashMap::default();
        let sql = format!(
            "SELECT f.principal_id, f.campaign_id, f.kind, f.class, f.link_id, f.recipient_id, f.seq, f.hour FROM {{keys}} CROSS JOIN first_hit AS f WHERE {KEY_MATCHES}"
        );
        conn.lookup(&sql, &first_columns(&keys), &mut |row| {
            before.insert(read_first_key(row)?, (row.int(6)?, row.int(7)?));
            Ok(())
        })?;
        let bereft: Vec<FirstKey> = keys
            .iter()
            .filter(|key| {
                before.get(*key).is_some_and(|first| changes.lost.get(*key).is_some_and(|lost| lost.contains(&first.0)))
            })
            .copied()
            .collect();
        let next = next_firsts(conn, &bereft, &before)?;
        let mut moved = Vec::new();
        let mut gone = Vec::new();
        for key in keys {
            let old = before.get(&key).copied();
            let new = if bereft.contains(&key) {
                next.get(&key).copied()
            } else {
                old.into_iter().chain(changes.gained.get(&key).copied()).min()
            };
            if new == old {
                continue;
            }
            if let Some((_, hour)) = old {
                counts.add(key.counter(hour), 0, -1);
            }
            match new {
                Some(first) => {
                    counts.add(key.counter(first.1), 0, 1);
                    moved.push((key, first));
                }
                None => {
                    self.known.remove(&key);
                    gone.push(key);
                }
            }
        }
        conn.insert(&MOVED, &rows(&moved), &mut |_| Ok(()))?;
        delete(conn, &gone)
    }

    /// Forgets everything, because somebody else may have changed the store.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }
}

/// The first events of keys that lost theirs (in `before`), looked up among their recipients' later events.
fn next_firsts(
    conn: &mut Conn<'_>,
    keys: &[FirstKey],
    before: &FxHashMap<FirstKey, First>,
) -> Result<FxHashMap<FirstKey, First>, StoreError> {
    let mut next: FxHashMap<FirstKey, First> = FxHashMap::default();
    if keys.is_empty() {
        return Ok(next);
    }
    // The unary plus keeps SQLite from searching the campaign's index, which holds far more events than the recipient's.
    let sql = format!(
        "SELECT e.principal_id, e.campaign_id, e.kind, e.class, e.link_id, e.recipient_id, e.seq, e.occurred_at FROM {{keys}} CROSS JOIN event AS e
        WHERE {} = k.k6 AND e.recipient_id = k.k5 AND e.recipient_id <> 0 AND e.principal_id = k.k0
        AND +e.campaign_id = k.k1 AND e.kind = k.k2 AND e.class = k.k3 AND e.link_id = k.k4",
        stretch::OF_EVENT
    );
    let last = stretch::last_event(conn)?;
    for keys in keys.chunks(stretch::KEYS_AT_ONCE) {
        let spread = stretch::spread(keys.iter().map(|key| stretch::between(before[key].0, last)));
        let mut columns = first_columns(&spread.iter().map(|(_, place)| keys[*place]).collect::<Vec<_>>());
        columns.push(Column::Ints(spread.iter().map(|(stretch, _)| *stretch).collect()));
        conn.lookup(&sql, &columns, &mut |row| {
            let found = (row.int(6)?, Micros(row.int(7)?).hour().0);
            let first = next.entry(read_first_key(row)?).or_insert(found);
            *first = found.min(*first);
            Ok(())
        })?;
    }
    Ok(next)
}

fn delete(conn: &mut Conn<'_>, keys: &[FirstKey]) -> Result<(), StoreError> {
    let sql = "DELETE FROM first_hit WHERE principal_id = $1 AND campaign_id = $2 AND kind = $3 AND class = $4 AND link_id = $5 AND recipient_id = $6";
    for key in keys {
        conn.execute(
            sql,
            &[
                key.principal.into(),
                key.campaign.into(),
                key.kind.into(),
                key.class.into(),
                key.link.into(),
                key.recipient.into(),
            ],
        )?;
    }
    Ok(())
}
