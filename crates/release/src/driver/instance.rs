use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use signalbox_core::time::Micros;

use crate::model::text::written_as_text;
use crate::model::value::{Digest, Name, Version};

/// Names an instance for ever: it is never used again. `shop-1.5.0-k3v9x2qd`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(String);

/// One running copy of a version, or what is left of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Instance {
    pub id: InstanceId,
    pub service: Name,
    pub version: Version,
    pub role: Role,
    /// Where requests reach it, also where it runs in a sandbox.
    pub address: SocketAddr,
    pub state: State,
    /// Since when it is in that state.
    pub since: Micros,
    /// When the present process was started, or the last one.
    pub started_at: Option<Micros>,
    /// Starts after the first.
    pub restarts: u64,
    /// Failed health checks in a row, as its supervisor sees them.
    pub failures: u64,
    pub memory_bytes: Option<u64>,
    pub memory_limit_bytes: Option<u64>,
    pub last_exit: Option<Exit>,
    /// What was checked before it was started.
    pub artifact: Option<Digest>,
    /// Why it is in that state, in words.
    pub said: String,
}

/// What an instance is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Production,
    Staging,
}

/// How an instance is, as its supervisor last saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It runs and was not healthy yet.
    Starting,
    /// It runs, and its last health check was good.
    Healthy,
    /// It runs, was healthy, and is not now.
    Unhealthy,
    /// It died and waits until it is started again.
    BackingOff,
    /// It died, or was not healthy, too often: it is not started any more.
    GivenUp,
    Stopping,
    /// It was stopped as it should.
    Stopped,
    /// Its supervisor is gone, and it with it.
    Lost,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    pub at: Micros,
    #[serde(flatten)]
    pub how: ExitHow,
    /// Why, in words, where its supervisor knows: over its limit of memory, not healthy in time, asked to stop.
    pub said: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitHow {
    Code(i32),
    Signal(i32),
    /// It could not be started at all.
    NotStarted,
    /// Nobody was there to see it.
    Unseen,
}

impl State {
    /// Whether there is a process, or will be one again.
    pub fn lives(self) -> bool {
        !matches!(self, Self::GivenUp | Self::Stopped | Self::Lost)
    }
}

impl InstanceId {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for InstanceId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let good = |one: char| one.is_ascii_alphanumeric() || ".-+_".contains(one);
        // It becomes the name of a folder.
        let first = text.starts_with(|one: char| one.is_ascii_lowercase());
        if !first || !text.chars().all(good) || text.len() > 160 {
            return Err(format!("{text:?} is not the id of an instance"));
        }
        Ok(Self(text.to_owned()))
    }
}

written_as_text!(InstanceId, "InstanceId", "What an instance is called.", "shop-1.5.0-k3v9x2qd");

impl fmt::Display for Exit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.how {
            ExitHow::Code(code) => write!(out, "ended with {code}")?,
            ExitHow::Signal(signal) => write!(out, "was ended by signal {signal}")?,
            ExitHow::NotStarted => write!(out, "could not be started")?,
            ExitHow::Unseen => write!(out, "ended unseen")?,
        }
        if self.said.is_empty() { Ok(()) } else { write!(out, ": {}", self.said) }
    }
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::BackingOff => "backing off",
            Self::GivenUp => "given up",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Lost => "lost",
        })
    }
}
