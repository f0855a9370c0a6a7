//! `GET /health`: each part in one word, without sign-in and without details; the status code says whether to send traffic.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use schemars::JsonSchema;
use serde::Serialize;
use signalbox_core::clock::Clock;
use signalbox_core::time::{MINUTE, SECOND};
use signalbox_store::{Scope, Store};
use signalbox_tracking::intake::Intake;

const PATIENCE: Duration = Duration::from_secs(2);
/// Below this the disk counts as full.
const DISK_LEAST_BYTES: u64 = 64 << 20;
const DISK_WARN_BYTES: u64 = 1 << 30;

/// A projector that fails for so long does not get well by itself.
const PROJECTOR_PATIENCE: i64 = 5 * MINUTE;

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[schemars(rename = "HealthStatus")]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Pass,
    Warn,
    Fail,
}

/// What is looked at.
#[derive(Clone)]
pub struct Health {
    pub version: Arc<str>,
    pub store: Store,
    pub intake: Intake,
    pub queue_events: usize,
    /// Since when projecting fails, in microseconds; 0 while it does not.
    pub projector_failing: Option<Arc<AtomicI64>>,
    pub data: Arc<std::path::Path>,
    pub clock: Arc<dyn Clock>,
    /// When the clock was last seen, to notice that it jumped back.
    pub last_seen: Arc<AtomicI64>,
}

/// How the process is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Health")]
pub struct Report {
    status: Status,
    version: String,
    /// True where this is a copy beside the original: nothing goes out of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    held: bool,
    components: Vec<Component>,
}

/// How a part of it is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HealthComponent")]
pub struct Component {
    name: &'static str,
    status: Status,
}

/// Free and usable bytes on the file system that holds `path`.
pub fn free_bytes(path: &std::path::Path) -> Option<u64> {
    rustix::fs::statvfs(path).ok().map(|stat| stat.f_bavail * stat.f_frsize)
}

fn projector(failing_since: i64, now: i64) -> Status {
    match failing_since {
        0 => Status::Pass,
        since if now - since < PROJECTOR_PATIENCE => Status::Warn,
        _ => Status::Fail,
    }
}

impl Health {
    async fn components(&self) -> (Vec<Component>, bool) {
        let pass_unless = |bad: bool| if bad { Status::Fail } else { Status::Pass };
        let answer = tokio::time::timeout(PATIENCE, self.store.read(Scope::all(), |conn| conn.held())).await;
        let waiting = self.intake.waiting();
        let intake = match self.store.health().poisoned() {
            Some(_) => Status::Fail,
            None if waiting >= self.queue_events => Status::Fail,
            None if waiting > self.queue_events / 2 => Status::Warn,
            None => Status::Pass,
        };
        let disk = match free_bytes(&self.data) {
            Some(free) if free < DISK_LEAST_BYTES => Status::Fail,
            Some(free) if free < DISK_WARN_BYTES => Status::Warn,
            Some(_) => Status::Pass,
            None => Status::Warn,
        };
        let now = self.clock.now().0;
        let clock =
            if self.last_seen.fetch_max(now, Ordering::Relaxed) > now + SECOND { Status::Warn } else { Status::Pass };
        let mut components = vec![
            Component { name: "database", status: pass_unless(!matches!(answer, Ok(Ok(_)))) },
            Component { name: "intake", status: intake },
            Component { name: "disk", status: disk },
            Component { name: "clock", status: clock },
        ];
        if let Some(failing) = &self.projector_failing {
            let status = projector(failing.load(Ordering::Relaxed), now);
            components.push(Component { name: "projector", status });
        }
        (components, matches!(answer, Ok(Ok(Some(_)))))
    }

    /// The answer.
    pub async fn answer(self) -> Response {
        let (components, held) = self.components().await;
        let status = components.iter().map(|component| component.status).max().unwrap_or(Status::Pass);
        let code = if status == Status::Fail { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        (code, Json(Report { status, version: self.version.to_string(), held, components })).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projector_that_fails_for_long_fails_the_process() {
        let now = 1_780_000_000_000_000;
        assert_eq!(projector(0, now), Status::Pass);
        assert_eq!(projector(now - 4 * MINUTE, now), Status::Warn);
        assert_eq!(projector(now - 5 * MINUTE, now), Status::Fail);
    }
}
