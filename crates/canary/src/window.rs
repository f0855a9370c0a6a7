//! What is measured of both arms in a stretch of time.

use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;

/// A stretch of time, a quarter of a second or a second long, with what both arms did in it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Microseconds UTC, as in `signalbox_core::time`.
    pub from: i64,
    pub to: i64,
    pub canary: Arm,
    pub baseline: Arm,
    /// Metrics that do not come from the edge.
    #[serde(default)]
    pub readings: Vec<Reading>,
}

/// The requests of one arm that ended in a window.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    pub requests: u64,
    pub errors: Errors,
    pub latency: Histogram,
}

/// Requests that went wrong, by what went wrong. A request is counted in one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Errors {
    /// Answers 500 to 599 of the service.
    pub server: u64,
    /// The service could not be reached, or broke off.
    pub connection: u64,
    pub timeout: u64,
    /// Answers 400 to 499. They count only where a metric asks for them.
    pub client: u64,
}

impl Errors {
    /// What counts as an error unless a metric says otherwise.
    pub fn failures(&self) -> u64 {
        self.server.saturating_add(self.connection).saturating_add(self.timeout)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.server = self.server.saturating_add(other.server);
        self.connection = self.connection.saturating_add(other.connection);
        self.timeout = self.timeout.saturating_add(other.timeout);
        self.client = self.client.saturating_add(other.client);
    }
}

impl Arm {
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.errors.add(&other.errors);
        self.latency.merge(&other.latency);
    }

    pub(crate) fn clear(&mut self) {
        self.requests = 0;
        self.errors = Errors::default();
        self.latency.clear();
    }
}

/// A metric of both arms in a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    pub metric: String,
    pub value: Measured,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// Events among trials in this window, for example clicks among opens.
    Share { canary: Tally, baseline: Tally },
    /// The result of a query for each arm. Nothing and NaN mean the same: no data.
    Sample { canary: Option<f64>, baseline: Option<f64> },
}

/// Events among trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    pub events: u64,
    pub trials: u64,
}

impl Tally {
    /// A source that counts more events than trials (late events) is believed as far as it can be true.
    pub fn new(events: u64, trials: u64) -> Self {
        Self { events: events.min(trials), trials }
    }

    pub(crate) fn add(&mut self, other: Self) {
        let other = Self::new(other.events, other.trials);
        self.events = self.events.saturating_add(other.events);
        self.trials = self.trials.saturating_add(other.trials);
    }
}

/// The tallies of both arms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tallies {
    pub canary: Tally,
    pub baseline: Tally,
}

impl Tallies {
    pub fn new(canary: (u64, u64), baseline: (u64, u64)) -> Self {
        Self { canary: Tally::new(canary.0, canary.1), baseline: Tally::new(baseline.0, baseline.1) }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.canary.add(other.canary);
        self.baseline.add(other.baseline);
    }
}
