//! One transaction on either engine.

use crate::engine::{postgres, sqlite};
use crate::error::StoreError;
use crate::insert::{Column, Insert};
use crate::scope::Scope;
use crate::value::{Row, Value};

/// An open transaction. Statements are written in the SQL that both engines share, with `$1` placeholders.
pub struct Conn<'c> {
    pub(crate) scope: &'c Scope,
    pub(crate) engine: Engine<'c>,
}

pub(crate) enum Engine<'c> {
    Sqlite(sqlite::Transaction<'c>),
    Postgres(postgres::Transaction<'c>),
}

impl Conn<'_> {
    /// Whose rows this transaction may see and write.
    pub fn scope(&self) -> &Scope {
        self.scope
    }

    /// Calls `each` with every row of the result.
    pub fn each(
        &mut self,
        sql: &str,
        params: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match &mut self.engine {
            Engine::Sqlite(tx) => tx.each(sql, params, each),
            Engine::Postgres(tx) => tx.each(sql, params, each),
        }
    }

    /// All rows of the result, each turned into a `T`.
    pub fn query<T>(
        &mut self,
        sql: &str,
        params: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut rows = Vec::new();
        self.each(sql, params, &mut |row| {
            rows.push(read(row)?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The first row of the result, if there is one.
    pub fn first<T>(
        &mut self,
        sql: &str,
        params: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.query(sql, params, read)?.into_iter().next())
    }

    /// As [`Conn::each`], for results that are too large to hold: rows come as the engine gives them.
    pub fn stream(
        &mut self,
        sql: &str,
        params: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match &mut self.engine {
            Engine::Sqlite(tx) => tx.each(sql, params, each),
            Engine::Postgres(tx) => tx.stream(sql, params, each),
        }
    }

    /// Runs a statement and says how many rows it touched.
    pub fn execute(&mut self, sql: &str, params: &[Value<'_>]) -> Result<u64, StoreError> {
        match &mut self.engine {
            Engine::Sqlite(tx) => tx.execute(sql, params),
            Engine::Postgres(tx) => tx.execute(sql, params),
        }
    }

    /// Looks up many keys at once. `{keys}` in the statement stands for a table `k` with the columns `k0`, `k1`, …
    pub fn lookup(
        &mut self,
        sql: &str,
        keys: &[Column<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if keys.first().is_none_or(Column::is_empty) {
            return Ok(());
        }
        match &mut self.engine {
            Engine::Sqlite(tx) => tx.lookup(sql, keys, each),
            Engine::Postgres(tx) => tx.lookup(sql, keys, each),
        }
    }

    /// Writes a batch; calls `each` with what `insert.returning` asks for, once per row that was really written.
    pub fn insert(
        &mut self,
        insert: &Insert,
        columns: &[Column<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        if columns.first().is_none_or(Column::is_empty) {
            return Ok(0);
        }
        debug_assert_eq!(columns.len(), insert.columns.len(), "{}", insert.table);
        match &mut self.engine {
            Engine::Sqlite(tx) => tx.insert(insert, columns, each),
            Engine::Postgres(tx) => tx.insert(insert, columns, each),
        }
    }

    /// Lets one transaction of this kind run at a time. On SQLite writers take turns anyway.
    pub(crate) fn serialise(&mut self) -> Result<(), StoreError> {
        match &mut self.engine {
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(tx) => postgres::Postgres::lock_migrations(tx),
        }
    }

    /// Runs a script of several statements that return nothing: schema changes. Errors tell its name, not its text.
    pub(crate) fn script(&mut self, sql: &str, name: &str) -> Result<(), StoreError> {
        match &mut self.engine {
            Engine::Sqlite(tx) => tx.script(sql, name),
            Engine::Postgres(tx) => tx.script(sql, name),
        }
    }
}
