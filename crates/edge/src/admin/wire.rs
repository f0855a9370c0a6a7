//! What goes over the admin socket.

use serde::{Deserialize, Serialize};

use crate::stats::{ArmCounts, ArmKey};

/// `GET /health`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub generation: u64,
    pub epoch: u64,
    pub connections: u64,
    /// It accepts nothing more: another edge took over, or it was told to end.
    pub finishing: bool,
    pub process_id: u32,
    pub version: String,
}

/// The answer to `PUT /routes`: every thread uses them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    pub epoch: u64,
    /// Threads that acknowledged, those of draining generations included.
    pub threads: u64,
    /// They are on disk. If not, they are in force all the same, and `note` says why.
    pub stored: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// `GET /stats`: this generation's own counts, and those of the generations that still drain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    pub generation: u64,
    pub epoch: u64,
    pub connections: u64,
    /// Connections that were closed because there were too many.
    pub shed_connections: u64,
    /// Requests that were refused before they had an arm (400, 408, 413, 414, 431 …).
    pub refused_requests: u64,
    pub failed_handshakes: u64,
    pub mirrored: u64,
    pub mirror_dropped: u64,
    /// Lines of the access log that were dropped because the disk was too slow.
    pub access_log_dropped: u64,
    pub arms: Vec<ArmCounted>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predecessors: Vec<Stats>,
}

/// The counts of an arm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmCounted {
    pub name: String,
    pub version: String,
    #[serde(flatten)]
    pub counts: ArmCounts,
}

impl ArmCounted {
    pub(crate) fn key(&self) -> ArmKey {
        ArmKey { name: self.name.clone(), version: self.version.clone() }
    }
}

/// What a generation counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    pub generation: u64,
    /// It ended well and will not count any more. If not, it runs, or was killed and these are its last known counts.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Older generations that are added up in this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<u64>,
    pub arms: Vec<ArmCounted>,
}

/// `GET /receipt`: everything that was ever accepted here, per arm, summed over generations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// accepted = answered + answered_by_edge + broken + aborted + open, for every arm.
    pub balances: bool,
    pub arms: Vec<ArmCounted>,
    pub generations: Vec<GenerationState>,
}

/// A generation in a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationState {
    pub generation: u64,
    pub state: State,
}

/// How a generation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Serving,
    Draining,
    Ended,
    /// Killed: its counts are those that it last wrote down.
    Lost,
}

/// `POST /drain`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// An arm by name; it must have weight 0 or be gone from the routes.
    pub arm: String,
    /// Its upgrades and event streams are closed one after the other within this time.
    #[serde(default = "half_a_minute")]
    pub within_ms: u64,
}

fn half_a_minute() -> u64 {
    30_000
}

/// The answer to `POST /drain`. Ask again, or look at `/stats`, until nothing is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    pub open: u64,
    pub open_upgrades: u64,
    pub open_streams: u64,
    /// Upgrades and event streams that were told to close now.
    pub closing: u64,
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub title: String,
    pub status: u16,
    pub detail: String,
}
