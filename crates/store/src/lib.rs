//! The one door to SQLite and PostgreSQL: connections, transactions, scope, migrations, and the append-only intake log.
//! One SQL text runs on both; no other crate knows either engine. It never knows what the rows mean.

mod conn;
mod engine;
mod error;
mod health;
mod held;
mod insert;
mod job_lease;
mod lease;
mod log;
mod migrate;
mod scope;
mod shape;
mod snapshot;
mod store;
mod value;

pub use conn::Conn;
pub use error::StoreError;
pub use health::Health;
pub use held::Held;
pub use insert::{Column, Insert, Type};
pub use job_lease::{JobLease, VersionShare};
pub use lease::NodeLease;
pub use log::{Log, LogReader, LogRow, LogWriter};
pub use migrate::{Applied, LedgerRow, Migration, Plan, Progress};
pub use scope::Scope;
pub use snapshot::Table;
pub use store::{EngineName, Faults, Settings, Store};
pub use value::{Row, Value};
