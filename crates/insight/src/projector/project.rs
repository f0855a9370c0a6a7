//! One batch, one transaction.

use std::sync::Arc;

use signalbox_core::clock::Clock;
use signalbox_core::id::IdMaker;
use signalbox_core::time::Micros;
use signalbox_events::judge::{Fold, Hit, RULE_VERSION, weigh};
use signalbox_events::kind::{Class, Kind};
use signalbox_store::{Conn, LogReader, LogRow, Scope, Store, StoreError};

use super::agents::Agents;
use super::counting::{ClientKey, ConversionKey, CounterKey, Counts};
use super::draft::{Draft, Names, Unpacked, drop_duplicates, unpack};
use super::firsts::{FirstChanges, FirstKey, Firsts};
use super::supply::{supply_hits, supply_known, supply_wanted};
use super::versions::Rendered;
use super::write::{self, Relabelled};
use crate::synthetic;

/// About so many bytes of the log are projected in one transaction.
const BATCH_BYTES: usize = 1 << 20;
/// While hits flood in: a long transaction's sync would make theirs wait.
const GENTLE_BATCH_BYTES: usize = 1 << 17;
/// So many waiting events are a backlog: a large batch writes a page of an index once where many would write it each.
const BACKLOG_EVENTS: i64 = 200_000;
const BACKLOG_BATCH_BYTES: usize = 3 << 20;

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Projected {
    /// Events taken from the log, duplicates among them.
    pub events: u64,
    pub duplicates: u64,
    pub relabelled: u64,
    /// The cursor afterwards.
    pub seq: i64,
}

/// Projects the log of one store. Several may run: the cursor moves by compare-and-set, so each event is projected once.
pub struct Projector {
    store: Store,
    reader: LogReader,
    ids: Arc<IdMaker>,
    clock: Arc<dyn Clock>,
    /// Where the cursor was after this projector's last batch.
    cursor: Option<Cursor>,
    memory: Memory,
    batch_bytes: usize,
}

/// What may be kept between batches as long as nobody else projects.
struct Memory {
    fold: Fold,
    names: Names,
    agents: Agents,
    firsts: Firsts,
    rendered: Rendered,
}

impl Memory {
    fn new(from_start: bool) -> Self {
        Self {
            fold: Fold::new(from_start),
            names: Names::default(),
            agents: Agents::default(),
            firsts: Firsts::default(),
            rendered: Rendered::default(),
        }
    }
}

/// The seq up to which everything is projected, and how often a rebuild has corrected figures behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    seq: i64,
    generation: i64,
}

/// Why a batch was undone and has to be tried again.
enum Again {
    /// Somebody else moved the cursor.
    CursorMoved,
    /// An id that Signalbox made was there already.
    CheckAllIds,
}

impl Projector {
    pub(super) fn now(&self) -> Micros {
        self.clock.now()
    }

    /// A projector of `store`.
    pub fn new(store: &Store, ids: Arc<IdMaker>, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        Ok(Self {
            reader: store.log().reader()?,
            store: store.clone(),
            ids,
            clock,
            cursor: None,
            memory: Memory::new(false),
            batch_bytes: BATCH_BYTES,
        })
    }

    /// The seq of the newest event in the log.
    pub fn last_seq(&self) -> Result<i64, StoreError> {
        self.reader.last_seq()
    }

    /// The seq up to which everything is projected.
    pub fn cursor(&self) -> Result<i64, StoreError> {
        Ok(self.read_cursor()?.seq)
    }

    fn read_cursor(&self) -> Result<Cursor, StoreError> {
        self.store.read_here(&Scope::all(), |conn| {
            read_cursor(conn, "SELECT seq, generation FROM projection WHERE name = $1")
        })
    }

    /// Takes smaller batches while `flooded`, larger ones while `lag` events wait.
    pub(super) fn pace(&mut self, flooded: bool, lag: i64) {
        self.batch_bytes = match flooded {
            true => GENTLE_BATCH_BYTES,
            false if lag > BACKLOG_EVENTS => BACKLOG_BATCH_BYTES,
            false => BATCH_BYTES,
        };
    }

    /// Projects one batch, if there is one.
    pub fn step(&mut self) -> Result<Projected, StoreError> {
        let mut check_all = false;
        loop {
            let cursor = match self.cursor {
                Some(cursor) => cursor,
                None => {
                    let cursor = self.read_cursor()?;
                    self.memory = Memory::new(cursor.seq == 0);
                    *self.cursor.insert(cursor)
                }
            };
            let rows = self.reader.after(cursor.seq, self.batch_bytes)?;
            if rows.is_empty() {
                return Ok(Projected { seq: cursor.seq, ..Projected::default() });
            }
            match self.transact(cursor, &rows, check_all) {
                Ok(Ok(projected)) => {
                    self.cursor = Some(Cursor { seq: projected.seq, ..cursor });
                    self.store.log().projected(projected.seq);
                    return Ok(projected);
                }
                Ok(Err(again)) => {
                    self.cursor = None;
                    check_all |= matches!(again, Again::CheckAllIds);
                }
                Err(error) => {
                    // What is in memory may belong to what was undone.
                    self.cursor = None;
                    return Err(error);
                }
            }
        }
    }

    fn transact(
        &mut self,
        cursor: Cursor,
        rows: &[LogRow],
        check_all: bool,
    ) -> Result<Result<Projected, Again>, StoreError> {
        let (memory, ids, now) = (&mut self.memory, &self.ids, self.clock.now());
        let mut again = None;
        let outcome = self.store.write_here(&Scope::all(), |conn| {
            // Updating takes the row's lock on PostgreSQL; on SQLite the transaction holds the only one.
            let found = read_cursor(
                conn,
                "UPDATE projection SET updated_at = updated_at WHERE name = $1 RETURNING seq, generation",
            )?;
            if found != cursor {
                again = Some(Again::CursorMoved);
                return Err(StoreError::Busy);
            }
            let Unpacked { mut drafts, synthetic: made } = unpack(rows)?;
            synthetic::store(conn, &made, now)?;
            let events = (drafts.len() + made.len()) as u64;
            let duplicates = drop_duplicates(conn, &mut drafts, check_all)?;
            if !batch(conn, memory, &mut drafts, ids, now)? {
                again = Some(Again::CheckAllIds);
                return Err(StoreError::Busy);
            }
            let seq = rows.last().map_or(cursor.seq, |row| row.first_seq + i64::from(row.count) - 1);
            let relabelled = memory.fold.changes().len() as u64;
            conn.execute(
                "UPDATE projection SET seq = $2, rule_version = $3, updated_at = $4 WHERE name = $1",
                &["events".into(), seq.into(), RULE_VERSION.into(), now.0.into()],
            )?;
            Ok(Projected { events, duplicates, relabelled, seq })
        });
        match (outcome, again) {
            (Err(_), Some(again)) => Ok(Err(again)),
            (outcome, _) => {
                let projected = outcome?;
                memory.fold.settle();
                Ok(Ok(projected))
            }
        }
    }
}

fn read_cursor(conn: &mut Conn<'_>, sql: &str) -> Result<Cursor, StoreError> {
    conn.first(sql, &["events".into()], |row| Ok(Cursor { seq: row.int(0)?, generation: row.int(1)? }))?
        .ok_or(StoreError::Corrupt("the projection has no cursor".into()))
}

/// Judges, writes and counts. `false` when an id that should be new was not.
fn batch(
    conn: &mut Conn<'_>,
    memory: &mut Memory,
    drafts: &mut [Draft<'_>],
    ids: &IdMaker,
    now: Micros,
) -> Result<bool, StoreError> {
    let Some((first_seq, log_time)) = drafts.first().map(|draft| (draft.seq, draft.record.received_at)) else {
        return Ok(true);
    };
    memory.names.fill(conn, drafts, &mut memory.agents, ids, now)?;
    let hits: Vec<Hit> = drafts.iter().map(Draft::hit).collect();
    let needs = memory.fold.needs(&hits, log_time);
    supply_known(conn, &mut memory.fold, &needs, &mut memory.rendered)?;
    memory.rendered.assign(conn, drafts)?;
    supply_hits(conn, &mut memory.fold, &needs, first_seq, &|_, stored| stored)?;
    supply_wanted(conn, &mut memory.fold)?;
    memory.fold.take(&hits);
    if write::events(conn, drafts, &memory.fold)? != drafts.len() as u64 {
        memory.firsts.forget();
        return Ok(false);
    }
    let relabelled = write::relabel(conn, &memory.fold.changes())?;
    memory.agents.learn_ids(conn, relabelled.iter().map(|event| event.user_agent))?;
    let mut counts = Counts::default();
    let mut firsts = FirstChanges::default();
    for draft in drafts.iter() {
        count_new(
            draft,
            weigh(draft.kind, memory.fold.reasons(draft.seq)).class,
            &memory.agents,
            &mut counts,
            &mut firsts,
        );
    }
    for event in &relabelled {
        count_relabelled(event, &memory.agents, &mut counts, &mut firsts);
    }
    memory.firsts.apply(conn, firsts, &mut counts)?;
    counts.write(conn)?;
    write::knowledge(conn, &memory.fold, &memory.rendered)?;
    Ok(true)
}

fn count_new(draft: &Draft<'_>, class: Class, agents: &Agents, counts: &mut Counts, firsts: &mut FirstChanges) {
    let hour = Micros(draft.record.occurred_at).hour().0;
    let (principal, campaign, kind) = (draft.record.principal, draft.campaign, draft.kind.code());
    counts.add(CounterKey { principal, campaign, hour, link: draft.link, kind, class: class.code() }, 1, 0);
    let rendered = draft.rendered.as_deref().unwrap_or_default();
    counts.versions.add(draft.version, rendered, (draft.kind, draft.record.hints), class.code(), 1);
    if draft.kind.is_judged() {
        let (client, device) = agents.client(draft.user_agent);
        counts.add_client(
            ClientKey {
                principal,
                campaign,
                hour,
                kind,
                class: class.code(),
                client: client.into(),
                device: device.into(),
            },
            1,
        );
    }
    if draft.kind == Kind::Converted
        && let Some(detail) = draft.record.detail
    {
        let key = ConversionKey { principal, campaign, hour, currency: detail.currency.to_owned() };
        counts.add_conversion(key, 1, detail.value_micros.unwrap_or_default());
    }
    if draft.recipient != 0 {
        let key =
            FirstKey { principal, campaign, kind, class: class.code(), link: draft.link, recipient: draft.recipient };
        firsts.arrived.entry(key).or_insert((draft.seq, hour));
    }
}

fn count_relabelled(event: &Relabelled, agents: &Agents, counts: &mut Counts, firsts: &mut FirstChanges) {
    let (before, after) = (weigh(event.kind, event.before).class, weigh(event.kind, event.after).class);
    if before == after {
        return;
    }
    let (client, device) = agents.client(event.user_agent);
    for (class, change) in [(before, -1), (after, 1)] {
        let Relabelled { principal, campaign, hour, link, .. } = *event;
        let (kind, class) = (event.kind.code(), class.code());
        counts.versions.add(&event.served, &event.rendered, (event.kind, event.hints), class, change);
        counts.add(CounterKey { principal, campaign, hour, link, kind, class }, change, 0);
        counts.add_client(
            ClientKey { principal, campaign, hour, kind, class, client: client.into(), device: device.into() },
            change,
        );
        if event.recipient == 0 {
            continue;
        }
        let key = FirstKey { principal, campaign, kind, class, link, recipient: event.recipient };
        if change < 0 {
            firsts.lost.entry(key).or_default().insert(event.seq);
        } else {
            let first = firsts.gained.entry(key).or_insert((event.seq, hour));
            *first = (event.seq, hour).min(*first);
        }
    }
}
