//! `release.toml`: read once, into types that cannot be wrong. Every mistake is told with its line, all of them together.

mod approvals;
mod canary;
mod checklist;
mod health;
mod migrations;
mod notification;
mod profile;
mod read;
mod readiness;
mod risk;
mod rollback;
mod service;
mod staging;
mod windows;

pub use approvals::Approvals;
pub use canary::{Business, Canary, Hold, Metric, Source};
pub use checklist::{ChecklistItem, Offset};
pub use health::{Health, UrlPath};
pub use migrations::{Database, Migrations, Order};
pub use notification::{Notification, Occasion};
pub use profile::Profile;
pub use read::{EXAMPLE, Manifest, schema};
pub use readiness::{LOOKED_AT, ReadinessRules};
pub use risk::{Level, Risk, RiskKind};
pub use rollback::{Triggers, Vulnerability};
pub use service::{Artifact, Limits, Ports, Restart, Service, ServiceKind};
pub use staging::{Expected, Probe, Sandbox, Staging};

use signalbox_core::setting_file::Field;

/// A key that may be said.
type Said<T> = Option<Field<T>>;
