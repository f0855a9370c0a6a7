//! The data plane as the executor needs it. The binary wires the edge into it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use serde::{Deserialize, Serialize};
use signalbox_canary::histogram::Histogram;
use signalbox_canary::window::Errors;

/// An answer that comes some time later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, PlaneError>> + Send + 'a>>;

/// Moves traffic and counts it.
pub trait DataPlane: Send + Sync {
    /// What is in force.
    fn routes(&self) -> Later<'_, RouteTable>;
    /// Puts routes into force. When it comes back, no request is assigned by older ones.
    fn put(&self, table: RouteTable) -> Later<'_, ()>;
    /// What was counted so far.
    fn counts(&self) -> Later<'_, Counts>;
    /// Closes what would last on an arm without traffic, within that many milliseconds.
    fn drain(&self, arm: String, within_ms: u64) -> Later<'_, ()>;
}

/// Why the data plane did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PlaneError {
    /// It is not there, or does not answer; it may come back.
    #[error("{0}")]
    Away(String),
    /// Another controller has set newer routes: this one does not lead any more.
    #[error("{0}")]
    Superseded(String),
    #[error("{0}")]
    Refused(String),
}

/// Versions and their weights.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RouteTable {
    pub epoch: u64,
    pub arms: Vec<RouteArm>,
    /// A visitor stays with a version; another text meets other people first.
    pub sticky: Option<String>,
}

/// A version; the arm is called like it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteArm {
    pub version: String,
    /// `http://127.0.0.1:20000`
    pub upstreams: Vec<String>,
    /// In hundredths of a percent.
    pub weight: u32,
}

/// What was counted, by generation of the data plane and by arm. Everything but `open` only grows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Counts {
    pub epoch: u64,
    pub arms: Vec<ArmCount>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ArmCount {
    pub generation: u64,
    pub version: String,
    pub accepted: u64,
    /// New visitors, where they stay with a version.
    pub new_sessions: u64,
    /// Answers that say that a hit is on disk.
    pub recorded: u64,
    pub open: u64,
    /// Requests that ended and say something of the version; those that clients broke off are not among them.
    pub ended: u64,
    /// Broken off by clients.
    pub aborted: u64,
    pub errors: Errors,
    /// Microseconds in the middle of a bucket, and how many requests took about that long.
    pub latency: Vec<(u64, u64)>,
}

impl RouteTable {
    /// The weight of a version; 0 where it has no arm.
    pub fn weight(&self, version: &str) -> u32 {
        self.arms.iter().find(|arm| arm.version == version).map_or(0, |arm| arm.weight)
    }
}

impl Counts {
    /// Over all generations: accepted requests, new visitors, open requests.
    pub fn sum(&self, version: &str) -> (u64, u64, u64) {
        let arms = self.arms.iter().filter(|arm| arm.version == version);
        arms.fold((0, 0, 0), |(accepted, sessions, open), arm| {
            (accepted + arm.accepted, sessions + arm.new_sessions, open + arm.open)
        })
    }

    /// What became of every request that was accepted, version by version.
    pub fn receipt(&self) -> String {
        // Before the first routes the edge has an arm without a version.
        let versions = self.arms.iter().map(|arm| arm.version.as_str()).filter(|version| !version.is_empty());
        let mut versions: Vec<&str> = versions.collect();
        versions.sort_unstable();
        versions.dedup();
        let of = |version: &str| {
            let arms = self.arms.iter().filter(|arm| arm.version == version);
            let (accepted, ended, aborted, open) = arms.fold((0, 0, 0, 0), |sum, arm| {
                (sum.0 + arm.accepted, sum.1 + arm.ended, sum.2 + arm.aborted, sum.3 + arm.open)
            });
            format!("{version}: {accepted} accepted = {ended} ended + {aborted} broken off by clients + {open} open")
        };
        let lines: Vec<String> = versions.into_iter().map(of).collect();
        if lines.is_empty() { "the edge counted nothing".into() } else { lines.join("; ") }
    }

    /// How long the requests of a version took that ended since `before` was counted.
    pub fn latency_since(&self, before: &Self, version: &str) -> Histogram {
        let of = |counts: &Self| {
            let mut all = BTreeMap::<u64, u64>::new();
            for arm in counts.arms.iter().filter(|arm| arm.version == version) {
                for (micros, count) in &arm.latency {
                    *all.entry(*micros).or_default() += count;
                }
            }
            all
        };
        let earlier = of(before);
        let mut histogram = Histogram::default();
        for (micros, count) in of(self) {
            histogram.record_many(micros, count.saturating_sub(earlier.get(&micros).copied().unwrap_or(0)));
        }
        histogram
    }

    /// Of all versions: accepted requests, and those that failed.
    pub fn sum_all(&self) -> (u64, u64) {
        self.arms
            .iter()
            .fold((0, 0), |(accepted, failed), arm| (accepted + arm.accepted, failed + arm.errors.failures()))
    }
}
