//! A place for a store of a test's own: a folder for SQLite, a database on the test cluster for PostgreSQL.
//! The tests of other crates use this file too.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use signalbox_store::{Faults, Settings};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// Gone with everything in it when dropped.
pub struct Place {
    folder: TempDir,
    database: Option<Database>,
}

/// A database on the test cluster.
struct Database {
    url: String,
    name: String,
}

/// What xtask hands to the tests.
#[expect(clippy::disallowed_methods, reason = "a test has no settings: xtask hands it the cluster this way")]
pub fn variable(name: &str) -> String {
    match std::env::var(name) {
        Ok(value) => value,
        Err(_) => panic!("{name} is not set: run `cargo xtask test`, which starts PostgreSQL and sets it"),
    }
}

/// The same server and user, another database.
pub fn with_database(url: &str, database: &str) -> String {
    let (server, _) = url.rsplit_once('/').expect("the url of the test cluster ends in a database");
    format!("{server}/{database}")
}

/// Runs statements past the store, each for itself. What the last one gives is returned as text, row by row.
pub fn run_sql(url: &str, statements: &[&str]) -> Vec<Vec<Option<String>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the test cluster is reached");
        let connection = tokio::spawn(connection);
        let mut rows = Vec::new();
        for statement in statements {
            rows = simple(&client, statement).await;
        }
        drop(client);
        connection.await.expect("the connection's task ends").expect("the connection ends well");
        rows
    })
}

async fn simple(client: &Client, statement: &str) -> Vec<Vec<Option<String>>> {
    let messages = client.simple_query(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    let rows = messages.into_iter().filter_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    rows.map(|row| (0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect()).collect()
}

impl Place {
    pub fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), database: None }
    }

    pub fn postgres() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let cluster = variable("SIGNALBOX_TEST_POSTGRES");
        run_sql(&cluster, &[&format!("CREATE DATABASE {name}")]);
        let database = Database { url: with_database(&cluster, &name), name };
        Self { folder: tempfile::tempdir().expect("a temporary folder"), database: Some(database) }
    }

    /// The folder that is the data directory.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The database's url, on PostgreSQL.
    pub fn url(&self) -> Option<&str> {
        self.database.as_ref().map(|database| database.url.as_str())
    }

    pub fn settings(&self, connections: usize) -> Settings {
        Settings {
            data: self.folder().to_owned(),
            database_url: self.url().map(str::to_owned),
            connections,
            faults: Faults::default(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(database) = &self.database {
            // Only a superuser may end an autovacuum that is at work in it.
            run_sql(
                &variable("SIGNALBOX_TEST_POSTGRES_SUPER"),
                &[&format!("DROP DATABASE {} WITH (FORCE)", database.name)],
            );
        }
    }
}
