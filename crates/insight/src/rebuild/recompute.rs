//! The figures, computed anew in memory: one pass over the events in order of seq.

use std::sync::mpsc::sync_channel;

use rustc_hash::FxHashMap;
use signalbox_core::address::{from_bytes, source_key};
use signalbox_core::time::Micros;
use signalbox_events::judge::{Fold, Hit, MessageState, Reasons, SourceRecord, weigh};
use signalbox_events::kind::{Class, Kind};
use signalbox_store::{Column, Conn, Scope, Store, StoreError};

use crate::projector::{Agents, ClientKey, ConversionKey, CounterKey, Counts, FirstKey, RenderedBy, supply_hits};
use crate::stretch;

const PAGE: i64 = 20_000;
/// Pages that may be read before the one in work is done.
const PAGES_AHEAD: usize = 2;
/// A bit that no signal has.
const UNFIT: u32 = 1 << 31;

/// What is counted of events that are judged.
#[derive(Default)]
pub(super) struct Sums {
    pub(super) counts: Counts,
    /// Seq and hour of each first.
    pub(super) firsts: FxHashMap<FirstKey, (i64, i64)>,
}

/// Everything that can be derived from the events up to `seq`.
pub(super) struct Figures {
    pub(super) seq: i64,
    pub(super) events: u64,
    pub(super) sums: Sums,
    pub(super) messages: FxHashMap<(i64, i64), MessageState>,
    pub(super) sources: FxHashMap<(i64, u128), SourceRecord>,
    /// The versions that rendered messages.
    pub(super) rendered: RenderedBy,
    /// By seq, from `first_seq` on: what was computed, and what the store holds.
    first_seq: i64,
    reasons: Vec<(Reasons, Reasons)>,
    fold: Fold,
    agents: Agents,
    /// Events that were re-labelled after their page was counted: what they were counted as.
    relabelled: FxHashMap<i64, Reasons>,
}

/// A key whose first went elsewhere, and that first's seq.
type Bereft = (FirstKey, i64);

/// The columns of an event that figures depend on.
struct Row {
    hit: Hit,
    received_at: i64,
    campaign: i64,
    recipient: i64,
    user_agent: i64,
    /// What `user_agent` is: client and device.
    client: (&'static str, &'static str),
    hints: u32,
    address: Option<[u8; 16]>,
    value_micros: Option<i64>,
    currency: Option<String>,
    served: String,
    /// Empty where it is not known.
    rendered: String,
    stored: Reasons,
}

const COLUMNS: &str = "e.seq, e.principal_id, e.campaign_id, e.message_id, e.recipient_id, e.link_id, e.kind, e.occurred_at, e.received_at,
    e.source, e.user_agent_id, e.hints, e.value_micros, e.currency, e.reasons, e.class, e.score,
    e.version, COALESCE(e.rendered, '')";

fn read(row: &signalbox_store::Row<'_>) -> Result<Row, StoreError> {
    let address = row.opt_address(9)?;
    let kind = Kind::from_code(row.int(6)?).ok_or(StoreError::Shape { column: 6 })?;
    let stored = Reasons(row.int(14)? as u32);
    let verdict = weigh(kind, stored);
    let fits = (row.int(15)?, row.int(16)?) == (verdict.class.code(), i64::from(verdict.score));
    Ok(Row {
        hit: Hit {
            seq: row.int(0)?,
            principal: row.int(1)?,
            message: row.int(3)?,
            link: row.int(5)?,
            kind,
            occurred_at: row.int(7)?,
            source: address.map(|bytes| source_key(from_bytes(bytes))),
            reasons: Reasons::NONE,
        },
        received_at: row.int(8)?,
        campaign: row.int(2)?,
        recipient: row.int(4)?,
        user_agent: row.int(10)?,
        client: ("", ""),
        hints: row.int(11)? as u32,
        address,
        value_micros: row.opt_int(12)?,
        served: row.text(17)?,
        rendered: row.text(18)?,
        currency: if kind == Kind::Converted { row.opt_text(13)? } else { None },
        // A class or score that the stored reasons do not give is looked at again.
        stored: if fits { stored } else { Reasons(stored.0 ^ UNFIT) },
    })
}

/// What is done with each page.
type TakePage<'t> = dyn FnMut(&mut Conn<'_>, Vec<Row>) -> Result<(), StoreError> + 't;

/// Reads the events after `after` up to `last`, a page at a time.
fn each_page(conn: &mut Conn<'_>, mut after: i64, last: i64, take: &mut TakePage<'_>) -> Result<(), StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM event AS e WHERE e.seq > $1 AND e.seq <= $2 ORDER BY e.seq LIMIT {PAGE}");
    loop {
        let rows = conn.query(&sql, &[after.into(), last.into()], read)?;
        let Some(newest) = rows.last() else { return Ok(()) };
        after = newest.hit.seq;
        take(conn, rows)?;
    }
}

impl Sums {
    fn count_page(&mut self, rows: &[(Row, Class)]) {
        rows.iter().for_each(|(row, class)| self.count(row, *class, 1));
    }

    fn count(&mut self, row: &Row, class: Class, change: i64) {
        let hour = Micros(row.hit.occurred_at).hour().0;
        let (principal, campaign, kind, link) = (row.hit.principal, row.campaign, row.hit.kind, row.hit.link);
        let (code, class) = (kind.code(), class.code());
        self.counts.add(CounterKey { principal, campaign, hour, link, kind: code, class }, change, 0);
        self.counts.versions.add(&row.served, &row.rendered, (kind, row.hints), class, change);
        if kind.is_judged() {
            let (client, device) = row.client;
            self.counts.add_client(
                ClientKey {
                    principal,
                    campaign,
                    hour,
                    kind: code,
                    class,
                    client: client.into(),
                    device: device.into(),
                },
                change,
            );
        }
        if kind == Kind::Converted && row.value_micros.is_some() {
            let key = ConversionKey { principal, campaign, hour, currency: row.currency.clone().unwrap_or_default() };
            self.counts.add_conversion(key, change, change * row.value_micros.unwrap_or_default());
        }
        if row.recipient == 0 {
            return;
        }
        let key = FirstKey { principal, campaign, kind: code, class, link, recipient: row.recipient };
        if change > 0 {
            let first = self.firsts.entry(key).or_insert((row.hit.seq, hour));
            *first = (row.hit.seq, hour).min(*first);
        }
    }
}

impl Figures {
    pub(super) fn new() -> Self {
        Self {
            seq: 0,
            events: 0,
            sums: Sums::default(),
            messages: FxHashMap::default(),
            sources: FxHashMap::default(),
            rendered: RenderedBy::default(),
            first_seq: 0,
            reasons: Vec::new(),
            fold: Fold::new(true),
            agents: Agents::default(),
            relabelled: FxHashMap::default(),
        }
    }

    /// Takes in the events up to `last`: pages are read on one thread, judged on this one, counted on a third.
    pub(super) fn advance_beside(
        &mut self,
        store: &Store,
        last: i64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), StoreError> {
        let after = self.seq;
        let (sender, pages) = sync_channel(PAGES_AHEAD);
        let (judged, to_count) = sync_channel::<Vec<(Row, Class)>>(PAGES_AHEAD);
        let mut sums = std::mem::take(&mut self.sums);
        self.sums = std::thread::scope(|threads| {
            threads.spawn(move || {
                let read = store.read_here(&Scope::all(), |conn| {
                    each_page(conn, after, last, &mut |_, rows| {
                        // Nobody takes pages any more when the work has failed.
                        sender.send(Ok(rows)).map_err(|_| StoreError::Aborted("the rebuild stopped".into()))
                    })
                });
                if let Err(error) = read {
                    let _ = sender.send(Err(error));
                }
            });
            let counting = threads.spawn(move || {
                to_count.into_iter().for_each(|rows| sums.count_page(&rows));
                sums
            });
            store.read_here(&Scope::all(), |conn| {
                pages.into_iter().try_for_each(|rows| {
                    let rows = self.take(conn, rows?, progress)?;
                    judged.send(rows).map_err(|_| StoreError::Aborted("counting stopped".into()))
                })
            })?;
            drop(judged);
            counting.join().map_err(|_| StoreError::Aborted("counting crashed".into()))
        })?;
        Ok(())
    }

    /// Takes in the events up to `last` within one transaction.
    pub(super) fn advance(
        &mut self,
        conn: &mut Conn<'_>,
        last: i64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), StoreError> {
        each_page(conn, self.seq, last, &mut |conn, rows| {
            let rows = self.take(conn, rows, progress)?;
            self.sums.count_page(&rows);
            Ok(())
        })
    }

    /// Judges a page. What it gives back is to be counted.
    fn take(
        &mut self,
        conn: &mut Conn<'_>,
        mut rows: Vec<Row>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Vec<(Row, Class)>, StoreError> {
        self.page(conn, &mut rows)?;
        self.seq = rows.last().map_or(self.seq, |row| row.hit.seq);
        self.events += rows.len() as u64;
        progress(self.events);
        let class = |row: &Row| weigh(row.hit.kind, self.computed(row.hit.seq)).class;
        Ok(rows
            .into_iter()
            .map(|row| {
                let class = class(&row);
                (row, class)
            })
            .collect())
    }

    fn page(&mut self, conn: &mut Conn<'_>, rows: &mut [Row]) -> Result<(), StoreError> {
        self.learn(conn, rows)?;
        for row in rows.iter_mut() {
            row.hit.reasons =
                self.agents.own_reasons(row.hit.kind, row.user_agent, row.address.map(from_bytes), row.hints);
        }
        let hits: Vec<Hit> = rows.iter().map(|row| row.hit).collect();
        let (first_seq, log_time) = (rows[0].hit.seq, rows[0].received_at);
        if self.reasons.is_empty() {
            self.first_seq = first_seq;
        }
        let needs = self.fold.needs(&hits, log_time);
        for key in &needs.messages {
            self.fold.supply_message(key.0, key.1, self.messages.get(key).copied().unwrap_or_default());
        }
        for key in &needs.sources {
            self.fold.supply_source(key.0, key.1, self.sources.get(key).copied().unwrap_or_default());
        }
        let (base, computed) = (self.first_seq, &self.reasons);
        supply_hits(conn, &mut self.fold, &needs, first_seq, &|seq, stored| {
            usize::try_from(seq - base).ok().and_then(|place| computed.get(place)).map_or(stored, |pair| pair.0)
        })?;
        for key in self.fold.wanted_sources() {
            self.fold.supply_source(key.0, key.1, self.sources.get(&key).copied().unwrap_or_default());
        }
        self.fold.take(&hits);
        for change in self.fold.changes() {
            let place = (change.seq - self.first_seq) as usize;
            self.relabelled.entry(change.seq).or_insert(change.before);
            self.reasons[place].0 = change.after;
        }
        for row in rows.iter() {
            if row.hit.kind == Kind::Sent && row.hit.message != 0 {
                self.rendered.note(row.hit.principal, row.hit.message, &row.served);
            }
            let reasons = self.fold.reasons(row.hit.seq);
            let place = (row.hit.seq - self.first_seq) as usize;
            self.reasons.resize(place, (Reasons::NONE, Reasons::NONE));
            self.reasons.push((reasons, row.stored));
        }
        self.messages
            .extend(self.fold.touched_messages().map(|(principal, message, state)| ((principal, message), state)));
        self.sources
            .extend(self.fold.touched_sources().map(|(principal, source, record)| ((principal, source), record)));
        self.fold.settle();
        Ok(())
    }

    /// Fills in what the user agents of `rows` are.
    fn learn(&mut self, conn: &mut Conn<'_>, rows: &mut [Row]) -> Result<(), StoreError> {
        self.agents.learn_ids(conn, rows.iter().map(|row| row.user_agent))?;
        rows.iter_mut().for_each(|row| row.client = self.agents.client(row.user_agent));
        Ok(())
    }

    /// Settles the events that were re-labelled after they had been counted, and adds the uniques to the counters.
    pub(super) fn finish(&mut self, conn: &mut Conn<'_>) -> Result<(), StoreError> {
        let mut moved: Vec<(i64, Reasons)> = std::mem::take(&mut self.relabelled).into_iter().collect();
        moved.sort_unstable_by_key(|(seq, _)| *seq);
        let sql = format!("SELECT {COLUMNS} FROM {{keys}} CROSS JOIN event AS e WHERE e.seq = k.k0");
        let mut bereft = Vec::new();
        for part in moved.chunks(PAGE as usize) {
            let counted: FxHashMap<i64, Reasons> = part.iter().copied().collect();
            let mut rows = Vec::with_capacity(part.len());
            conn.lookup(&sql, &[Column::Ints(part.iter().map(|(seq, _)| *seq).collect())], &mut |row| {
                rows.push(read(row)?);
                Ok(())
            })?;
            self.learn(conn, &mut rows)?;
            for row in &rows {
                let before = weigh(row.hit.kind, counted[&row.hit.seq]).class;
                let after = weigh(row.hit.kind, self.computed(row.hit.seq)).class;
                if before == after {
                    continue;
                }
                self.sums.count(row, before, -1);
                self.sums.count(row, after, 1);
                let (principal, campaign, kind, link) =
                    (row.hit.principal, row.campaign, row.hit.kind.code(), row.hit.link);
                let key = FirstKey { principal, campaign, kind, class: before.code(), link, recipient: row.recipient };
                if self.sums.firsts.get(&key).is_some_and(|first| first.0 == row.hit.seq) {
                    self.sums.firsts.remove(&key);
                    bereft.push((key, row.hit.seq));
                }
            }
        }
        self.find_firsts(conn, &bereft)?;
        let Sums { counts, firsts } = &mut self.sums;
        for (key, (_, hour)) in firsts {
            counts.add(key.counter(*hour), 0, 1);
        }
        Ok(())
    }

    /// The firsts that come after those that went elsewhere.
    fn find_firsts(&mut self, conn: &mut Conn<'_>, bereft: &[Bereft]) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT e.seq, e.occurred_at, k.k2 FROM {{keys}} CROSS JOIN event AS e WHERE {} = k.k6 AND e.recipient_id = k.k1
             AND e.recipient_id <> 0 AND e.principal_id = k.k0 AND +e.campaign_id = k.k3 AND e.kind = k.k4 AND e.link_id = k.k5 AND +e.seq <= {}",
            stretch::OF_EVENT,
            self.seq
        );
        for bereft in bereft.chunks(stretch::KEYS_AT_ONCE) {
            let part = stretch::spread(bereft.iter().map(|(_, seq)| stretch::between(*seq, self.seq)));
            let ints = |each: fn(&FirstKey) -> i64| {
                Column::Ints(part.iter().map(|(_, place)| each(&bereft[*place].0)).collect())
            };
            let columns = [
                ints(|key| key.principal),
                ints(|key| key.recipient),
                Column::Ints(part.iter().map(|(_, place)| *place as i64).collect()),
                ints(|key| key.campaign),
                ints(|key| key.kind),
                ints(|key| key.link),
                Column::Ints(part.iter().map(|(stretch, _)| *stretch).collect()),
            ];
            let mut found = Vec::new();
            conn.lookup(&sql, &columns, &mut |row| {
                found.push((row.int(0)?, row.int(1)?, row.int(2)? as usize));
                Ok(())
            })?;
            for (seq, at, place) in found {
                let key = bereft[place].0;
                let kind = Kind::from_code(key.kind).ok_or(StoreError::Shape { column: 2 })?;
                if weigh(kind, self.computed(seq)).class.code() == key.class {
                    let candidate = (seq, Micros(at).hour().0);
                    let first = self.sums.firsts.entry(key).or_insert(candidate);
                    *first = candidate.min(*first);
                }
            }
        }
        Ok(())
    }

    /// What the event `seq` was computed to be.
    fn computed(&self, seq: i64) -> Reasons {
        usize::try_from(seq - self.first_seq)
            .ok()
            .and_then(|place| self.reasons.get(place))
            .map_or(Reasons::NONE, |pair| pair.0)
    }

    /// Events whose stored verdict is another one: seq, stored, computed.
    pub(super) fn wrong_verdicts(&self) -> impl Iterator<Item = (i64, Reasons, Reasons)> {
        let seqs = self.first_seq..;
        seqs.zip(&self.reasons).filter(|(_, pair)| pair.0 != pair.1).map(|(seq, pair)| (seq, pair.1, pair.0))
    }
}
