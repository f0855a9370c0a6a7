//! The mark of a copy: a store that was restored beside production, from which nothing may go out.

use signalbox_core::time::Micros;

use crate::conn::{Conn, Engine};
use crate::error::StoreError;
use crate::scope::Scope;
use crate::store::Store;

/// No migration makes it, because a copy keeps the schema that it was taken with, however old.
pub(crate) const TABLE: &str = "held";

/// Since when the store is held, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub since: Micros,
    pub why: String,
}

impl Conn<'_> {
    /// Whether nothing may go out of this store: no mail, no webhook.
    pub fn held(&mut self) -> Result<Option<Held>, StoreError> {
        let sql = match &self.engine {
            Engine::Sqlite(_) => {
                "SELECT CAST(COUNT(*) AS BIGINT) FROM sqlite_master WHERE type = 'table' AND name = $1"
            }
            Engine::Postgres(_) => {
                "SELECT COUNT(*)::bigint FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname = $1"
            }
        };
        if self.first(sql, &[TABLE.into()], |row| row.int(0))?.unwrap_or_default() == 0 {
            return Ok(None);
        }
        self.first("SELECT since, why FROM held", &[], |row| Ok(Held { since: Micros(row.int(0)?), why: row.text(1)? }))
    }

    /// Holds the store.
    pub fn hold(&mut self, held: &Held) -> Result<(), StoreError> {
        self.release()?;
        self.script("CREATE TABLE held (since BIGINT NOT NULL, why TEXT NOT NULL)", TABLE)?;
        let row = [held.since.0.into(), held.why.as_str().into()];
        self.execute("INSERT INTO held (since, why) VALUES ($1, $2)", &row).map(drop)
    }

    /// Takes the mark away.
    pub fn release(&mut self) -> Result<(), StoreError> {
        self.script("DROP TABLE IF EXISTS held", TABLE)
    }
}

impl Store {
    /// As [`Conn::held`].
    pub fn held(&self) -> Result<Option<Held>, StoreError> {
        self.read_here(&Scope::all(), |conn| conn.held())
    }
}
