use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_core::setting::Period;
use signalbox_core::setting_file::Reader;

use super::Said;
use super::health::positive;
use crate::model::text::written_as_text;
use crate::model::value::{Command, Count, Template};

/// Where the migrations are, and on which database they run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Migrations {
    pub dir: Template,
    pub database: Database,
    pub order: Order,
    /// How long a statement waits for a lock before it lets go and tries again.
    pub lock_timeout: Period,
    /// Rows of a backfill in one transaction.
    pub batch: Count<1, 1_000_000>,
    /// What runs one migration.
    pub command: Option<Command>,
    /// What backs the database up.
    pub backup: Option<Command>,
    /// What restores a backup beside production.
    pub restore: Option<Command>,
}

/// `sqlite:shop.db`, or `postgres:secrets/database-url`: a file that holds the URL, because the URL holds a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    Sqlite(Template),
    PostgresUrlIn(Template),
}

/// What says which migration comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Their numbers; `depends-on` may only name lower ones.
    #[default]
    Number,
    /// Their `depends-on`, then their numbers.
    DependsOn,
}

impl fmt::Display for Database {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Database::Sqlite(path) => write!(out, "sqlite:{path}"),
            Database::PostgresUrlIn(path) => write!(out, "postgres:{path}"),
        }
    }
}

impl FromStr for Database {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, path) = text.split_once(':').unwrap_or((text, ""));
        if text.contains("://") {
            return Err("a URL holds a password; put it into a file and write postgres:FILE".into());
        }
        match kind {
            "sqlite" if !path.is_empty() => Ok(Self::Sqlite(path.parse()?)),
            "postgres" if !path.is_empty() => Ok(Self::PostgresUrlIn(path.parse()?)),
            _ => Err(format!(
                "{text:?} is not a database; write sqlite:{{data}}/shop.db, or postgres:FILE with its URL in the file"
            )),
        }
    }
}

written_as_text!(
    Database,
    "Database",
    "A file of SQLite, or a file that holds the URL of PostgreSQL.",
    "sqlite:{data}/shop.db"
);

/// Where the migrations are, and on which database they run.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Migrations", extend("required" = ["dir", "database"]))]
pub(super) struct MigrationsWire {
    /// A folder with NNNN.expand.sql, NNNN.backfill.sql and NNNN.contract.sql.
    dir: Said<Template>,
    /// sqlite:FILE, or postgres:FILE where the file holds the URL.
    database: Said<Database>,
    /// number or depends-on; default number.
    order: Said<Order>,
    /// How long a statement waits for a lock before it tries again; default 500ms.
    lock_timeout: Said<Period>,
    /// Rows of a backfill in one transaction; default 1000.
    batch: Said<Count<1, 1_000_000>>,
    /// Runs one migration: the path of its file is added at the end, {data} is where the database is. It must do no harm
    /// when it runs twice, and end with 0.
    command: Said<Command>,
    /// Backs the database up into the file whose path is added at the end.
    backup: Said<Command>,
    /// Restores the backup whose path is added at the end into {data}, beside production.
    restore: Said<Command>,
}

impl MigrationsWire {
    pub(super) fn read(self, reader: &mut Reader<'_, '_>) -> Option<Migrations> {
        let dir = reader.needed("migrations", "dir", self.dir);
        let database = reader.needed("migrations", "database", self.database);
        let order = reader.take(self.order).unwrap_or_default();
        let lock_timeout = positive(reader, self.lock_timeout).unwrap_or(Period::from_millis(500));
        let batch = reader.take(self.batch).unwrap_or(Count::of(1000));
        let (command, backup, restore) =
            (reader.take(self.command), reader.take(self.backup), reader.take(self.restore));
        Some(Migrations { dir: dir?, database: database?, order, lock_timeout, batch, command, backup, restore })
    }
}
