//! Users: made, changed, removed. There is always an owner who can sign in.

use serde_json::json;
use signalbox_core::id::UserId;
use signalbox_core::time::Micros;
use signalbox_http::caller::{Caller, Permission};
use signalbox_store::{Conn, Row, Scope, StoreError, Value};

use crate::email::{Email, check_name};
use crate::error::{AccessError, Outcome};
use crate::oidc::people;
use crate::reach::{NO_PRINCIPAL, Reach};
use crate::role::Role;
use crate::trail::{Act, Deed, note};
use crate::{links, passkeys, principals, sessions};

/// What may be shown of a user.
#[derive(Debug, Clone, serde::Serialize, schemars::JsonSchema)]
pub struct User {
    pub id: UserId,
    pub email: String,
    pub name: String,
    pub role: Role,
    #[serde(rename = "principals")]
    pub reach: Reach,
    pub disabled: bool,
    /// Whether signing in asks for a code.
    pub second_factor: bool,
    /// Whether a password is set; an invited user has none yet.
    pub has_password: bool,
    pub created_at: Micros,
    pub signed_in_at: Option<Micros>,
}

/// A user to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub email: Email,
    /// Empty: the e-mail address.
    pub name: String,
    pub role: Role,
    pub reach: Reach,
    /// From [`crate::password`]; none for a user who gets a link.
    pub password: Option<String>,
}

/// What to change of a user; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub name: Option<String>,
    pub role: Option<Role>,
    pub reach: Option<Reach>,
    pub disabled: Option<bool>,
}

/// The same words for principals of others and for those that do not exist.
const FOREIGN: &str = "You can only grant principals that you reach yourself.";

/// What somebody may give and take.
#[derive(Debug, Clone)]
pub struct Authority {
    owner: bool,
    permissions: Vec<Permission>,
    scope: Scope,
}

impl Authority {
    /// Everything: the command line.
    pub fn root() -> Self {
        Self { owner: true, permissions: Permission::ALL.to_vec(), scope: Scope::all() }
    }

    /// No more than the caller has.
    pub fn of(caller: &Caller) -> Self {
        Self {
            owner: caller.role == Some(Role::Owner.word()),
            permissions: caller.permissions.clone(),
            scope: caller.scope.clone(),
        }
    }

    /// Refuses what goes beyond it.
    fn check(&self, role: Role, reach: &Reach) -> Result<(), AccessError> {
        if role == Role::Owner && !self.owner {
            return Err(AccessError::NotAllowed("Only an owner makes or changes owners.".into()));
        }
        if !role.permissions().iter().all(|permission| self.permissions.contains(permission)) {
            return Err(AccessError::NotAllowed(format!("The role {role} may do more than you; ask an admin.")));
        }
        if !reach.is_within(&self.scope) {
            return Err(AccessError::NotAllowed(FOREIGN.into()));
        }
        Ok(())
    }
}

const COLUMNS: &str =
    "id, email, name, role, principals, disabled_at, CAST(CASE WHEN totp IS NULL THEN 0 ELSE 1 END AS BIGINT),
    CAST(CASE WHEN password IS NULL THEN 0 ELSE 1 END AS BIGINT), created_at, signed_in_at";

fn read(row: &Row<'_>) -> Result<User, StoreError> {
    Ok(User {
        id: UserId(row.int(0)?),
        email: row.text(1)?,
        name: row.text(2)?,
        role: row.text(3)?.parse().map_err(|_| StoreError::Shape { column: 3 })?,
        reach: Reach::from_text(&row.text(4)?),
        disabled: row.opt_int(5)?.is_some(),
        second_factor: row.int(6)? == 1,
        has_password: row.int(7)? == 1,
        created_at: Micros(row.int(8)?),
        signed_in_at: row.opt_int(9)?.map(Micros),
    })
}

/// All users, by e-mail address.
pub fn list(conn: &mut Conn<'_>) -> Result<Vec<User>, StoreError> {
    conn.query(&format!("SELECT {COLUMNS} FROM user_account ORDER BY email"), &[], read)
}

/// The user `id`.
pub fn get(conn: &mut Conn<'_>, id: UserId) -> Result<Option<User>, StoreError> {
    conn.first(&format!("SELECT {COLUMNS} FROM user_account WHERE id = $1"), &[id.0.into()], read)
}

/// The user with this address.
pub fn find(conn: &mut Conn<'_>, email: &Email) -> Result<Option<User>, StoreError> {
    conn.first(&format!("SELECT {COLUMNS} FROM user_account WHERE email = $1"), &[email.as_str().into()], read)
}

/// Whether there is any user.
pub fn any(conn: &mut Conn<'_>) -> Result<bool, StoreError> {
    Ok(conn.first("SELECT id FROM user_account ORDER BY id LIMIT 1", &[], |row| row.int(0))?.is_some())
}

/// Makes a user.
pub fn create(conn: &mut Conn<'_>, act: &Act, may: &Authority, new: &NewUser) -> Outcome<User> {
    take_turn(conn, act.now)?;
    let reach = match checked_reach(conn, may, new.role, &new.reach)? {
        Ok(reach) => reach,
        Err(error) => return Ok(Err(error)),
    };
    if let Err(error) = may.check(new.role, &reach) {
        return Ok(Err(error));
    }
    let name = match new.name.trim() {
        "" => new.email.as_str().to_owned(),
        name => match check_name(name, "name", 200) {
            Ok(name) => name,
            Err(error) => return Ok(Err(error)),
        },
    };
    let id = UserId(act.ids.next_at(act.now));
    let written = conn.execute(
        "INSERT INTO user_account (id, email, name, role, principals, password, created_at, totp_step)
            VALUES ($1, $2, $3, $4, $5, $6, $7, 0) ON CONFLICT (email) DO NOTHING",
        &[
            id.0.into(),
            new.email.as_str().into(),
            name.as_str().into(),
            new.role.word().into(),
            reach.to_text().as_str().into(),
            new.password.as_deref().into(),
            act.now.0.into(),
        ],
    )?;
    if written == 0 {
        return Ok(Err(AccessError::Taken));
    }
    let Some(user) = get(conn, id)? else { return Ok(Err(AccessError::NotFound)) };
    note(conn, act, Deed { action: "user.created", object: &id.to_string(), before: None, after: Some(shown(&user)) })?;
    Ok(Ok(user))
}

/// Changes a user. Somebody who is disabled is signed out everywhere.
pub fn change(conn: &mut Conn<'_>, act: &Act, may: &Authority, id: UserId, change: &Change) -> Outcome<User> {
    take_turn(conn, act.now)?;
    let Some(before) = get(conn, id)? else { return Ok(Err(AccessError::NotFound)) };
    let role = change.role.unwrap_or(before.role);
    let wanted = change.reach.as_ref().unwrap_or(&before.reach);
    let reach = match checked_reach(conn, may, role, wanted)? {
        Ok(reach) => reach,
        Err(error) => return Ok(Err(error)),
    };
    let name = match change.name.as_deref().map(|name| check_name(name, "name", 200)).transpose() {
        Ok(name) => name.unwrap_or_else(|| before.name.clone()),
        Err(error) => return Ok(Err(error)),
    };
    if let Err(error) = may.check(before.role, &before.reach).and_then(|()| may.check(role, &reach)) {
        return Ok(Err(error));
    }
    let disabled = change.disabled.unwrap_or(before.disabled);
    if (role != Role::Owner || disabled) && is_last_owner(conn, &before)? {
        return Ok(Err(AccessError::LastOwner));
    }
    conn.execute(
        "UPDATE user_account SET name = $2, role = $3, principals = $4,
            disabled_at = CASE WHEN CAST($5 AS BIGINT) = 0 THEN NULL ELSE COALESCE(disabled_at, $6) END WHERE id = $1",
        &[
            id.0.into(),
            name.as_str().into(),
            role.word().into(),
            reach.to_text().as_str().into(),
            i64::from(disabled).into(),
            act.now.0.into(),
        ],
    )?;
    if disabled && !before.disabled {
        sessions::end_all(conn, id, None)?;
        links::end_all(conn, id)?;
    }
    let Some(after) = get(conn, id)? else { return Ok(Err(AccessError::NotFound)) };
    let action = match (before.disabled, after.disabled) {
        (false, true) => "user.disabled",
        (true, false) => "user.enabled",
        _ => "user.changed",
    };
    let deed = Deed { action, object: &id.to_string(), before: Some(shown(&before)), after: Some(shown(&after)) };
    note(conn, act, deed)?;
    Ok(Ok(after))
}

/// Removes a user with sessions, second factor and links; the tokens that the user made end.
pub fn delete(conn: &mut Conn<'_>, act: &Act, may: &Authority, id: UserId) -> Outcome<()> {
    take_turn(conn, act.now)?;
    let Some(before) = get(conn, id)? else { return Ok(Err(AccessError::NotFound)) };
    if let Err(error) = may.check(before.role, &before.reach) {
        return Ok(Err(error));
    }
    if is_last_owner(conn, &before)? {
        return Ok(Err(AccessError::LastOwner));
    }
    sessions::end_all(conn, id, None)?;
    links::end_all(conn, id)?;
    conn.execute("DELETE FROM recovery_code WHERE user_id = $1", &[id.0.into()])?;
    passkeys::forget(conn, id)?;
    people::forget(conn, id)?;
    let end_tokens = "UPDATE api_token SET revoked_at = $2 WHERE made_by = $1 AND revoked_at IS NULL";
    conn.execute(end_tokens, &[id.0.into(), act.now.0.into()])?;
    conn.execute("DELETE FROM user_account WHERE id = $1", &[id.0.into()])?;
    note(
        conn,
        act,
        Deed { action: "user.deleted", object: &id.to_string(), before: Some(shown(&before)), after: None },
    )?;
    Ok(Ok(()))
}

/// Sets the password that `hash` was made of, and signs the user out everywhere but in `keep`.
pub fn set_password(
    conn: &mut Conn<'_>,
    act: &Act,
    id: UserId,
    hash: &str,
    keep: Option<i64>,
) -> Result<(), StoreError> {
    conn.execute("UPDATE user_account SET password = $2 WHERE id = $1", &[id.0.into(), hash.into()])?;
    sessions::end_all(conn, id, keep)?;
    links::end_all(conn, id)?;
    note(conn, act, Deed { action: "user.password_changed", object: &id.to_string(), ..Deed::default() })
}

/// Makes the link with which a user sets a new password; nothing changes until it is used.
pub fn password_link(
    conn: &mut Conn<'_>,
    act: &Act,
    may: &Authority,
    id: UserId,
) -> Outcome<zeroize::Zeroizing<String>> {
    let Some(user) = get(conn, id)? else { return Ok(Err(AccessError::NotFound)) };
    if let Err(error) = may.check(user.role, &user.reach) {
        return Ok(Err(error));
    }
    if user.disabled {
        return Ok(Err(AccessError::NotAllowed("This user is disabled; enable them first.".into())));
    }
    let link = links::create(conn, links::Purpose::Password, Some(id), act.now)?;
    note(conn, act, Deed { action: "user.link_made", object: &id.to_string(), ..Deed::default() })?;
    Ok(link)
}

/// Whether `may` reaches as far as the user `id`.
pub fn may_change(conn: &mut Conn<'_>, may: &Authority, id: UserId) -> Outcome<()> {
    let Some(user) = get(conn, id)? else { return Ok(Err(AccessError::NotFound)) };
    Ok(may.check(user.role, &user.reach))
}

/// What the audit log keeps of a user.
fn shown(user: &User) -> serde_json::Value {
    json!({
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "principals": user.reach,
        "disabled": user.disabled,
    })
}

/// Changes of users take turns, on PostgreSQL too.
fn take_turn(conn: &mut Conn<'_>, now: Micros) -> Result<u64, StoreError> {
    conn.execute("UPDATE access_turn SET taken = $1 WHERE id = 1", &[now.0.into()])
}

fn is_last_owner(conn: &mut Conn<'_>, user: &User) -> Result<bool, StoreError> {
    if user.role != Role::Owner || user.disabled {
        return Ok(false);
    }
    let sql = "SELECT id FROM user_account WHERE role = 'owner' AND disabled_at IS NULL AND id <> $1 LIMIT 1";
    Ok(conn.first(sql, &[Value::Int(user.id.0)], |row| row.int(0))?.is_none())
}

/// The reach that `role` has: some reach all principals whatever is wanted, and every principal of a list must exist. Whoever
/// does not reach one is not told whether it does.
fn checked_reach(conn: &mut Conn<'_>, may: &Authority, role: Role, wanted: &Reach) -> Outcome<Reach> {
    if role.reaches_all() {
        return Ok(Ok(Reach::All));
    }
    let Reach::Principals(ids) = wanted else { return Ok(Ok(Reach::All)) };
    if !wanted.is_within(&may.scope) {
        return Ok(Err(AccessError::NotAllowed(FOREIGN.into())));
    }
    let mut ids = ids.clone();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(Err(AccessError::invalid("principals", NO_PRINCIPAL)));
    }
    for id in &ids {
        if !principals::exists(conn, *id)? {
            return Ok(Err(AccessError::invalid("principals", "One of these principals does not exist.")));
        }
    }
    Ok(Ok(Reach::Principals(ids)))
}
