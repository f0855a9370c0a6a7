//! An opened installation: settings, store, keys, ids. What every command starts from.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use signalbox_access::principals;
use signalbox_core::clock::{Clock, SystemClock};
use signalbox_core::id::{IdMaker, encode};
use signalbox_crypto::keyring::Keyring;
use signalbox_store::{Faults, Migration, NodeLease, Store};

use crate::keyfile;
use crate::settings::Settings;

/// The migrations of every feature.
pub const MIGRATIONS: [&[Migration]; 2] = [signalbox_access::schema::MIGRATIONS, signalbox_insight::schema::MIGRATIONS];

pub struct Installation {
    pub settings: Settings,
    pub store: Store,
    pub ids: Arc<IdMaker>,
    pub clock: Arc<dyn Clock>,
    lease: NodeLease,
}

/// What to do about a schema that is not up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    Migrate,
    /// An empty store gets its schema, so that tokens can be made before the first start; another one must be up to date.
    MakeOrRequire,
}

/// Whether there is no SQLite database yet.
pub fn is_new(settings: &Settings) -> bool {
    settings.database.url.is_empty() && !settings.server.data.join("signalbox.db").exists()
}

/// Connects to the store that the settings name.
pub fn open_store(settings: &Settings, faults: Faults) -> anyhow::Result<Store> {
    let url = &settings.database.url;
    Ok(Store::open(&signalbox_store::Settings {
        data: settings.server.data.clone(),
        database_url: (!url.is_empty()).then(|| url.clone()),
        connections: settings.database.connections,
        faults,
    })?)
}

impl Installation {
    /// Opens everything. Only the process that will acknowledge events says `recover`.
    pub fn open(settings: Settings, schema: Schema, faults: Faults, recover: bool) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = open_store(&settings, faults)?;
        if recover {
            store.recover()?;
        }
        let now = clock.now();
        match schema {
            Schema::MakeOrRequire if store.migration_plan(&MIGRATIONS)?.found != 0 => {
                store.require_schema(&MIGRATIONS)?
            }
            Schema::Migrate | Schema::MakeOrRequire => {
                for applied in store.migrate(&MIGRATIONS, now)? {
                    tracing::info!(migration.number = applied.number, migration.name = applied.name, "migrated");
                }
            }
        }
        let lease = NodeLease::take(&store, &holder()?, now)?;
        let ids = Arc::new(IdMaker::new(lease.node));
        let open = Self { settings, store, ids, clock, lease };
        open.default_principal()?;
        Ok(open)
    }

    /// The principal that exists from the start.
    pub fn default_principal(&self) -> anyhow::Result<i64> {
        Ok(principals::ensure(&self.store, principals::DEFAULT, &self.ids, self.clock.now())?.0)
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.settings.server.data
    }

    /// The keyring; made where there is none.
    pub fn keyring(&self) -> anyhow::Result<Keyring> {
        keyfile::load_or_create(self.data(), self.clock.now())
    }

    /// Keeps this process's node number.
    pub fn renew_lease(&self) {
        match self.lease.renew(&self.store, self.clock.now()) {
            Ok(true) => (),
            Ok(false) => {
                tracing::error!(node = self.lease.node, "another process holds this process's node number: restart it")
            }
            Err(error) => tracing::warn!(%error, "the node lease could not be renewed; it is tried again"),
        }
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        if let Err(error) = self.lease.release(&self.store) {
            tracing::debug!(%error, "the node lease was not given back; it expires by itself");
        }
    }
}

/// A name that no other process uses.
fn holder() -> anyhow::Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).ok().context("the system's random source failed")?;
    Ok(encode("process", i64::from_ne_bytes(bytes) & i64::MAX))
}
