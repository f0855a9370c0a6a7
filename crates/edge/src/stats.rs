//! What is counted per arm and thread, and how threads and generations are summed.
//!
//! Every accepted request ends in exactly one of: answered (by the upstream, whole), answered by the edge itself (502,
//! 503, 504, 413 …), broken (the upstream failed in the middle of its answer), aborted (the client left).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::histogram::{Distribution, Histogram};

/// Written by one thread, read by the admin thread.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn inc(&self) {
        self.add(1);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One arm on one thread.
#[derive(Debug, Default)]
pub(crate) struct ArmStats {
    accepted: AtomicU64,
    /// By class of status: 1xx to 5xx.
    answered: [Counter; 5],
    by_edge: AtomicU64,
    edge_statuses: [Counter; 4],
    broken: Counter,
    aborted: Counter,
    ended: AtomicU64,
    pub(crate) connect_errors: Counter,
    pub(crate) timeouts: Counter,
    pub(crate) resets: Counter,
    pub(crate) retries: Counter,
    upgrades_opened: Counter,
    upgrades_closed: Counter,
    streams_opened: Counter,
    streams_closed: Counter,
    pub(crate) new_sessions: Counter,
    pub(crate) recorded: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) latency: Histogram,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Answered(u16),
    ByEdge(u16),
    Broken,
    Aborted,
}

/// A long answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Long {
    Upgrade,
    EventStream,
}

impl ArmStats {
    pub(crate) fn begin(&self) {
        self.accepted.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn end(&self, ending: Ending) {
        match ending {
            Ending::Answered(status) => self.answered[usize::from(status / 100).clamp(1, 5) - 1].inc(),
            Ending::ByEdge(status) => {
                self.by_edge.fetch_add(1, Ordering::Relaxed);
                let place = match status {
                    502 => 0,
                    503 => 1,
                    504 => 2,
                    _ => 3,
                };
                self.edge_statuses[place].inc();
            }
            Ending::Broken => self.broken.inc(),
            Ending::Aborted => self.aborted.inc(),
        }
        self.ended.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn opened(&self, long: Long) {
        match long {
            Long::Upgrade => self.upgrades_opened.inc(),
            Long::EventStream => self.streams_opened.inc(),
        }
    }

    pub(crate) fn closed(&self, long: Long) {
        match long {
            Long::Upgrade => self.upgrades_closed.inc(),
            Long::EventStream => self.streams_closed.inc(),
        }
    }

    /// What is counted so far. What is open is never less than nothing: ends are read before beginnings.
    pub(crate) fn snapshot(&self) -> ArmCounts {
        let closed = (self.upgrades_closed.get(), self.streams_closed.get());
        let ended = self.ended.load(Ordering::SeqCst);
        let accepted = self.accepted.load(Ordering::SeqCst);
        let [s1xx, s2xx, s3xx, s4xx, s5xx] = self.answered.each_ref().map(Counter::get);
        let [bad_gateway, unavailable, gateway_timeout, other] = self.edge_statuses.each_ref().map(Counter::get);
        let broken = self.broken.get();
        let aborted = self.aborted.get();
        let settled = s1xx + s2xx + s3xx + s4xx + s5xx + bad_gateway + unavailable + gateway_timeout + other;
        // Counters of one end are written one after the other: whatever began to be counted has been accepted.
        let ended = ended.max(settled + broken + aborted);
        let accepted = accepted.max(ended);
        ArmCounts {
            accepted,
            open: accepted - (settled + broken + aborted),
            answered: Answered { s1xx, s2xx, s3xx, s4xx, s5xx },
            answered_by_edge: ByEdge { bad_gateway, unavailable, gateway_timeout, other },
            broken,
            aborted,
            errors: Errors {
                connect: self.connect_errors.get(),
                timeout: self.timeouts.get(),
                reset: self.resets.get(),
            },
            retries: self.retries.get(),
            upgrades_opened: self.upgrades_opened.get(),
            open_upgrades: self.upgrades_opened.get().saturating_sub(closed.0),
            open_streams: self.streams_opened.get().saturating_sub(closed.1),
            new_sessions: self.new_sessions.get(),
            recorded: self.recorded.get(),
            bytes_out: self.bytes_out.get(),
            latency: self.latency.snapshot(),
        }
    }
}

/// Whole answers of the upstream by class of status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    pub s1xx: u64,
    pub s2xx: u64,
    pub s3xx: u64,
    pub s4xx: u64,
    pub s5xx: u64,
}

impl Answered {
    /// All of them.
    pub fn sum(&self) -> u64 {
        self.s1xx + self.s2xx + self.s3xx + self.s4xx + self.s5xx
    }
}

/// Requests that got no answer from the upstream and one from the edge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByEdge {
    /// 502: it could not be reached, or broke off before its answer.
    pub bad_gateway: u64,
    /// 503: no arm has weight.
    pub unavailable: u64,
    /// 504: it did not answer in time.
    pub gateway_timeout: u64,
    /// What a client's body caused: 400, 408, 413.
    pub other: u64,
}

impl ByEdge {
    /// All of them.
    pub fn sum(&self) -> u64 {
        self.bad_gateway + self.unavailable + self.gateway_timeout + self.other
    }
}

/// What went wrong towards the upstream, retried or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    pub connect: u64,
    pub timeout: u64,
    pub reset: u64,
}

/// The counts of one arm. Everything but the gauges `open`, `open_upgrades` and `open_streams` only grows.
///
/// accepted = answered + answered_by_edge + broken + aborted + open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmCounts {
    pub accepted: u64,
    pub open: u64,
    pub answered: Answered,
    pub answered_by_edge: ByEdge,
    pub broken: u64,
    pub aborted: u64,
    pub errors: Errors,
    pub retries: u64,
    pub upgrades_opened: u64,
    pub open_upgrades: u64,
    /// Open event streams.
    pub open_streams: u64,
    /// Requests that got a new sticky cookie.
    pub new_sessions: u64,
    /// Answers that say that a hit is on disk (`x-event-id`); they are among `answered`, `broken` and `aborted`.
    #[serde(default)]
    pub recorded: u64,
    pub bytes_out: u64,
    /// From the whole head of a request until its answer is handed to the kernel; for upgrades and event streams until
    /// the head of the answer. Only requests that the upstream answered.
    pub latency: Distribution,
}

impl ArmCounts {
    /// Whether nothing was forgotten.
    pub fn balances(&self) -> bool {
        let ended = self.answered.sum() + self.answered_by_edge.sum() + self.broken + self.aborted;
        self.accepted == ended + self.open
    }

    /// Adds what another thread or generation counted.
    pub fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.open += other.open;
        self.answered.s1xx += other.answered.s1xx;
        self.answered.s2xx += other.answered.s2xx;
        self.answered.s3xx += other.answered.s3xx;
        self.answered.s4xx += other.answered.s4xx;
        self.answered.s5xx += other.answered.s5xx;
        self.answered_by_edge.bad_gateway += other.answered_by_edge.bad_gateway;
        self.answered_by_edge.unavailable += other.answered_by_edge.unavailable;
        self.answered_by_edge.gateway_timeout += other.answered_by_edge.gateway_timeout;
        self.answered_by_edge.other += other.answered_by_edge.other;
        self.broken += other.broken;
        self.aborted += other.aborted;
        self.errors.connect += other.errors.connect;
        self.errors.timeout += other.errors.timeout;
        self.errors.reset += other.errors.reset;
        self.retries += other.retries;
        self.upgrades_opened += other.upgrades_opened;
        self.open_upgrades += other.open_upgrades;
        self.open_streams += other.open_streams;
        self.new_sessions += other.new_sessions;
        self.recorded += other.recorded;
        self.bytes_out += other.bytes_out;
        self.latency.add(&other.latency);
    }
}

/// An arm of a version; what is counted under one name stays apart from another version under the same name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ArmKey {
    pub name: String,
    pub version: String,
}

/// Requests that reached no arm are counted under this name.
pub const UNROUTED: &str = "(none)";

/// Every arm that this process ever had, with a set of counters per thread.
#[derive(Debug)]
pub(crate) struct Ledger {
    threads: usize,
    arms: BTreeMap<ArmKey, Vec<Arc<ArmStats>>>,
}

impl Ledger {
    pub(crate) fn new(threads: usize) -> Self {
        Self { threads, arms: BTreeMap::new() }
    }

    /// The counters of an arm, one set per thread.
    pub(crate) fn of(&mut self, key: ArmKey) -> Vec<Arc<ArmStats>> {
        let threads = self.threads;
        self.arms.entry(key).or_insert_with(|| (0..threads).map(|_| Arc::default()).collect()).clone()
    }

    /// The counters of an arm of that name, whatever its versions.
    pub(crate) fn named(&self, name: &str) -> Vec<Arc<ArmStats>> {
        let named = self.arms.iter().filter(|(key, _)| key.name == name);
        named.flat_map(|(_, threads)| threads.iter().cloned()).collect()
    }

    pub(crate) fn counts(&self) -> BTreeMap<ArmKey, ArmCounts> {
        let sum = |threads: &Vec<Arc<ArmStats>>| {
            let mut sum = ArmCounts::default();
            threads.iter().for_each(|stats| sum.add(&stats.snapshot()));
            sum
        };
        self.arms.iter().map(|(key, threads)| (key.clone(), sum(threads))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ending_balances() {
        let stats = ArmStats::default();
        let endings = [
            Ending::Answered(101),
            Ending::Answered(200),
            Ending::Answered(599),
            Ending::ByEdge(502),
            Ending::ByEdge(413),
            Ending::Broken,
            Ending::Aborted,
        ];
        for ending in endings {
            stats.begin();
            assert!(stats.snapshot().balances() && stats.snapshot().open == 1);
            stats.end(ending);
            assert!(stats.snapshot().balances() && stats.snapshot().open == 0, "{ending:?}");
        }
        stats.begin();
        let mut sum = stats.snapshot();
        sum.add(&stats.snapshot());
        assert!(sum.balances());
        assert_eq!((sum.accepted, sum.open, sum.answered.s1xx, sum.answered_by_edge.other), (16, 2, 2, 2));
    }
}
