//! Which tables there are: whether a database is ours, and whether something is missing in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use signalbox_core::time::Micros;

use crate::conn::{Conn, Engine};
use crate::error::StoreError;
use crate::migrate::Migration;
use crate::scope::Scope;
use crate::store::{EngineName, Faults, Settings, Store};

/// Tables with their columns, by name; SQLite's main file alone, without the intake log.
pub(crate) type Shape = BTreeMap<String, BTreeSet<String>>;

pub(crate) const LEDGER_TABLE: &str = "schema_migration";

/// The first column is a table, the second one of its columns.
pub(crate) const SQLITE: &str = "SELECT m.name, p.name FROM sqlite_master m JOIN pragma_table_info(m.name) p
    WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
const POSTGRES: &str = "SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'f')
    AND a.attnum > 0 AND NOT a.attisdropped
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')";

/// Whether migrations were begun here.
pub(crate) fn is_begun(shape: &Shape, place: &str) -> Result<bool, StoreError> {
    is_ours(shape, LEDGER_TABLE, place)
}

/// Whether there is the table `mark`. Tables without it are those of another program, and are refused.
pub(crate) fn is_ours(shape: &Shape, mark: &str, place: &str) -> Result<bool, StoreError> {
    const SHOWN: usize = 3;
    // Other programs have tables of that name, too.
    if shape.get(mark).is_some_and(|columns| columns.contains("checksum")) {
        return Ok(true);
    }
    if shape.is_empty() {
        return Ok(false);
    }
    let mut names: Vec<_> = shape.keys().map(String::as_str).collect();
    let more = if names.len() > SHOWN { ", \u{2026}" } else { "" };
    names.truncate(SHOWN);
    Err(StoreError::Foreign { place: place.to_owned(), tables: names.join(", ") + more })
}

pub(crate) fn read(conn: &mut Conn<'_>) -> Result<Shape, StoreError> {
    let sql = if matches!(conn.engine, Engine::Sqlite(_)) { SQLITE } else { POSTGRES };
    let mut shape = Shape::new();
    conn.each(sql, &[], &mut |row| {
        shape.entry(row.text(0)?).or_default().insert(row.text(1)?);
        Ok(())
    })?;
    Ok(shape)
}

impl Store {
    /// The tables that there are.
    fn shape(&self) -> Result<Shape, StoreError> {
        self.read_here(&Scope::all(), read)
    }

    /// Tables and columns that the migrations make and that are not there, by name. `scratch` is an empty folder, in which
    /// the migrations are run to see what they make.
    pub fn missing(&self, features: &[&'static [Migration]], scratch: &Path) -> Result<Vec<String>, StoreError> {
        let settings =
            Settings { data: scratch.to_owned(), database_url: None, connections: 2, faults: Faults::default() };
        let fresh = Store::open(&settings)?;
        fresh.migrate(features, Micros(0))?;
        let (mut wanted, found) = (fresh.shape()?, self.shape()?);
        if self.engine() == EngineName::Postgres {
            // On SQLite it is a file of its own.
            wanted.insert("intake".into(), ["first_seq", "count", "checksum", "body"].map(String::from).into());
        }
        let missing = wanted.iter().flat_map(|(table, columns)| match found.get(table) {
            None => vec![table.clone()],
            Some(there) => columns.difference(there).map(|column| format!("{table}.{column}")).collect(),
        });
        Ok(missing.collect())
    }
}
