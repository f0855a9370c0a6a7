//! Principals: the brands or clients on whose behalf one speaks. Every row of engage belongs to one.

use serde_json::json;
use signalbox_core::id::PrincipalId;
use signalbox_core::time::Micros;
use signalbox_store::{Conn, StoreError};

use crate::email::check_name;
use crate::error::{AccessError, Outcome};
use crate::trail::{Act, Deed, note};

/// The name of the principal that exists from the start.
pub const DEFAULT: &str = "default";

/// A principal.
#[derive(Debug, Clone, serde::Serialize, schemars::JsonSchema)]
pub struct Principal {
    pub id: PrincipalId,
    pub name: String,
    pub created_at: Micros,
}

/// All principals, oldest first.
pub fn list(conn: &mut Conn<'_>) -> Result<Vec<Principal>, StoreError> {
    conn.query("SELECT id, name, created_at FROM principal ORDER BY id", &[], |row| {
        Ok(Principal { id: PrincipalId(row.int(0)?), name: row.text(1)?, created_at: Micros(row.int(2)?) })
    })
}

/// Makes a principal; refused when there is one of this name.
pub fn create(conn: &mut Conn<'_>, act: &Act, name: &str) -> Outcome<Principal> {
    let name = match check_name(name, "name", 200) {
        Ok(name) => name,
        Err(error) => return Ok(Err(error)),
    };
    let id = PrincipalId(act.ids.next_at(act.now));
    let sql = "INSERT INTO principal (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING";
    if conn.execute(sql, &[id.0.into(), name.as_str().into(), act.now.0.into()])? == 0 {
        return Ok(Err(AccessError::invalid("name", "There is a principal of this name already.")));
    }
    let after = Some(json!({ "name": name }));
    note(conn, act, Deed { action: "principal.created", object: &id.to_string(), before: None, after })?;
    Ok(Ok(Principal { id, name, created_at: act.now }))
}

/// Whether there is a principal `id`.
pub fn exists(conn: &mut Conn<'_>, id: i64) -> Result<bool, StoreError> {
    Ok(conn.first("SELECT id FROM principal WHERE id = $1", &[id.into()], |row| row.int(0))?.is_some())
}

/// The principal called `name`; made where there is none yet.
pub fn ensure(conn: &mut Conn<'_>, act: &Act, name: &str) -> Result<PrincipalId, StoreError> {
    if let Some(id) = find(conn, name)? {
        return Ok(id);
    }
    let id = PrincipalId(act.ids.next_at(act.now));
    let made = conn.execute(
        "INSERT INTO principal (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
        &[id.0.into(), name.into(), act.now.0.into()],
    )?;
    if made == 0 {
        // Somebody else has made it in this moment.
        return find(conn, name)?.ok_or(StoreError::Shape { column: 0 });
    }
    let after = Some(json!({"name": name}));
    note(conn, act, Deed { action: "principal.created", object: &id.to_string(), before: None, after })?;
    Ok(id)
}

/// The principal called `name`.
pub fn find(conn: &mut Conn<'_>, name: &str) -> Result<Option<PrincipalId>, StoreError> {
    conn.first("SELECT id FROM principal WHERE name = $1", &[name.into()], |row| Ok(PrincipalId(row.int(0)?)))
}
