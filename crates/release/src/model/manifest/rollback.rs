use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_core::setting::Period;
use signalbox_core::setting_file::Reader;

use super::Said;
use crate::model::limits::{Bound, Breaker, Failures, Growth, Side, Statistic, Threshold, Trigger, Unreachable};

/// What rolls a release back by itself, in every phase, waits included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Triggers {
    pub errors: Trigger<Threshold>,
    pub latency: Trigger<Threshold>,
    pub breaker: Trigger<Breaker>,
    pub memory: Trigger<Threshold>,
    pub leak: Trigger<Growth>,
    pub health: Trigger<Failures>,
    pub database: Trigger<Unreachable>,
    pub vulnerability: Vulnerability,
}

/// From which severity on an advisory that appears for what runs rolls it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Vulnerability {
    High,
    #[default]
    Critical,
    Off,
}

impl Triggers {
    /// Whether nothing rolls back by itself.
    pub fn all_off(&self) -> bool {
        self.errors.on().is_none()
            && self.latency.on().is_none()
            && self.breaker.on().is_none()
            && self.health.on().is_none()
    }
}

/// What rolls a release back by itself. Every one can be off.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Rollback")]
pub(super) struct RollbackWire {
    /// Share of failed requests of the new version; default > 1 % for 5m.
    errors: Said<Trigger<Threshold>>,
    /// Time of answers of the new version; default mean > 500ms for 5m.
    latency: Said<Trigger<Threshold>>,
    /// Trips at once; default 50 % of 20 requests.
    breaker: Said<Trigger<Breaker>>,
    /// Memory of an instance, of service.limits.memory; default > 90 % for 1m.
    memory: Said<Trigger<Threshold>>,
    /// Memory that grows; default > 50 % in 30m.
    leak: Said<Trigger<Growth>>,
    /// Failed health checks in a row; default 3 failures.
    health: Said<Trigger<Failures>>,
    /// The database is away for the new version and not for the old one; default unreachable for 30s.
    database: Said<Trigger<Unreachable>>,
    /// An advisory that appears: high, critical or off; default critical.
    vulnerability: Said<Vulnerability>,
}

impl RollbackWire {
    pub(super) fn read(self, reader: &mut Reader<'_, '_>) -> Triggers {
        let percent = |percent, seconds| Threshold {
            statistic: None,
            side: Side::Above,
            bound: Bound::Percent(percent),
            held: Period::from_secs(seconds),
        };
        let mean = Threshold {
            statistic: Some(Statistic::Mean),
            bound: Bound::Latency(Period::from_millis(500)),
            ..percent(0.0, 300)
        };
        let share = |reader: &mut Reader<'_, '_>, said: Said<Trigger<Threshold>>, usual| {
            let at = said.as_ref().map_or(0, |said| said.at);
            let trigger = reader.take(said).unwrap_or(Trigger::On(usual));
            if trigger.on().is_some_and(Threshold::is_latency) {
                reader.wrong(at, "is a share; write > 1 % for 5m");
            }
            trigger
        };
        let errors = share(reader, self.errors, percent(1.0, 300));
        let memory = share(reader, self.memory, percent(90.0, 60));
        let latency_at = self.latency.as_ref().map_or(0, |said| said.at);
        let latency = reader.take(self.latency).unwrap_or(Trigger::On(mean));
        if latency.on().is_some_and(|threshold| !threshold.is_latency()) {
            reader.wrong(latency_at, "is a time; write mean > 500ms for 5m");
        }
        let growth = Growth { percent: 50.0, within: Period::from_secs(1800) };
        Triggers {
            errors,
            latency,
            breaker: reader.take(self.breaker).unwrap_or(Trigger::On(Breaker { percent: 50.0, requests: 20 })),
            memory,
            leak: reader.take(self.leak).unwrap_or(Trigger::On(growth)),
            health: reader.take(self.health).unwrap_or(Trigger::On(Failures(3))),
            database: reader.take(self.database).unwrap_or(Trigger::On(Unreachable(Period::from_secs(30)))),
            vulnerability: reader.take(self.vulnerability).unwrap_or_default(),
        }
    }
}
