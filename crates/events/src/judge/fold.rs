//! The fold over the log. It holds the hits of the last seconds, what is known of messages and of sources, and says
//! for every event what it is and which earlier ones it re-labels. Before a batch it tells what it needs from the
//! store ([`Fold::needs`]), so that it never does I/O itself.

use rustc_hash::{FxHashMap, FxHashSet};
use signalbox_core::time::{MINUTE, SECOND};

use super::burst::{Group, OPEN, REACH, Spot};
use super::reason::{Reasons, weigh};
use crate::kind::{Class, Kind};

/// Hits are kept this long after the newest one, in the log's own time.
const KEEP: i64 = REACH + SECOND;
/// Old hits are swept away whenever the log's time has moved on by this.
const SWEEP: i64 = 2 * SECOND;
/// Chunks reach the log a little out of order; nothing is out by more than this.
const DISORDER: i64 = MINUTE;
/// Messages and sources remembered at once.
const MOST_REMEMBERED: usize = 110_000;
const EARLY_OPEN: i64 = MINUTE;
const EARLY_CLICK: i64 = 30 * SECOND;
const EARLY_NETWORK: i64 = 10 * MINUTE;
/// Providers round their delivery times to seconds.
const DELIVERY_SLACK: i64 = 2 * SECOND;

/// An event as the fold sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    pub seq: i64,
    pub principal: i64,
    pub message: i64,
    pub link: i64,
    pub kind: Kind,
    pub occurred_at: i64,
    /// The address, or its network, as [`signalbox_core::address::source_key`] gives it.
    pub source: Option<u128>,
    /// Its own signals when it is new, all of them when it comes from the store.
    pub reasons: Reasons,
}

/// When a message was sent and accepted, as far as the log says, and from where on it has hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageState {
    pub sent_at: Option<i64>,
    pub delivered_at: Option<i64>,
    /// The seq of its first hit.
    pub first_hit: Option<i64>,
}

/// What a source did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SourceRecord {
    pub judged: i64,
    pub machine: i64,
}

/// A stretch of a message's hits that the fold does not have in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub principal: i64,
    pub message: i64,
    pub from: i64,
    pub to: i64,
}

/// What the fold must be given before it can take a batch.
#[derive(Debug, Default)]
pub struct Needs {
    pub messages: Vec<(i64, i64)>,
    pub sources: Vec<(i64, u128)>,
    pub windows: Vec<Window>,
}

/// An event of an earlier batch whose reasons changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    pub seq: i64,
    pub before: Reasons,
    pub after: Reasons,
}

type MessageKey = (i64, i64);

/// The state of the fold.
#[derive(Debug)]
pub struct Fold {
    groups: FxHashMap<(i64, i64, u128), Group>,
    messages: FxHashMap<MessageKey, MessageState>,
    sources: FxHashMap<(i64, u128), SourceRecord>,
    newest_at: i64,
    swept_at: i64,
    /// Every hit that occurred at or after this is in memory.
    complete_from: Option<i64>,
    batch: Batch,
}

/// What belongs to the batch in hand.
#[derive(Debug, Default)]
struct Batch {
    first_seq: i64,
    /// The present reasons of every hit that the batch holds or touches.
    reasons: FxHashMap<i64, Reasons>,
    /// The reasons of earlier hits before the batch touched them.
    before: FxHashMap<i64, Reasons>,
    /// All hits, for the messages whose times may change.
    timed: FxHashMap<MessageKey, Vec<Hit>>,
    messages: FxHashSet<MessageKey>,
    sources: FxHashSet<(i64, u128)>,
    wanted: FxHashSet<(i64, u128)>,
}

impl Batch {
    fn set(&mut self, seq: i64, before: Reasons, after: Reasons) {
        if seq < self.first_seq {
            self.before.entry(seq).or_insert(before);
        }
        self.reasons.insert(seq, after);
    }
}

impl Fold {
    /// A fold that begins at the start of the log (`from_start`), or in the middle of it.
    pub fn new(from_start: bool) -> Self {
        Self {
            groups: FxHashMap::default(),
            messages: FxHashMap::default(),
            sources: FxHashMap::default(),
            newest_at: i64::MIN,
            swept_at: i64::MIN,
            complete_from: from_start.then_some(i64::MIN),
            batch: Batch::default(),
        }
    }

    /// What must be supplied before [`Fold::take`] may be called with this batch. `log_time` is when the first of its
    /// events was received.
    pub fn needs(&mut self, batch: &[Hit], log_time: i64) -> Needs {
        self.complete_from.get_or_insert(log_time + DISORDER);
        if self.messages.len() > MOST_REMEMBERED {
            self.messages.clear();
        }
        if self.sources.len() > MOST_REMEMBERED {
            self.sources.clear();
        }
        self.batch = Batch { first_seq: batch.first().map_or(i64::MAX, |first| first.seq), ..Batch::default() };
        let mut needs = Needs::default();
        let mut asked: (FxHashSet<MessageKey>, FxHashSet<(i64, u128)>) = Default::default();
        for hit in batch {
            if hit.message != 0 && takes_part(hit.kind) {
                let key = (hit.principal, hit.message);
                if !self.messages.contains_key(&key) && asked.0.insert(key) {
                    needs.messages.push(key);
                }
                needs.windows.extend(self.window(hit));
            }
            if let Some(source) = hit.source.filter(|_| hit.kind.is_judged()) {
                let key = (hit.principal, source);
                if !self.sources.contains_key(&key) && asked.1.insert(key) {
                    needs.sources.push(key);
                }
            }
        }
        needs
    }

    fn window(&mut self, hit: &Hit) -> Option<Window> {
        let (principal, message) = (hit.principal, hit.message);
        match hit.kind {
            // Its time may change what every hit of the message is.
            Kind::Sent | Kind::Delivered => {
                let first = !self.batch.timed.contains_key(&(principal, message));
                self.batch.timed.entry((principal, message)).or_default();
                first.then_some(Window { principal, message, from: i64::MIN, to: i64::MAX })
            }
            _ if hit.source.is_none() => None,
            _ if self.complete_from.is_some_and(|from| hit.occurred_at.saturating_sub(REACH) >= from) => None,
            _ => Some(Window { principal, message, from: hit.occurred_at - REACH, to: hit.occurred_at + REACH }),
        }
    }

    /// Supplies what the store knows of a message.
    pub fn supply_message(&mut self, principal: i64, message: i64, state: MessageState) {
        self.messages.entry((principal, message)).or_insert(state);
    }

    /// Supplies what the store knows of a source.
    pub fn supply_source(&mut self, principal: i64, source: u128, record: SourceRecord) {
        self.sources.entry((principal, source)).or_insert(record);
    }

    /// The seq of a supplied message's first hit: no earlier event needs to be looked at for its windows.
    pub fn first_hit(&self, principal: i64, message: i64) -> Option<i64> {
        self.messages.get(&(principal, message))?.first_hit
    }

    /// Supplies an earlier hit, as it is judged by now. The same one may come several times.
    pub fn supply_hit(&mut self, hit: &Hit) {
        if self.batch.reasons.insert(hit.seq, hit.reasons).is_some() {
            return;
        }
        if let Some(hits) = self.batch.timed.get_mut(&(hit.principal, hit.message)) {
            hits.push(*hit);
        }
        if let Some(source) = hit.source {
            if !self.sources.contains_key(&(hit.principal, source)) {
                self.batch.wanted.insert((hit.principal, source));
            }
            // It has its marks already; what it adds is evidence for others.
            self.groups.entry((hit.principal, hit.message, source)).or_default().add(spot(hit), &mut |_, _| ());
        }
    }

    /// The sources of supplied hits that are not known yet: re-labelling such a hit changes their record too.
    /// To be supplied after the hits and before [`Fold::take`].
    pub fn wanted_sources(&self) -> Vec<(i64, u128)> {
        self.batch.wanted.iter().copied().collect()
    }

    /// Folds a batch in order of seq. Afterwards [`Fold::reasons`] tells what its events are.
    pub fn take(&mut self, batch: &[Hit]) {
        for hit in batch {
            match hit.kind {
                Kind::Sent | Kind::Delivered if hit.message != 0 => self.note_time(hit),
                Kind::Opened | Kind::Clicked => self.judge(hit),
                _ => (),
            }
        }
    }

    fn judge(&mut self, hit: &Hit) {
        self.newest_at = self.newest_at.max(hit.occurred_at);
        let reasons = hit.reasons.with(self.timing(hit)).with(self.reputation(hit));
        let hit = Hit { reasons, ..*hit };
        self.batch.reasons.insert(hit.seq, reasons);
        self.count(hit.principal, hit.source, None, Some(weigh(hit.kind, reasons).class));
        if hit.message == 0 {
            return;
        }
        self.note_first_hit(hit.principal, hit.message, hit.seq);
        if let Some(hits) = self.batch.timed.get_mut(&(hit.principal, hit.message)) {
            hits.push(hit);
        }
        let Some(source) = hit.source else { return };
        let mut marked = Vec::new();
        let group = self.groups.entry((hit.principal, hit.message, source)).or_default();
        group.add(spot(&hit), &mut |spot, reason| marked.push((*spot, reason)));
        for (spot, reason) in marked {
            let kind = if spot.link == OPEN { Kind::Opened } else { Kind::Clicked };
            self.relabel(hit.principal, Some(source), kind, spot.seq, spot.reasons, spot.reasons.with(reason));
        }
    }

    fn note_first_hit(&mut self, principal: i64, message: i64, seq: i64) {
        let state = self.messages.entry((principal, message)).or_default();
        if state.first_hit.is_none() {
            state.first_hit = Some(seq);
            self.batch.messages.insert((principal, message));
        }
    }

    /// The signals that follow from when the message was sent and delivered.
    fn timing(&self, hit: &Hit) -> Reasons {
        let Some(state) = self.messages.get(&(hit.principal, hit.message)).filter(|_| hit.message != 0) else {
            return Reasons::NONE;
        };
        let click = hit.kind == Kind::Clicked;
        let after = |since: Option<i64>, within: i64| {
            since.is_some_and(|since| (0..within).contains(&(hit.occurred_at - since)))
        };
        let sent = |within: i64| after(state.sent_at, within);
        let scanner = hit.reasons.any(Reasons::SCANNER_NETWORK);
        let early_proxy =
            hit.reasons.any(Reasons::BARE_WEBKIT) && (sent(EARLY_NETWORK) || after(state.delivered_at, EARLY_NETWORK));
        let seen = [
            (!click && sent(EARLY_OPEN), Reasons::EARLY_OPEN),
            (click && sent(EARLY_CLICK), Reasons::EARLY_CLICK),
            (scanner && sent(EARLY_NETWORK), Reasons::EARLY_NETWORK),
            (!click && early_proxy, Reasons::PROXY_IN_WINDOW),
            (state.delivered_at.is_some_and(|at| hit.occurred_at < at - DELIVERY_SLACK), Reasons::BEFORE_DELIVERY),
        ];
        seen.into_iter().filter(|(seen, _)| *seen).fold(Reasons::NONE, |all, (_, reason)| all.with(reason))
    }

    fn note_time(&mut self, event: &Hit) {
        let key = (event.principal, event.message);
        let state = self.messages.entry(key).or_default();
        let slot = if event.kind == Kind::Sent { &mut state.sent_at } else { &mut state.delivered_at };
        if slot.is_some_and(|at| at <= event.occurred_at) {
            return;
        }
        *slot = Some(event.occurred_at);
        self.batch.messages.insert(key);
        let hits = self.batch.timed.remove(&key).unwrap_or_default();
        for hit in &hits {
            let before = self.batch.reasons.get(&hit.seq).copied().unwrap_or(hit.reasons);
            let after = before.without(Reasons::TIMING).with(self.timing(&Hit { reasons: before, ..*hit }));
            if let Some(group) =
                hit.source.and_then(|source| self.groups.get_mut(&(hit.principal, hit.message, source)))
            {
                group.set(hit.occurred_at, hit.seq, after);
            }
            self.relabel(hit.principal, hit.source, hit.kind, hit.seq, before, after);
        }
        self.batch.timed.insert(key, hits);
    }

    /// Nearly everything from its source was a machine, before this event.
    fn reputation(&self, hit: &Hit) -> Reasons {
        let record = hit.source.and_then(|source| self.sources.get(&(hit.principal, source)));
        match record {
            Some(record) if record.judged >= 20 && record.machine * 10 >= record.judged * 9 => Reasons::BAD_SOURCE,
            _ => Reasons::NONE,
        }
    }

    fn relabel(&mut self, principal: i64, source: Option<u128>, kind: Kind, seq: i64, before: Reasons, after: Reasons) {
        if before != after {
            self.batch.set(seq, before, after);
            self.count(principal, source, Some(weigh(kind, before).class), Some(weigh(kind, after).class));
        }
    }

    /// Keeps the record of a source: a hit became `now`, and was `before` until then.
    fn count(&mut self, principal: i64, source: Option<u128>, before: Option<Class>, now: Option<Class>) {
        let Some(source) = source else { return };
        let judged = |class: Option<Class>| i64::from(class.is_some_and(|class| class != Class::PrivacyProxy));
        let machine = |class: Option<Class>| i64::from(class == Some(Class::Machine));
        let change = (judged(now) - judged(before), machine(now) - machine(before));
        if change != (0, 0) {
            let record = self.sources.entry((principal, source)).or_default();
            record.judged += change.0;
            record.machine += change.1;
            self.batch.sources.insert((principal, source));
        }
    }

    /// What the event `seq` of the batch in hand is.
    pub fn reasons(&self, seq: i64) -> Reasons {
        self.batch.reasons.get(&seq).copied().unwrap_or_default()
    }

    /// The events of earlier batches that this one re-labelled, in order of seq.
    pub fn changes(&self) -> Vec<Change> {
        let now =
            |(seq, before): (&i64, &Reasons)| Change { seq: *seq, before: *before, after: self.batch.reasons[seq] };
        let mut changes: Vec<_> =
            self.batch.before.iter().map(now).filter(|change| change.before != change.after).collect();
        changes.sort_unstable_by_key(|change| change.seq);
        changes
    }

    /// The messages whose state changed, as it is now.
    pub fn touched_messages(&self) -> impl Iterator<Item = (i64, i64, MessageState)> {
        self.batch.messages.iter().map(|key| (key.0, key.1, self.messages[key]))
    }

    /// The sources whose record changed, as it is now.
    pub fn touched_sources(&self) -> impl Iterator<Item = (i64, u128, SourceRecord)> {
        self.batch.sources.iter().map(|key| (key.0, key.1, self.sources[key]))
    }

    /// Ends the batch: what it changed is stored by now. Forgets hits that are too old to be in a burst with new ones.
    pub fn settle(&mut self) {
        self.batch = Batch::default();
        if self.newest_at.saturating_sub(self.swept_at) < SWEEP {
            return;
        }
        self.swept_at = self.newest_at;
        let keep_from = self.newest_at.saturating_sub(KEEP);
        self.groups.retain(|_, group| !group.forget_before(keep_from));
        if let Some(from) = &mut self.complete_from {
            *from = (*from).max(keep_from);
        }
    }
}

fn takes_part(kind: Kind) -> bool {
    kind.is_judged() || matches!(kind, Kind::Sent | Kind::Delivered)
}

fn spot(hit: &Hit) -> Spot {
    Spot {
        at: hit.occurred_at,
        seq: hit.seq,
        link: if hit.kind == Kind::Clicked { hit.link } else { OPEN },
        reasons: hit.reasons,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// A store in memory: what the projector does with a real one.
    #[derive(Default)]
    struct Memory {
        hits: BTreeMap<i64, Hit>,
        messages: FxHashMap<MessageKey, MessageState>,
        sources: FxHashMap<(i64, u128), SourceRecord>,
    }

    impl Memory {
        fn project(&mut self, fold: &mut Fold, batch: &[(Hit, i64)]) {
            let log_time = batch[0].1;
            let batch: Vec<_> = batch.iter().map(|(hit, _)| *hit).collect();
            let needs = fold.needs(&batch, log_time);
            for key in needs.messages {
                fold.supply_message(key.0, key.1, self.messages.get(&key).copied().unwrap_or_default());
            }
            for key in needs.sources {
                fold.supply_source(key.0, key.1, self.sources.get(&key).copied().unwrap_or_default());
            }
            for window in needs.windows {
                for hit in self.hits.values() {
                    let fits =
                        hit.principal == window.principal && hit.message == window.message && hit.kind.is_judged();
                    if fits && (window.from..=window.to).contains(&hit.occurred_at) {
                        assert!(fold.first_hit(hit.principal, hit.message).is_some_and(|first| first <= hit.seq));
                        fold.supply_hit(hit);
                    }
                }
            }
            for key in fold.wanted_sources() {
                fold.supply_source(key.0, key.1, self.sources.get(&key).copied().unwrap_or_default());
            }
            fold.take(&batch);
            for hit in &batch {
                self.hits.insert(hit.seq, Hit { reasons: fold.reasons(hit.seq), ..*hit });
            }
            for change in fold.changes() {
                let stored = self.hits.get_mut(&change.seq).unwrap();
                assert_eq!(stored.reasons, change.before);
                stored.reasons = change.after;
            }
            self.messages
                .extend(fold.touched_messages().map(|(principal, message, state)| ((principal, message), state)));
            self.sources
                .extend(fold.touched_sources().map(|(principal, source, record)| ((principal, source), record)));
            fold.settle();
        }
    }

    /// Kind, message, link, source, oddness, step in time, lateness.
    type Drawn = (i64, i64, i64, u128, bool, i64, i64);

    fn log() -> impl Strategy<Value = Vec<(Hit, i64)>> {
        let event = (
            0i64..6,
            0i64..3,
            0i64..3,
            0u128..2,
            prop::bool::ANY,
            0i64..120,
            prop::sample::select(vec![0, 0, 0, 30, 2000]),
        );
        prop::collection::vec(event, 1..60).prop_map(|events| {
            let mut received = 1_000_000 * SECOND;
            let hit = |(seq, (kind, message, link, source, odd, step, late)): (usize, Drawn)| {
                received += step * SECOND / 20;
                let kind = [Kind::Opened, Kind::Clicked, Kind::Clicked, Kind::Opened, Kind::Sent, Kind::Delivered]
                    [kind as usize];
                let own = if odd && kind.is_judged() {
                    Reasons::SCANNER_NETWORK.with(Reasons::BARE_WEBKIT)
                } else {
                    Reasons::NONE
                };
                let source = (source < 4).then_some(source);
                let hit = Hit {
                    seq: seq as i64 + 1,
                    principal: 1,
                    message,
                    link,
                    kind,
                    occurred_at: received - late * SECOND,
                    source,
                    reasons: own,
                };
                (hit, received)
            };
            events.into_iter().enumerate().map(hit).collect()
        })
    }

    /// Reasons by seq, and judged and machine by source.
    type Outcome = (Vec<(i64, u32)>, BTreeMap<(i64, u128), (i64, i64)>);

    fn project(log: &[(Hit, i64)], cuts: &[usize], restart: bool) -> Outcome {
        let mut memory = Memory::default();
        let mut fold = Fold::new(true);
        let mut rest = log;
        for cut in cuts.iter().copied().chain([usize::MAX]) {
            if rest.is_empty() {
                break;
            }
            let (batch, left) = rest.split_at(cut.clamp(1, rest.len()));
            memory.project(&mut fold, batch);
            if restart {
                fold = Fold::new(false);
            }
            rest = left;
        }
        let hits = memory.hits.values().map(|hit| (hit.seq, hit.reasons.0)).collect();
        (hits, memory.sources.iter().map(|(key, record)| (*key, (record.judged, record.machine))).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn verdicts_do_not_depend_on_how_the_log_was_batched(log in log(), cuts in prop::collection::vec(1usize..9, 0..60), restart in prop::bool::ANY) {
            prop_assert_eq!(project(&log, &[], false), project(&log, &cuts, restart));
        }
    }

    fn hit(seq: i64, kind: Kind, link: i64, at: i64) -> Hit {
        Hit { seq, principal: 1, message: 5, link, kind, occurred_at: at, source: Some(9), reasons: Reasons::NONE }
    }

    #[test]
    fn a_burst_re_labels_what_came_before_it() {
        let mut memory = Memory::default();
        let mut fold = Fold::new(true);
        let start = 1_000_000 * SECOND;
        memory.project(&mut fold, &[(hit(1, Kind::Opened, 0, start), start)]);
        memory.project(&mut fold, &[(hit(2, Kind::Clicked, 1, start + SECOND), start + SECOND)]);
        assert_eq!(weigh(Kind::Clicked, memory.hits[&2].reasons).class, Class::Human);
        memory.project(&mut fold, &[(hit(3, Kind::Clicked, 2, start + 3 * SECOND), start + 3 * SECOND)]);
        for seq in 1..=3 {
            assert_eq!(weigh(memory.hits[&seq].kind, memory.hits[&seq].reasons).class, Class::Machine, "{seq}");
        }
        assert_eq!(memory.sources[&(1, 9)], SourceRecord { judged: 3, machine: 3 });
    }

    #[test]
    fn a_late_delivery_report_shows_that_an_open_came_too_early() {
        let mut memory = Memory::default();
        let mut fold = Fold::new(true);
        let start = 1_000_000 * SECOND;
        memory.project(&mut fold, &[(hit(1, Kind::Opened, 0, start), start)]);
        memory.project(&mut Fold::new(false), &[(hit(2, Kind::Delivered, 0, start + 10 * SECOND), start + MINUTE)]);
        assert!(memory.hits[&1].reasons.any(Reasons::BEFORE_DELIVERY));
    }
}
