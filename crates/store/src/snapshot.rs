//! What a snapshot is made of: whole files on SQLite, tables as PostgreSQL copies them on PostgreSQL.
//!
//! **The order on SQLite is the log first, then the main file.** Rows of the log are cleared away only behind the cursor,
//! and the cursor is in the main file. So whatever the log's copy no longer had was projected before, and the main file,
//! copied later, has it; whatever the main file does not have yet lies above its cursor, hence above the earlier one, and
//! was in the log. The other way round a row could be projected and cleared between the two copies and be in neither. That
//! the cursor may name a seq above the copied log is no harm: whoever appends begins above the cursor.
//! PostgreSQL gives all tables in one transaction that sees one moment.

use std::io::{Read, Write};
use std::path::Path;

use crate::conn::{Conn, Engine};
use crate::engine::sqlite_copy;
use crate::error::StoreError;
use crate::log::{LogRow, checked};
use crate::migrate::{LedgerRow, Migration};
use crate::scope::Scope;
use crate::shape;
use crate::store::{EngineName, Store, StoreEngine};

/// A table and its columns, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    pub columns: Vec<String>,
}

impl Store {
    /// SQLite's two files in the order in which they are copied; none on PostgreSQL.
    pub const FILES: [&'static str; 2] = ["intake.db", "signalbox.db"];

    /// Copies both files of SQLite into `folder`, each in one step, while other processes write. `begun` hears of each file.
    pub fn copy_into(&self, folder: &Path, mut begun: impl FnMut(&str)) -> Result<(), StoreError> {
        let StoreEngine::Sqlite(engine) = self.engine_of() else {
            return Err(StoreError::Aborted("PostgreSQL has no files to copy".into()));
        };
        // Makes the log where no server has run yet.
        drop(self.log().reader()?);
        for file in Self::FILES {
            begun(file);
            sqlite_copy::copy(&engine.path.with_file_name(file), &folder.join(file))?;
        }
        Ok(())
    }

    /// Reads every page of every file and compares every index with its table. PostgreSQL looks after itself.
    pub fn check_every_page(&self) -> Result<(), StoreError> {
        let StoreEngine::Sqlite(engine) = self.engine_of() else { return Ok(()) };
        Self::FILES.iter().try_for_each(|file| sqlite_copy::check(&engine.path.with_file_name(file)))
    }

    /// Ends the work on a copy: everything is in the files themselves, synced, and nothing lies beside them.
    pub fn seal(self) -> Result<(), StoreError> {
        let StoreEngine::Sqlite(engine) = self.engine_of() else { return Ok(()) };
        let path = engine.path.clone();
        drop(self);
        Self::FILES.iter().try_for_each(|file| sqlite_copy::seal(&path.with_file_name(file)))
    }

    /// Fills an empty database in one transaction: there is all of it in the end, or nothing.
    pub fn restore_into<T>(
        &self,
        features: &[&'static [Migration]],
        ledger: &[LedgerRow],
        fill: impl FnOnce(&mut Conn<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.write_here(&Scope::all(), |conn| {
            conn.serialise()?;
            let tables = shape::read(conn)?;
            if !tables.is_empty() {
                let names: Vec<&str> = tables.keys().map(String::as_str).take(3).collect();
                let place = self.place();
                return Err(StoreError::Aborted(format!("{place} is not empty: it holds {}", names.join(", "))));
            }
            conn.build(features, ledger)?;
            fill(conn)
        })
    }

    /// As [`Store::restore_into`], into a place that is gone again when this returns, whatever happens.
    pub fn rehearse<T>(
        &self,
        features: &[&'static [Migration]],
        ledger: &[LedgerRow],
        fill: impl FnOnce(&mut Conn<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut done = None;
        let undone = self.write_here(&Scope::all(), |conn| -> Result<(), StoreError> {
            conn.script(
                "CREATE SCHEMA snapshot_rehearsal; SET LOCAL search_path TO snapshot_rehearsal",
                "a rehearsal",
            )?;
            conn.build(features, ledger)?;
            done = Some(fill(conn)?);
            Err(StoreError::Aborted("a rehearsal is always undone".into()))
        });
        match (done, undone) {
            (Some(done), _) => Ok(done),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Err(StoreError::Aborted("a rehearsal came to no end".into())),
        }
    }
}

impl Conn<'_> {
    /// Every table, by name, without the mark of a copy.
    pub fn tables(&mut self) -> Result<Vec<Table>, StoreError> {
        const COLUMNS: &str = "SELECT a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = $1 AND a.attnum > 0
            AND NOT a.attisdropped ORDER BY a.attnum";
        let shape = shape::read(self)?;
        let mut tables = Vec::new();
        for (name, columns) in shape {
            if name == crate::held::TABLE {
                continue;
            }
            let columns = match &self.engine {
                Engine::Sqlite(_) => columns.into_iter().collect(),
                Engine::Postgres(_) => self.query(COLUMNS, &[name.as_str().into()], |row| row.text(0))?,
            };
            tables.push(Table { name, columns });
        }
        Ok(tables)
    }

    /// Writes all rows of a table as PostgreSQL's binary copy.
    pub fn copy_out(&mut self, table: &Table, out: &mut dyn Write) -> Result<(), StoreError> {
        let sql = format!("COPY {} TO STDOUT (FORMAT binary)", named(table)?);
        match &mut self.engine {
            Engine::Sqlite(_) => Err(foreign()),
            Engine::Postgres(tx) => tx.copy_out(&sql, out),
        }
    }

    /// Reads what [`Conn::copy_out`] wrote into a table of [`Store::restore_into`]; says how many rows there were.
    pub fn copy_in(&mut self, table: &Table, from: &mut dyn Read) -> Result<u64, StoreError> {
        const FORCED: &str = "SELECT c.relforcerowsecurity::int::bigint FROM pg_class c
            WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = $1";
        let sql = format!("COPY {} FROM STDIN (FORMAT binary)", named(table)?);
        let forced = self.first(FORCED, &[table.name.as_str().into()], |row| row.int(0))? == Some(1);
        let name = &table.name;
        // Migrations write first rows, which triggers may guard: here they make room for the rows of the original.
        let first = self.first(&format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {name}"), &[], |row| row.int(0))?;
        if first != Some(0) {
            let clear = "ALTER TABLE {} DISABLE TRIGGER USER; DELETE FROM {}; ALTER TABLE {} ENABLE TRIGGER USER";
            self.script(&clear.replace("{}", name), name)?;
        }
        // Nobody else sees the table yet: policies can rest while its owner fills it.
        if forced {
            self.script(&format!("ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY"), name)?;
        }
        let rows = match &mut self.engine {
            Engine::Sqlite(_) => return Err(foreign()),
            Engine::Postgres(tx) => tx.copy_in(&sql, from)?,
        };
        if forced {
            self.script(&format!("ALTER TABLE {name} FORCE ROW LEVEL SECURITY"), name)?;
        }
        Ok(rows)
    }

    /// Rows of PostgreSQL's intake log after `seq`, as this transaction sees them.
    pub fn log_after(&mut self, seq: i64, most_rows: i64) -> Result<Vec<LogRow>, StoreError> {
        const SQL: &str = "SELECT first_seq, count, checksum, body FROM intake WHERE first_seq > $1
            ORDER BY first_seq LIMIT $2";
        let rows = self.query(SQL, &[seq.into(), most_rows.into()], |row| {
            Ok((row.int(0)?, row.int(1)?, row.int(2)?, row.bytes(3)?))
        })?;
        rows.into_iter().map(|(first, count, checksum, body)| checked(first, count, checksum, body)).collect()
    }

    /// Which engine it is.
    pub fn engine_name(&self) -> EngineName {
        match &self.engine {
            Engine::Sqlite(_) => EngineName::Sqlite,
            Engine::Postgres(_) => EngineName::Postgres,
        }
    }
}

fn foreign() -> StoreError {
    StoreError::Aborted("only tables of PostgreSQL are copied one by one".into())
}

/// `event (id, seq)`: names come from a file and go into a statement.
fn named(table: &Table) -> Result<String, StoreError> {
    let plain = |name: &String| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    match table.columns.iter().chain([&table.name]).find(|name| !plain(name)) {
        Some(odd) => Err(StoreError::Corrupt(format!("{odd:?} is no name of a table or column of ours"))),
        None => Ok(format!("{} ({})", table.name, table.columns.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_go_into_no_statement() {
        let table = |name: &str, column: &str| Table { name: name.into(), columns: vec![column.into()] };
        assert_eq!(named(&table("event", "received_at")).unwrap(), "event (received_at)");
        for (name, column) in [("event; DROP", "id"), ("event", "id)"), ("", "id"), ("event", "")] {
            named(&table(name, column)).unwrap_err();
        }
    }
}
