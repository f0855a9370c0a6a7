//! Sessions: a random token in a cookie, its hash in the store.

use std::net::IpAddr;

use signalbox_core::address::{from_bytes, to_bytes};
use signalbox_core::id::{SessionId, UserId};
use signalbox_core::time::{DAY, MINUTE, Micros, SECOND};
use signalbox_crypto::secret::{hash_secret, new_secret};
use signalbox_http::caller::{Caller, Identity};
use signalbox_store::{Conn, Row, Scope, Store, StoreError};
use zeroize::Zeroizing;

use crate::believed::Believed;
use crate::error::{AccessError, Outcome};
use crate::last_use::LastUse;
use crate::reach::Reach;
use crate::role::Role;
use crate::settings::Rules;
use crate::trail::Act;

/// When a session was last seen is written at most this often.
const SEEN_EVERY: i64 = MINUTE;
/// Who has shown a password has this long for the second factor.
const PENDING_FOR: i64 = 10 * MINUTE;

/// A sign-in, after an identity was verified.
#[derive(Debug, Clone)]
pub struct NewSession {
    pub user: UserId,
    /// How: `password`, `link`, `oidc`, `passkey`.
    pub method: &'static str,
    /// Whether two factors were shown.
    pub proved: bool,
    /// Whether the second factor is still to come: until then the session opens nothing.
    pub pending: bool,
    pub address: IpAddr,
    pub agent: String,
}

/// A session that has begun. The secret goes into the cookie and nowhere else.
pub struct Started {
    pub id: SessionId,
    pub secret: Zeroizing<String>,
    /// Seconds until it ends for good.
    pub lasts_s: i64,
}

/// What may be shown of a session.
#[derive(Debug, Clone, serde::Serialize, schemars::JsonSchema)]
#[schemars(rename = "Session")]
pub struct SessionInfo {
    pub id: SessionId,
    pub user: UserId,
    pub email: String,
    pub method: String,
    pub second_factor: bool,
    pub created_at: Micros,
    pub seen_at: Micros,
    pub expires_at: Micros,
    pub address: Option<IpAddr>,
    /// What the browser says that it is.
    pub device: String,
}

/// Begins a session, as the last step of every kind of sign-in. `replacing` is the session that the browser had.
pub fn start(
    conn: &mut Conn<'_>,
    act: &Act,
    rules: &Rules,
    new: &NewSession,
    replacing: Option<&str>,
) -> Outcome<Started> {
    let secret = match new_secret() {
        Ok(secret) => secret,
        Err(error) => return Ok(Err(AccessError::from(error))),
    };
    if let Some(old) = replacing {
        end_by_secret(conn, old)?;
    }
    // What has ended is kept a little longer: it tells from which sources a user has signed in.
    conn.execute("DELETE FROM user_session WHERE expires_at < $1", &[act.now.plus(-30 * DAY).0.into()])?;
    let lasts = if new.pending { PENDING_FOR } else { rules.session_lifetime };
    let id = act.ids.next_at(act.now);
    let agent: String = new.agent.chars().filter(|letter| !letter.is_control()).take(200).collect();
    conn.execute(
        "INSERT INTO user_session (id, hash, user_id, method, proved, pending, created_at, seen_at, expires_at, address, agent)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9, $10)",
        &[
            id.into(),
            hash_secret(&secret).as_slice().into(),
            new.user.0.into(),
            new.method.into(),
            i64::from(new.proved).into(),
            i64::from(new.pending).into(),
            act.now.0.into(),
            act.now.plus(lasts).0.into(),
            to_bytes(new.address).as_slice().into(),
            agent.as_str().into(),
        ],
    )?;
    if !new.pending {
        let sql = "UPDATE user_account SET signed_in_at = $2 WHERE id = $1";
        conn.execute(sql, &[new.user.0.into(), act.now.0.into()])?;
    }
    Ok(Ok(Started { id: SessionId(id), secret, lasts_s: lasts / SECOND }))
}

/// The user who has shown a password and owes the second factor, and how.
pub fn pending(conn: &mut Conn<'_>, secret: &str, now: Micros) -> Result<Option<(UserId, String)>, StoreError> {
    conn.first(
        "SELECT s.user_id, s.method FROM user_session s JOIN user_account u ON u.id = s.user_id
            WHERE s.hash = $1 AND s.pending = 1 AND s.expires_at > $2 AND u.disabled_at IS NULL",
        &[hash_secret(secret).as_slice().into(), now.0.into()],
        |row| Ok((UserId(row.int(0)?), row.text(1)?)),
    )
}

/// Gives a session a new secret; the old one ends. Done at every change of rights.
pub fn rotate(conn: &mut Conn<'_>, session: SessionId, proved: bool, act: &Act) -> Outcome<Started> {
    let secret = match new_secret() {
        Ok(secret) => secret,
        Err(error) => return Ok(Err(AccessError::from(error))),
    };
    let touched = conn.execute(
        "UPDATE user_session SET hash = $2, proved = CASE WHEN CAST($3 AS BIGINT) = 1 THEN 1 ELSE proved END WHERE id = $1",
        &[session.0.into(), hash_secret(&secret).as_slice().into(), i64::from(proved).into()],
    )?;
    let sql = "SELECT expires_at FROM user_session WHERE id = $1";
    let expires = conn.first(sql, &[session.0.into()], |row| row.int(0))?;
    Ok(match expires.filter(|_| touched == 1) {
        Some(expires) => Ok(Started { id: session, secret, lasts_s: ((expires - act.now.0) / SECOND).max(0) }),
        None => Err(AccessError::NotFound),
    })
}

const COLUMNS: &str =
    "s.id, s.user_id, u.email, s.method, s.proved, s.created_at, s.seen_at, s.expires_at, s.address, s.agent";

fn info(row: &Row<'_>) -> Result<SessionInfo, StoreError> {
    Ok(SessionInfo {
        id: SessionId(row.int(0)?),
        user: UserId(row.int(1)?),
        email: row.text(2)?,
        method: row.text(3)?,
        second_factor: row.int(4)? == 1,
        created_at: Micros(row.int(5)?),
        seen_at: Micros(row.int(6)?),
        expires_at: Micros(row.int(7)?),
        address: row.opt_address(8)?.map(from_bytes),
        device: row.text(9)?,
    })
}

/// The living sessions of `user`, or of everybody; those seen last come first.
pub fn list(
    conn: &mut Conn<'_>,
    user: Option<UserId>,
    rules: &Rules,
    now: Micros,
) -> Result<Vec<SessionInfo>, StoreError> {
    let whose = user.map_or("1 = 1".to_owned(), |user| format!("s.user_id = {}", user.0));
    let sql = format!(
        "SELECT {COLUMNS} FROM user_session s JOIN user_account u ON u.id = s.user_id
            WHERE {whose} AND s.pending = 0 AND s.expires_at > $1 AND s.seen_at > $2 ORDER BY s.seen_at DESC, s.id DESC"
    );
    conn.query(&sql, &[now.0.into(), now.plus(-rules.session_idle).0.into()], info)
}

/// Whether `user` has signed in from the source of `address` before.
pub fn known_source(conn: &mut Conn<'_>, user: UserId, address: IpAddr) -> Result<bool, StoreError> {
    let wanted = signalbox_core::address::source_key(address);
    let sql = "SELECT DISTINCT address FROM user_session WHERE user_id = $1 AND pending = 0";
    let found = conn.query(sql, &[user.0.into()], |row| row.opt_address(0))?;
    Ok(found.into_iter().flatten().any(|bytes| signalbox_core::address::source_key(from_bytes(bytes)) == wanted))
}

/// Ends one session of `user`, or of anybody; `false` when there is no such session.
pub fn end(conn: &mut Conn<'_>, id: SessionId, user: Option<UserId>) -> Result<bool, StoreError> {
    let whose = user.map_or("1 = 1".to_owned(), |user| format!("user_id = {}", user.0));
    Ok(conn.execute(&format!("DELETE FROM user_session WHERE id = $1 AND {whose}"), &[id.0.into()])? == 1)
}

/// Ends all sessions of `user` but `keep`.
pub fn end_all(conn: &mut Conn<'_>, user: UserId, keep: Option<i64>) -> Result<u64, StoreError> {
    let sql = "DELETE FROM user_session WHERE user_id = $1 AND id <> $2";
    conn.execute(sql, &[user.0.into(), keep.unwrap_or(0).into()])
}

/// Ends the session of a cookie.
pub fn end_by_secret(conn: &mut Conn<'_>, secret: &str) -> Result<bool, StoreError> {
    let sql = "DELETE FROM user_session WHERE hash = $1";
    Ok(conn.execute(sql, &[hash_secret(secret).as_slice().into()])? == 1)
}

/// Checks sessions, remembering each answer for a second.
pub struct Sessions {
    store: Store,
    rules: Rules,
    believed: Believed,
    last_use: LastUse,
}

impl Sessions {
    /// A checker over `store`.
    pub fn new(store: Store, rules: Rules) -> Self {
        Self { store, rules, believed: Believed::default(), last_use: LastUse::default() }
    }

    /// Who has the cookie `secret`, if it is good at `now`.
    pub async fn check(&self, secret: &str, now: Micros) -> Result<Option<Caller>, StoreError> {
        if secret.len() != 43 {
            return Ok(None);
        }
        let hash = hash_secret(secret);
        if let Some(caller) = self.believed.get(&hash, now) {
            return Ok(caller);
        }
        let idle_since = now.plus(-self.rules.session_idle).0;
        let found = self
            .store
            .read(Scope::all(), move |conn| {
                conn.first(
                    "SELECT s.id, s.user_id, s.proved, s.seen_at, u.email, u.role, u.principals
                        FROM user_session s JOIN user_account u ON u.id = s.user_id
                        WHERE s.hash = $1 AND s.pending = 0 AND s.expires_at > $2 AND s.seen_at > $3 AND u.disabled_at IS NULL",
                    &[hash.as_slice().into(), now.0.into(), idle_since.into()],
                    |row| {
                        Ok(Found {
                            id: row.int(0)?,
                            user: row.int(1)?,
                            proved: row.int(2)? == 1,
                            seen_at: row.int(3)?,
                            email: row.text(4)?,
                            role: row.text(5)?,
                            principals: row.text(6)?,
                        })
                    },
                )
            })
            .await?;
        if let Some(found) = &found
            && now.0 - found.seen_at >= SEEN_EVERY
        {
            let sql = "UPDATE user_session SET seen_at = $2 WHERE id = $1 AND seen_at < $2";
            self.last_use.write(&self.store, sql, found.id, now);
        }
        let caller = found.and_then(|found| self.caller(found));
        self.believed.keep(hash, caller.clone(), now);
        Ok(caller)
    }

    /// Forgets every answer: what was changed here holds here at once.
    pub fn forget(&self) {
        self.believed.forget();
    }

    fn caller(&self, found: Found) -> Option<Caller> {
        // A role that this version does not know gives nothing.
        let role: Role = found.role.parse().ok()?;
        let lacks_proof = self.rules.second_factor.contains(&role) && !found.proved;
        Some(Caller {
            identity: Identity::User(UserId(found.user)),
            name: found.email,
            role: Some(role.word()),
            permissions: match lacks_proof {
                true => Vec::new(),
                false => {
                    let all = role.permissions().iter().copied();
                    all.filter(|permission| !self.rules.read_only || permission.only_reads()).collect()
                }
            },
            scope: if lacks_proof { Scope::principals([]) } else { Reach::from_text(&found.principals).scope() },
            session: Some(SessionId(found.id)),
        })
    }
}

struct Found {
    id: i64,
    user: i64,
    proved: bool,
    seen_at: i64,
    email: String,
    role: String,
    principals: String,
}
