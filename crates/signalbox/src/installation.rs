//! An opened installation: settings, store, keys, ids. What every command starts from.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
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
use signalbox_store::{Applied, Conn, Faults, Migration, NodeLease, Progress, Scope, Store, StoreError};
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
    /// A name that no other process uses.
    pub holder: String,
}

/// What to do about a schema that is not up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    Migrate,
    /// An empty store gets its schema, so that tokens can be made before the first start; another one must be up to date.
    MakeOrRequire,
    /// There must be an installation, and it must be up to date.
    Require,
    /// There must be an installation on which this program can run; it may have been expanded for a later one.
    Runnable,
}

/// Whether there is no SQLite database yet.
pub fn is_new(settings: &Settings) -> bool {
    settings.database.url.is_empty() && !settings.server.data.join("signalbox.db").exists()
}

/// What is missing of an installation of which the rest is there. It is never made anew in silence: a new keyring would end
/// every link that was ever mailed, and a new database forgets who may do what.
pub fn lost_database(settings: &Settings) -> Option<String> {
    if !settings.database.url.is_empty() {
        return None;
    }
    let data = &settings.server.data;
    // The database is made before the others: who looks the other way round may see one being set up.
    let rest = [keyfile::path(data), data.join("intake.db")].into_iter().find(|path| path.exists())?;
    let database = data.join("signalbox.db");
    let words = match std::fs::metadata(&database) {
        Ok(meta) if meta.len() > 0 => return None,
        Ok(_) => "is empty",
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "is missing",
        // Opening it tells.
        Err(_) => return None,
    };
    Some(missing(&format!("{} {words} although {} is there", database.display(), rest.display())))
}

/// The words for a keyring that is gone.
pub fn lost_keyring(data: &Path) -> String {
    let path = keyfile::path(data);
    missing(&format!(
        "{} is missing although the database is there: every link is signed with its keys",
        path.display()
    ))
}

fn missing(what: &str) -> String {
    format!("{what}; restore it from a backup, or start with a new data directory")
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
        if let Some(lost) = lost_database(&settings) {
            bail!(lost);
        }
        if matches!(schema, Schema::Require | Schema::Runnable) && is_new(&settings) {
            bail!(nothing_there(&settings));
        }
        let store = open_store(&settings, faults)?;
        if recover {
            store.recover()?;
        }
        let now = clock.now();
        let is_made = Self::look(&settings, &store)?;
        let applied = match (schema, is_made) {
            (Schema::Require | Schema::Runnable, false) => bail!(nothing_there(&settings)),
            (Schema::Runnable, true) => {
                store.require_runnable(&MIGRATIONS)?;
                Vec::new()
            }
            (Schema::Require | Schema::MakeOrRequire, true) => {
                store.require_schema(&MIGRATIONS)?;
                Vec::new()
            }
            (Schema::Migrate, true) => store.migrate(&MIGRATIONS, now)?,
            (Schema::Migrate | Schema::MakeOrRequire, false) => {
                // In this order, so that what an interrupted set-up leaves is not taken for what is left of a lost installation.
                store.begin()?;
                keyfile::ensure(&settings.server.data, now)?;
                store.migrate(&MIGRATIONS, now)?
            }
        };
        for applied in &applied {
            tracing::info!(migration.number = applied.number, migration.name = applied.name, "migrated");
        }
        let holder = holder()?;
        let lease = NodeLease::take(&store, &holder, now)?;
        let ids = Arc::new(IdMaker::new(lease.node));
        let open = Self { settings, store, ids, clock, applied, lease, holder };
        if let Some(held) = open.store.held()?.filter(|_| recover) {
            tracing::warn!(since = %held.since, why = held.why, "this is a copy: nothing goes out of it");
        }
        open.tell_migrations(recover)?;
        open.default_principal()?;
        Ok(open)
    }

    /// Whether database and keys are there. One without the other is refused.
    fn look(settings: &Settings, store: &Store) -> anyhow::Result<bool> {
        let keyring = keyfile::path(&settings.server.data);
        // Looked at before and after, because another process may be setting up: keys come after the beginning of the
        // database, and before its first migration.
        let had_keys = keyring.exists();
        match store.progress()? {
            Progress::New if had_keys => {
                bail!(missing(&format!("the database is empty although {} is there", keyring.display())))
            }
            Progress::At(_) if !keyring.exists() => bail!(lost_keyring(&settings.server.data)),
            Progress::At(_) => Ok(true),
            Progress::New | Progress::Begun => Ok(false),
        }
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

    /// The keyring.
    pub fn keyring(&self) -> anyhow::Result<Keyring> {
        keyfile::load(self.data())
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

/// The words for a place without an installation.
pub fn nothing_there(settings: &Settings) -> String {
    match settings.database.url.is_empty() {
        true => {
            let data = settings.server.data.display();
            format!("there is no installation in {data}; run `signalbox migrate --data {data}`, or start `signalbox serve --data {data}`")
        }
        false => "there is no installation in the database of DATABASE_URL; run `signalbox migrate`, or start `signalbox serve`".into(),
    }
}

/// A name that no other process uses.
fn holder() -> anyhow::Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).ok().context("the system's random source failed")?;
    Ok(encode("process", i64::from_ne_bytes(bytes) & i64::MAX))
}
