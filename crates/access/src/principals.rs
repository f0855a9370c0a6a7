//! Principals: the brands or clients on whose behalf one speaks. Every row of engage belongs to one.

use signalbox_core::id::{IdMaker, PrincipalId};
use signalbox_core::time::Micros;
use signalbox_store::{Conn, Scope, Store, StoreError};

/// The name of the principal that exists from the start.
pub const DEFAULT: &str = "default";

/// A principal.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Principal {
    pub id: PrincipalId,
    pub name: String,
    pub created_at: Micros,
}

/// All principals, oldest first.
pub fn list(store: &Store) -> Result<Vec<Principal>, StoreError> {
    store.read_here(&Scope::all(), |conn| {
        conn.query("SELECT id, name, created_at FROM principal ORDER BY id", &[], |row| {
            Ok(Principal { id: PrincipalId(row.int(0)?), name: row.text(1)?, created_at: Micros(row.int(2)?) })
        })
    })
}

/// The principal called `name`; made where there is none yet.
pub fn ensure(store: &Store, name: &str, ids: &IdMaker, now: Micros) -> Result<PrincipalId, StoreError> {
    store.write_here(&Scope::all(), |conn| {
        conn.execute(
            "INSERT INTO principal (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
            &[ids.next_at(now).into(), name.into(), now.0.into()],
        )?;
        find(conn, name)?.ok_or(StoreError::Shape { column: 0 })
    })
}

/// The principal called `name`.
pub fn find(conn: &mut Conn<'_>, name: &str) -> Result<Option<PrincipalId>, StoreError> {
    conn.first("SELECT id FROM principal WHERE name = $1", &[name.into()], |row| Ok(PrincipalId(row.int(0)?)))
}
