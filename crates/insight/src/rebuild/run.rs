//! `signalbox rebuild` and `signalbox verdict replay`: recompute beside the running projector, then hold it for the
//! moment in which the last events are taken in, everything is compared, and what differs is corrected.

use std::collections::BTreeMap;

use serde::Serialize;
use signalbox_events::judge::{Change, RULE_VERSION, weigh};
use signalbox_events::kind::{Class, Kind};
use signalbox_store::{Column, Conn, Scope, Store, StoreError};

use super::compare;
use super::recompute::Figures;
use crate::projector::relabel;
use crate::report::projected_seq;

/// Events whose verdicts are written at once.
const PART: usize = 20_000;

/// Rows that were not what the events say, by table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Differences {
    pub verdicts: u64,
    pub counters: u64,
    pub clients: u64,
    pub conversions: u64,
    pub firsts: u64,
    pub messages: u64,
    pub sources: u64,
    pub versions: u64,
}

/// What a rebuild found.
#[derive(Debug, Clone, Serialize)]
pub struct Rebuilt {
    pub events: u64,
    /// The figures hold up to this seq.
    pub seq: i64,
    pub differences: Differences,
    pub rule_version: i64,
    /// Events that change their class, as `human → machine`.
    pub class_changes: BTreeMap<String, u64>,
    /// Whether what differed was corrected.
    pub corrected: bool,
}

impl Differences {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Recomputes everything; corrects what differs unless `dry_run`. `progress` is told how many events were read.
pub fn rebuild(store: &Store, dry_run: bool, mut progress: impl FnMut(u64)) -> Result<Rebuilt, StoreError> {
    let mut figures = Figures::new();
    // Most of the work happens beside the projector, in pages, each on a state of its own: events never change, and
    // whatever is re-labelled meanwhile is compared only later, under the lock.
    loop {
        let last = store.read_here(&Scope::all(), projected_seq)?;
        let behind = last - figures.seq;
        if behind <= PART as i64 {
            break;
        }
        figures.advance_beside(store, last, &mut progress)?;
    }
    store.write_here(&Scope::all(), |conn| {
        let last = conn
            .first("UPDATE projection SET updated_at = updated_at WHERE name = 'events' RETURNING seq", &[], |row| {
                row.int(0)
            })?
            .unwrap_or_default();
        figures.advance(conn, last, &mut progress)?;
        figures.finish(conn)?;
        compare_and_correct(store, conn, &figures, dry_run)
    })
}

fn compare_and_correct(
    store: &Store,
    conn: &mut Conn<'_>,
    figures: &Figures,
    dry_run: bool,
) -> Result<Rebuilt, StoreError> {
    let suspects: Vec<Change> =
        figures.wrong_verdicts().map(|(seq, before, after)| Change { seq, before, after }).collect();
    let wrong = still_wrong(conn, suspects)?;
    let mut class_changes = BTreeMap::new();
    for (kind, change) in &wrong {
        let (before, after) = (weigh(*kind, change.before).class, weigh(*kind, change.after).class);
        if before != after {
            *class_changes.entry(format!("{before} → {after}")).or_default() += 1;
        }
    }
    let all = compare::all(store, conn, figures)?;
    let differences = Differences {
        verdicts: wrong.len() as u64,
        counters: all.spans.iter().map(|of_span| of_span.counters.len()).sum(),
        clients: all.spans.iter().map(|of_span| of_span.clients.len()).sum(),
        conversions: all.conversions.len(),
        firsts: all.firsts.len(),
        messages: all.messages.len(),
        sources: all.sources.len(),
        versions: all.versions.len(),
    };
    if !dry_run {
        let changes: Vec<Change> = wrong.into_iter().map(|(_, change)| change).collect();
        for part in changes.chunks(PART) {
            relabel(conn, part)?;
        }
        compare::correct(conn, &all, &figures.rendered)?;
        let sql = format!(
            "UPDATE event SET rule_version = $1 WHERE rule_version <> $1 AND class <> {}",
            Class::Unjudged.code()
        );
        conn.execute(&sql, &[RULE_VERSION.into()])?;
        conn.execute(
            "UPDATE projection SET rule_version = $1, generation = generation + 1 WHERE name = 'events'",
            &[RULE_VERSION.into()],
        )?;
    }
    Ok(Rebuilt {
        events: figures.events,
        seq: figures.seq,
        rule_version: RULE_VERSION,
        class_changes,
        corrected: !dry_run && !differences.is_none(),
        differences,
    })
}

/// The projector may have re-labelled events after their page was read: what counts is what is stored now.
fn still_wrong(conn: &mut Conn<'_>, suspects: Vec<Change>) -> Result<Vec<(Kind, Change)>, StoreError> {
    let mut wrong = Vec::new();
    for part in suspects.chunks(PART) {
        let computed: rustc_hash::FxHashMap<i64, Change> = part.iter().map(|change| (change.seq, *change)).collect();
        let sql =
            "SELECT e.seq, e.kind, e.reasons, e.class, e.score FROM {keys} CROSS JOIN event AS e WHERE e.seq = k.k0";
        conn.lookup(sql, &[Column::Ints(part.iter().map(|change| change.seq).collect())], &mut |row| {
            let (seq, stored) = (row.int(0)?, signalbox_events::judge::Reasons(row.int(2)? as u32));
            let kind = Kind::from_code(row.int(1)?).ok_or(StoreError::Shape { column: 1 })?;
            let change = Change { before: stored, ..computed[&seq] };
            let verdict = weigh(kind, change.after);
            let stored = (row.int(3)?, row.int(4)?);
            if change.before != change.after || stored != (verdict.class.code(), i64::from(verdict.score)) {
                wrong.push((kind, change));
            }
            Ok(())
        })?;
    }
    wrong.sort_unstable_by_key(|(_, change)| change.seq);
    Ok(wrong)
}
