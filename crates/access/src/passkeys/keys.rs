//! The stored passkeys.

use serde_json::json;
use signalbox_core::id::{PasskeyId, UserId};
use signalbox_core::time::Micros;
use signalbox_store::{Conn, Row, StoreError};

use super::ceremony::{Asserted, Registered};
use crate::email::check_name;
use crate::error::{AccessError, Outcome};
use crate::trail::{Act, Deed, note};

/// More passkeys than this nobody keeps in mind.
const MOST_PER_USER: usize = 20;
const TRANSPORTS: [&str; 6] = ["ble", "hybrid", "internal", "nfc", "smart-card", "usb"];

/// What may be shown of a passkey.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Passkey {
    pub id: PasskeyId,
    pub name: String,
    /// Whether it is kept by a service that copies it to other devices.
    pub synced: bool,
    pub created_at: Micros,
    pub used_at: Option<Micros>,
}

/// What a sign-in needs to know of a passkey.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub id: PasskeyId,
    pub user: UserId,
    pub email: String,
    pub cose: Vec<u8>,
    pub counter: u32,
}

/// A credential as browsers are told of it.
#[derive(Debug, Clone)]
pub(crate) struct Credential {
    pub id: Vec<u8>,
    pub transports: Vec<&'static str>,
}

fn info(row: &Row<'_>) -> Result<Passkey, StoreError> {
    Ok(Passkey {
        id: PasskeyId(row.int(0)?),
        name: row.text(1)?,
        synced: row.int(2)? == 1,
        created_at: Micros(row.int(3)?),
        used_at: row.opt_int(4)?.map(Micros),
    })
}

/// The passkeys of a user, oldest first.
pub(crate) fn list(conn: &mut Conn<'_>, user: UserId) -> Result<Vec<Passkey>, StoreError> {
    let sql = "SELECT id, name, backed_up, created_at, used_at FROM passkey WHERE user_id = $1 ORDER BY id";
    conn.query(sql, &[user.0.into()], info)
}

/// The credentials of a user: not to be registered again, or to be asked for.
pub(crate) fn credentials(conn: &mut Conn<'_>, user: UserId) -> Result<Vec<Credential>, StoreError> {
    let sql = "SELECT credential, transports FROM passkey WHERE user_id = $1 ORDER BY id";
    conn.query(sql, &[user.0.into()], |row| {
        let words = row.text(1)?;
        Ok(Credential { id: row.bytes(0)?, transports: known_transports(words.split(' ')) })
    })
}

fn known_transports<'w>(words: impl Iterator<Item = &'w str>) -> Vec<&'static str> {
    let mut known: Vec<_> = words.filter_map(|word| TRANSPORTS.into_iter().find(|known| *known == word)).collect();
    known.sort_unstable();
    known.dedup();
    known
}

/// Stores a new passkey. A credential that is registered already, by whomever, is refused.
pub(crate) fn insert(
    conn: &mut Conn<'_>,
    act: &Act,
    user: UserId,
    name: &str,
    registered: &Registered,
    transports: &[String],
) -> Outcome<Passkey> {
    let name = match check_name(name, "name", 60) {
        Ok(name) => name,
        Err(error) => return Ok(Err(error)),
    };
    if list(conn, user)?.len() >= MOST_PER_USER {
        return Ok(Err(AccessError::NotAllowed(format!("You have {MOST_PER_USER} passkeys; remove one first."))));
    }
    let id = PasskeyId(act.ids.next_at(act.now));
    let transports = known_transports(transports.iter().map(String::as_str)).join(" ");
    let written = conn.execute(
        "INSERT INTO passkey (id, user_id, name, credential, public_key, counter, backed_up, transports, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (credential) DO NOTHING",
        &[
            id.0.into(),
            user.0.into(),
            name.as_str().into(),
            registered.id.as_slice().into(),
            registered.cose.as_slice().into(),
            i64::from(registered.counter).into(),
            i64::from(registered.backed_up).into(),
            transports.as_str().into(),
            act.now.0.into(),
        ],
    )?;
    if written == 0 {
        return Ok(Err(AccessError::NotAllowed("This passkey is registered already.".into())));
    }
    let after = Some(json!({ "user": user, "name": name, "synced": registered.backed_up }));
    note(conn, act, Deed { action: "passkey.added", object: &id.to_string(), before: None, after })?;
    Ok(Ok(Passkey { id, name, synced: registered.backed_up, created_at: act.now, used_at: None }))
}

/// The passkey with this credential, if its user may sign in.
pub(crate) fn find(conn: &mut Conn<'_>, credential: &[u8]) -> Result<Option<Stored>, StoreError> {
    conn.first(
        "SELECT p.id, p.user_id, u.email, p.public_key, p.counter FROM passkey p JOIN user_account u ON u.id = p.user_id
            WHERE p.credential = $1 AND u.disabled_at IS NULL",
        &[credential.into()],
        |row| {
            Ok(Stored {
                id: PasskeyId(row.int(0)?),
                user: UserId(row.int(1)?),
                email: row.text(2)?,
                cose: row.bytes(3)?,
                counter: u32::try_from(row.int(4)?).map_err(|_| StoreError::Shape { column: 4 })?,
            })
        },
    )
}

/// Keeps the counter of a good signature; `false` when another sign-in with the same passkey was faster.
pub(crate) fn used(conn: &mut Conn<'_>, key: &Stored, said: &Asserted, now: Micros) -> Result<bool, StoreError> {
    let sql = "UPDATE passkey SET counter = $3, backed_up = $4, used_at = $5 WHERE id = $1 AND counter = $2";
    let touched = conn.execute(
        sql,
        &[
            key.id.0.into(),
            i64::from(key.counter).into(),
            i64::from(said.counter).into(),
            i64::from(said.backed_up).into(),
            now.0.into(),
        ],
    )?;
    Ok(touched == 1)
}

/// Gives a passkey of `user` another name.
pub(crate) fn rename(conn: &mut Conn<'_>, act: &Act, user: UserId, id: PasskeyId, name: &str) -> Outcome<()> {
    let name = match check_name(name, "name", 60) {
        Ok(name) => name,
        Err(error) => return Ok(Err(error)),
    };
    let Some(before) = own(conn, user, id)? else { return Ok(Err(AccessError::NotFound)) };
    conn.execute("UPDATE passkey SET name = $2 WHERE id = $1", &[id.0.into(), name.as_str().into()])?;
    let (before, after) = (Some(json!({ "name": before })), Some(json!({ "name": name })));
    note(conn, act, Deed { action: "passkey.renamed", object: &id.to_string(), before, after })?;
    Ok(Ok(()))
}

/// Removes a passkey of `user`.
pub(crate) fn remove(conn: &mut Conn<'_>, act: &Act, user: UserId, id: PasskeyId) -> Outcome<()> {
    let Some(name) = own(conn, user, id)? else { return Ok(Err(AccessError::NotFound)) };
    conn.execute("DELETE FROM passkey WHERE id = $1", &[id.0.into()])?;
    let before = Some(json!({ "user": user, "name": name }));
    note(conn, act, Deed { action: "passkey.removed", object: &id.to_string(), before, after: None })?;
    Ok(Ok(()))
}

fn own(conn: &mut Conn<'_>, user: UserId, id: PasskeyId) -> Result<Option<String>, StoreError> {
    let sql = "SELECT name FROM passkey WHERE id = $1 AND user_id = $2";
    conn.first(sql, &[id.0.into(), user.0.into()], |row| row.text(0))
}

/// Removes all passkeys of a user who has lost them.
pub fn remove_all(conn: &mut Conn<'_>, act: &Act, user: UserId) -> Result<(), StoreError> {
    for passkey in list(conn, user)? {
        // A refusal would mean that it is gone already.
        let _ = remove(conn, act, user, passkey.id)?;
    }
    Ok(())
}

/// Removes all passkeys of a user who is removed.
pub fn forget(conn: &mut Conn<'_>, user: UserId) -> Result<u64, StoreError> {
    conn.execute("DELETE FROM passkey WHERE user_id = $1", &[user.0.into()])
}
