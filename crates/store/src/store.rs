//! Opening a store, and transactions on it.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::conn::{Conn, Engine};
use crate::engine::{postgres, sqlite};
use crate::error::StoreError;
use crate::health::Health;
use crate::log::Log;
use crate::scope::Scope;

/// Which database, and where.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The data directory: SQLite's files live in it.
    pub data: PathBuf,
    /// A `postgres://` URL; SQLite when there is none.
    pub database_url: Option<String>,
    /// The size of the PostgreSQL pool.
    pub connections: usize,
    /// Only for proving that the crash tests would notice.
    pub faults: Faults,
}

/// Faults that are switched on only with `--allow-faults`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Commit without syncing.
    pub sync_normal: bool,
}

/// The engine behind a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineName {
    Sqlite,
    Postgres,
}

/// A store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    engine: StoreEngine,
    log: Log,
    health: Arc<Health>,
}

#[derive(Clone)]
enum StoreEngine {
    Sqlite(Arc<sqlite::Sqlite>),
    Postgres(Arc<postgres::Postgres>),
}

impl Store {
    /// Connects; creates SQLite's files, for this user alone, where there are none. Does not migrate.
    pub fn open(settings: &Settings) -> Result<Self, StoreError> {
        let health = Arc::new(Health::default());
        if let Some(url) = &settings.database_url {
            let engine = Arc::new(postgres::Postgres::open(url, settings.connections)?);
            let log = Log::postgres(Arc::clone(&engine), Arc::clone(&health));
            return Ok(Self { engine: StoreEngine::Postgres(engine), log, health });
        }
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&settings.data)
            .map_err(|error| StoreError::Io(format!("{}: {error}", settings.data.display())))?;
        let main = sqlite::Sqlite::open(settings.data.join("signalbox.db"), settings.faults, Arc::clone(&health))?;
        let log = Log::sqlite(settings.data.join("intake.db"), settings.faults, Arc::clone(&health));
        Ok(Self { engine: StoreEngine::Sqlite(Arc::new(main)), log, health })
    }

    /// Which engine it is.
    pub fn engine(&self) -> EngineName {
        match &self.engine {
            StoreEngine::Sqlite(_) => EngineName::Sqlite,
            StoreEngine::Postgres(_) => EngineName::Postgres,
        }
    }

    /// SQLite's database file.
    pub fn path(&self) -> Option<&Path> {
        match &self.engine {
            StoreEngine::Sqlite(engine) => Some(&engine.path),
            StoreEngine::Postgres(_) => None,
        }
    }

    /// Where it is, in words.
    pub(crate) fn place(&self) -> String {
        self.path().map_or("the PostgreSQL database of DATABASE_URL".into(), |path| path.display().to_string())
    }

    /// Whether it may be trusted with new events.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// The intake log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Makes durable what an earlier process may have left unsynced. For the process that will acknowledge events.
    pub fn recover(&self) -> Result<(), StoreError> {
        match &self.engine {
            StoreEngine::Sqlite(engine) => engine.recover(),
            StoreEngine::Postgres(_) => Ok(()),
        }
    }

    /// Looks for damage where the engine can: SQLite reads every page of both files, PostgreSQL looks after itself.
    pub fn check_integrity(&self) -> Result<(), StoreError> {
        match &self.engine {
            StoreEngine::Sqlite(engine) => engine.check_integrity(),
            StoreEngine::Postgres(_) => Ok(()),
        }
    }

    /// Runs a read-only transaction on a blocking thread.
    pub async fn read<T: Send + 'static>(
        &self,
        scope: Scope,
        run: impl FnOnce(&mut Conn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || store.read_here(&scope, run))
            .await
            .map_err(|error| StoreError::Aborted(error.to_string()))?
    }

    /// Runs a transaction on a blocking thread; it is committed, and on disk, when `Ok` comes back.
    pub async fn write<T: Send + 'static>(
        &self,
        scope: Scope,
        run: impl FnOnce(&mut Conn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || store.write_here(&scope, run))
            .await
            .map_err(|error| StoreError::Aborted(error.to_string()))?
    }

    /// As [`Store::read`], on this thread, which must not be an asynchronous one.
    pub fn read_here<T>(
        &self,
        scope: &Scope,
        run: impl FnOnce(&mut Conn<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match &self.engine {
            StoreEngine::Sqlite(engine) => engine.read(|tx| run(&mut Conn { scope, engine: Engine::Sqlite(tx) })),
            StoreEngine::Postgres(engine) => {
                engine.run(false, &scope.list(), |tx| run(&mut Conn { scope, engine: Engine::Postgres(tx) }))
            }
        }
    }

    /// As [`Store::write`], on this thread, which must not be an asynchronous one.
    pub fn write_here<T>(
        &self,
        scope: &Scope,
        run: impl FnOnce(&mut Conn<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match &self.engine {
            StoreEngine::Sqlite(engine) => engine.write(|tx| run(&mut Conn { scope, engine: Engine::Sqlite(tx) })),
            StoreEngine::Postgres(engine) => {
                engine.run(true, &scope.list(), |tx| run(&mut Conn { scope, engine: Engine::Postgres(tx) }))
            }
        }
    }

    /// Keeps SQLite's write-ahead logs short, for as long as the store lives. PostgreSQL needs no such help.
    pub fn spawn_checkpointer(&self) -> Result<(), StoreError> {
        let StoreEngine::Sqlite(engine) = &self.engine else { return Ok(()) };
        let checkpointer = engine.checkpointer()?;
        let sole = engine.checkpoint_lock()?;
        let engine = Arc::downgrade(engine);
        let reader = self.log.reader()?;
        let work = move || {
            low_priority();
            while let Some(engine) = engine.upgrade() {
                let outcomes =
                    if sole.is_ours() { vec![engine.tidy(&checkpointer), reader.tidy()] } else { Vec::new() };
                for error in outcomes.into_iter().filter_map(Result::err) {
                    tracing::warn!(%error, "checkpoint failed; it is tried again");
                }
                drop(engine);
                std::thread::sleep(Duration::from_millis(500));
            }
        };
        std::thread::Builder::new()
            .name("checkpoint".into())
            .spawn(work)
            .map_err(|error| StoreError::Io(error.to_string()))?;
        Ok(())
    }
}

/// Background work must not take the processor from hits that wait for their answer.
fn low_priority() {
    // Linux applies it to the calling thread alone; elsewhere it is only a hint.
    let _ = rustix::process::setpriority_process(None, 10);
}
