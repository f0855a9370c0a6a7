//! The projector: unpacks the log in order, drops duplicates, judges, counts, and moves its cursor, all in one transaction.

mod agents;
mod counting;
mod draft;
mod firsts;
mod project;
mod running;
mod supply;
mod versions;
mod write;

pub use agents::Agents;
pub use counting::{CLIENT, COUNTER, ClientKey, ConversionKey, CounterKey, Counts, Span};
pub use firsts::{FirstKey, KEY_MATCHES, first_columns, read_first_key};
pub use project::{Projected, Projector};
pub use running::{ProjectorMetrics, ProjectorThread, RunningSettings, catch_up};
pub use supply::{supply_hits, supply_wanted};
pub use versions::{RenderedBy, VERSION, VersionCounts, VersionKey, is_hit, read_version_key, version_columns};
pub use write::{Relabelled, relabel};
