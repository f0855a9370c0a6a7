//! Migrations: numbered, checksummed, run once, in one transaction each, under a lock.

use std::fmt::Write as _;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use signalbox_core::time::Micros;

use crate::conn::Conn;
use crate::error::StoreError;
use crate::scope::Scope;
use crate::shape;
use crate::store::{EngineName, Store};

/// One step of the schema. `{bytes}` stands for the engine's byte type, `{key}` for a 64-bit primary key,
/// `{clustered}` for what keeps a table in the order of its primary key where the engine can. What stands between
/// `{sqlite}` and `{/sqlite}` is for SQLite alone.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    pub number: i64,
    pub name: &'static str,
    pub sql: &'static str,
    /// What only PostgreSQL needs beside it.
    pub postgres: &'static str,
    /// New tables whose rows belong to a principal: PostgreSQL enforces row-level security on them.
    pub scoped: &'static [&'static str],
    /// It takes away what programs that do not know it still need: none of them runs on the schema any more. One that
    /// only adds (expand) leaves the programs before it running.
    pub contract: bool,
}

/// What the schema is and what would be run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub found: i64,
    pub pending: Vec<(i64, &'static str, String)>,
}

/// How far a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It holds nothing.
    New,
    /// Its set-up was begun, and no migration has run.
    Begun,
    /// Up to this migration.
    At(i64),
}

/// A migration that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    pub number: i64,
    pub name: &'static str,
}

/// The store's own tables.
const OWN: Migration = Migration {
    number: 1,
    name: "store",
    sql: "CREATE TABLE node_lease (node {key}, holder TEXT NOT NULL, expires_at BIGINT NOT NULL)",
    postgres: "CREATE TABLE intake (first_seq BIGINT PRIMARY KEY, count BIGINT NOT NULL, checksum BIGINT NOT NULL, body BYTEA NOT NULL);
        ALTER TABLE intake ALTER COLUMN body SET STORAGE EXTERNAL",
    scoped: &[],
    contract: false,
};

/// What several instances on one store share. Since then the list of migrations says which of them are contracts.
const INSTANCES: Migration = Migration {
    number: 30,
    name: "instances",
    sql: "
ALTER TABLE schema_migration ADD COLUMN contract BIGINT NOT NULL DEFAULT 0;
CREATE TABLE lease (name TEXT NOT NULL PRIMARY KEY, holder TEXT NOT NULL, version TEXT NOT NULL, expires_at BIGINT NOT NULL);
CREATE TABLE version_share (version TEXT NOT NULL PRIMARY KEY, weight BIGINT NOT NULL, promoted BIGINT NOT NULL, epoch BIGINT NOT NULL,
    at BIGINT NOT NULL)",
    postgres: "",
    scoped: &[],
    contract: false,
};

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS schema_migration (
    number BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)";

impl Migration {
    fn checksum(&self) -> String {
        let text = json!([self.number, self.name, self.sql, self.postgres, self.scoped]).to_string();
        Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    fn render(&self, engine: EngineName) -> String {
        let (bytes, key, clustered) = match engine {
            EngineName::Sqlite => ("BLOB", "INTEGER PRIMARY KEY", " WITHOUT ROWID"),
            EngineName::Postgres => ("BYTEA", "BIGINT PRIMARY KEY", ""),
        };
        let mut sql = for_engine(self.sql, engine);
        sql = sql.replace("{bytes}", bytes).replace("{key}", key).replace("{clustered}", clustered);
        if engine == EngineName::Postgres {
            let _ = write!(sql, ";\n{}", self.postgres);
            for table in self.scoped {
                let inside = "(SELECT current_setting('app.principals', true)) = 'all' OR principal_id = ANY ((SELECT
                    string_to_array(NULLIF(current_setting('app.principals', true), 'all'), ',')::bigint[])::bigint[])";
                let _ = write!(
                    sql,
                    ";\nALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
                    CREATE POLICY principals ON {table} USING ({inside}) WITH CHECK ({inside})"
                );
            }
        }
        sql
    }
}

/// Leaves out what is for SQLite alone, or only its brackets.
fn for_engine(sql: &str, engine: EngineName) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some((before, inside)) = rest.split_once("{sqlite}") {
        let (only, after) = inside.split_once("{/sqlite}").unwrap_or((inside, ""));
        out.push_str(before);
        if engine == EngineName::Sqlite {
            out.push_str(only);
        }
        rest = after;
    }
    out + rest
}

fn ordered(features: &[&'static [Migration]]) -> Vec<Migration> {
    let mut all = vec![OWN, INSTANCES];
    all.extend(features.iter().copied().flatten());
    all.sort_by_key(|migration| migration.number);
    debug_assert!(
        all.iter().all(|one| !one.contract || one.number > INSTANCES.number),
        "there is no column for it yet"
    );
    debug_assert!(all.windows(2).all(|pair| pair[0].number < pair[1].number), "two migrations have one number");
    all
}

fn pending(conn: &mut Conn<'_>, all: &[Migration]) -> Result<(i64, Vec<Migration>), StoreError> {
    let applied = conn.query("SELECT number, name, checksum FROM schema_migration ORDER BY number", &[], |row| {
        Ok((row.int(0)?, row.text(1)?, row.text(2)?))
    })?;
    let known = all.last().map_or(0, |migration| migration.number);
    for (number, name, checksum) in &applied {
        match all.iter().find(|migration| migration.number == *number) {
            None => return Err(StoreError::TooNew { found: *number, known }),
            Some(migration) if migration.checksum() != *checksum => {
                return Err(StoreError::ChangedMigration { number: *number, name: name.clone() });
            }
            Some(_) => (),
        }
    }
    let found = applied.last().map_or(0, |(number, ..)| *number);
    let missing = all.iter().filter(|migration| !applied.iter().any(|(number, ..)| *number == migration.number));
    Ok((found, missing.copied().collect()))
}

/// Makes the ledger where it is missing, and refuses the database of another program.
fn begin(conn: &mut Conn<'_>, place: &str) -> Result<(), StoreError> {
    conn.serialise()?;
    if !shape::is_begun(&shape::read(conn)?, place)? {
        conn.script(LEDGER, "the list of migrations")?;
    }
    Ok(())
}

impl Store {
    /// How far the database is. Refuses one that holds the tables of another program; writes nothing.
    pub fn progress(&self) -> Result<Progress, StoreError> {
        self.read_here(&Scope::all(), |conn| {
            if !shape::is_begun(&shape::read(conn)?, &self.place())? {
                return Ok(Progress::New);
            }
            let last = conn.first("SELECT COALESCE(MAX(number), 0) FROM schema_migration", &[], |row| row.int(0))?;
            Ok(last.filter(|number| *number > 0).map_or(Progress::Begun, Progress::At))
        })
    }

    /// Says in the database that its set-up has begun. What is made beside it before [`Store::migrate`] is not taken for
    /// what is left of a lost one.
    pub fn begin(&self) -> Result<(), StoreError> {
        self.write_here(&Scope::all(), |conn| begin(conn, &self.place()))
    }

    /// What [`Store::migrate`] would run. Writes nothing.
    pub fn migration_plan(&self, features: &[&'static [Migration]]) -> Result<Plan, StoreError> {
        let all = ordered(features);
        self.read_here(&Scope::all(), |conn| {
            let (found, missing) = match shape::is_begun(&shape::read(conn)?, &self.place())? {
                true => pending(conn, &all)?,
                false => (0, all.clone()),
            };
            let pending = missing
                .iter()
                .map(|migration| (migration.number, migration.name, migration.render(self.engine())))
                .collect();
            Ok(Plan { found, pending })
        })
    }

    /// Brings the schema to what this program knows. Two processes that start at once run it once.
    pub fn migrate(&self, features: &[&'static [Migration]], now: Micros) -> Result<Vec<Applied>, StoreError> {
        let all = ordered(features);
        let mut done = Vec::new();
        loop {
            let next = self.write_here(&Scope::all(), |conn| {
                begin(conn, &self.place())?;
                let (_, missing) = pending(conn, &all)?;
                let Some(next) = missing.first().copied() else { return Ok(None) };
                conn.script(&next.render(self.engine()), &format!("migration {} ({})", next.number, next.name))?;
                conn.execute(
                    "INSERT INTO schema_migration (number, name, checksum, applied_at) VALUES ($1, $2, $3, $4)",
                    &[next.number.into(), next.name.into(), next.checksum().as_str().into(), now.0.into()],
                )?;
                if next.contract {
                    let sql = "UPDATE schema_migration SET contract = 1 WHERE number = $1";
                    conn.execute(sql, &[next.number.into()])?;
                }
                Ok(Some(Applied { number: next.number, name: next.name }))
            })?;
            match next {
                Some(applied) => done.push(applied),
                None => return Ok(done),
            }
        }
    }

    /// Refuses a schema on which this program cannot run: one that still waits for its migrations, or one from which a
    /// later contract took what it needs. One that was only expanded since is fine.
    pub fn require_runnable(&self, features: &[&'static [Migration]]) -> Result<(), StoreError> {
        let all = ordered(features);
        let known = all.last().map_or(0, |migration| migration.number);
        self.read_here(&Scope::all(), |conn| {
            if !shape::is_begun(&shape::read(conn)?, &self.place())? {
                return Err(StoreError::NotMigrated { found: 0, needed: known });
            }
            let sql = "SELECT number, name, checksum FROM schema_migration ORDER BY number";
            let applied = conn.query(sql, &[], |row| Ok((row.int(0)?, row.text(1)?, row.text(2)?)))?;
            let found = applied.last().map_or(0, |(number, ..)| *number);
            for migration in &all {
                match applied.iter().find(|(number, ..)| *number == migration.number) {
                    None => return Err(StoreError::NotMigrated { found, needed: known }),
                    Some((number, name, checksum)) if *checksum != migration.checksum() => {
                        return Err(StoreError::ChangedMigration { number: *number, name: name.clone() });
                    }
                    Some(_) => (),
                }
            }
            // The lowest schema that a program must know.
            let sql = "SELECT COALESCE(MAX(number), 0) FROM schema_migration WHERE contract = 1";
            let least = conn.first(sql, &[], |row| row.int(0))?.unwrap_or_default();
            if least > known { Err(StoreError::TooNew { found: least, known }) } else { Ok(()) }
        })
    }

    /// Refuses a schema that this program does not know or that still waits for migrations.
    pub fn require_schema(&self, features: &[&'static [Migration]]) -> Result<(), StoreError> {
        let plan = self.migration_plan(features)?;
        match plan.pending.last() {
            Some((needed, ..)) => Err(StoreError::NotMigrated { found: plan.found, needed: *needed }),
            None => Ok(()),
        }
    }
}
