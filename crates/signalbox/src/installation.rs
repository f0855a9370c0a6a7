//! An opened installation: settings, store, keys, ids. What every command starts from.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::json;
use signalbox_access::error::AccessError;
use signalbox_access::links::{self, Purpose};
use signalbox_access::principals;
use signalbox_access::reach::Reach;
use signalbox_access::trail::{Act, Actor, By, Deed, note};
use signalbox_access::users;
use signalbox_core::clock::{Clock, SystemClock};
use signalbox_core::id::{IdMaker, encode};
use signalbox_crypto::keyring::Keyring;
use signalbox_store::{Applied, Conn, Faults, Migration, NodeLease, Scope, Store, StoreError};
use zeroize::Zeroizing;

use crate::settings::Settings;
use crate::{audit, keyfile};

/// The migrations of every feature.
pub const MIGRATIONS: [&[Migration]; 3] =
    [signalbox_audit::schema::MIGRATIONS, signalbox_access::schema::MIGRATIONS, signalbox_insight::schema::MIGRATIONS];

pub struct Installation {
    pub settings: Settings,
    pub store: Store,
    pub ids: Arc<IdMaker>,
    pub clock: Arc<dyn Clock>,
    /// The migrations that ran when it was opened.
    pub applied: Vec<Applied>,
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
        let applied = match schema {
            Schema::MakeOrRequire if store.migration_plan(&MIGRATIONS)?.found != 0 => {
                store.require_schema(&MIGRATIONS)?;
                Vec::new()
            }
            Schema::Migrate | Schema::MakeOrRequire => store.migrate(&MIGRATIONS, now)?,
        };
        for applied in &applied {
            tracing::info!(migration.number = applied.number, migration.name = applied.name, "migrated");
        }
        let lease = NodeLease::take(&store, &holder()?, now)?;
        let ids = Arc::new(IdMaker::new(lease.node));
        let open = Self { settings, store, ids, clock, applied, lease };
        open.tell_migrations(recover)?;
        open.default_principal()?;
        Ok(open)
    }

    /// The tables of the audit log may have been made just now: what ran is told when all of it has.
    fn tell_migrations(&self, by_server: bool) -> anyhow::Result<()> {
        if self.applied.is_empty() {
            return Ok(());
        }
        let act = if by_server { self.own_act() } else { self.act("migrate") };
        let steps: Vec<_> = self.applied.iter().map(|step| format!("{} {}", step.number, step.name)).collect();
        let deed = Deed { action: "schema.migrated", after: Some(json!({"migrations": steps})), ..Deed::default() };
        Ok(self.store.write_here(&Scope::all(), |conn| note(conn, &act, deed))?)
    }

    /// The principal that exists from the start.
    pub fn default_principal(&self) -> anyhow::Result<i64> {
        let act = self.own_act();
        Ok(self.store.write_here(&Scope::all(), |conn| principals::ensure(conn, &act, principals::DEFAULT))?.0)
    }

    /// A change that the program makes by itself.
    fn own_act(&self) -> Act {
        let by = By { actor: Actor::System, name: "signalbox".into(), address: None, correlation: "start".into() };
        Act { by, now: self.clock.now(), ids: Arc::clone(&self.ids) }
    }

    /// A change that a command makes, by the user of the system who runs it. All that one run changes has one correlation.
    pub fn act(&self, words: &str) -> Act {
        let now = self.clock.now();
        let correlation = format!("{} {words}", encode("cmd", self.ids.next_at(now)));
        let by = By { actor: Actor::Command, name: audit::user_name(), address: None, correlation };
        Act { by, now, ids: Arc::clone(&self.ids) }
    }

    /// Runs a change of access in a transaction.
    pub fn change<T>(
        &self,
        run: impl FnOnce(&mut Conn<'_>) -> Result<Result<T, AccessError>, StoreError>,
    ) -> Result<T, AccessError> {
        self.store.write_here(&Scope::all(), run)?
    }

    /// The principals of these names; all of them without a name or with `all`.
    pub fn reach(&self, names: &[String]) -> anyhow::Result<Reach> {
        if names.is_empty() || names == ["all"] {
            return Ok(Reach::All);
        }
        let find = |name: &String| -> anyhow::Result<i64> {
            let found = self.store.read_here(&Scope::all(), |conn| principals::find(conn, name))?;
            let found = found.with_context(|| {
                format!("there is no principal called {name:?}; `signalbox principal create` makes one")
            })?;
            Ok(found.0)
        };
        Ok(Reach::Principals(names.iter().map(find).collect::<Result<_, _>>()?))
    }

    /// `path` as an address to open: below `server.public_url`, or where this listens.
    pub fn link(&self, path: &str) -> String {
        self.link_at(self.settings.server.listen, path)
    }

    /// As [`Installation::link`], for a server that listens at `address`.
    pub fn link_at(&self, address: SocketAddr, path: &str) -> String {
        match self.settings.server.public_url.trim_end_matches('/') {
            "" => format!("http://{address}{path}"),
            base => format!("{base}{path}"),
        }
    }

    /// The path at which the first owner is made, where there is no user yet; earlier ones end.
    pub fn set_up_link(&self) -> anyhow::Result<Option<Zeroizing<String>>> {
        let now = self.clock.now();
        Ok(self.change(|conn| {
            if users::any(conn)? {
                return Ok(Ok(None));
            }
            Ok(links::create(conn, Purpose::SetUp, None, now)?.map(Some))
        })?)
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
