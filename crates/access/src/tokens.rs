//! API tokens: made, listed, revoked, and checked on every request.

use std::str::FromStr;

use serde_json::json;
use signalbox_core::id::{TokenId, UserId};
use signalbox_core::time::{DAY, MINUTE, Micros};
use signalbox_crypto::secret::{API_TOKEN_PREFIX, hash_secret, new_api_token};
use signalbox_http::caller::{Caller, Identity, Permission};
use signalbox_store::{Conn, Row, Scope, Store, StoreError};
use zeroize::Zeroizing;

use crate::believed::Believed;
use crate::email::check_name;
use crate::error::{AccessError, Outcome};
use crate::last_use::LastUse;
use crate::principals;
use crate::reach::{NO_PRINCIPAL, Reach};
use crate::role::Role;
use crate::trail::{Act, Deed, note};

/// When a token was last used is written at most this often.
const USED_EVERY: i64 = MINUTE;
const LONGEST: i64 = 100 * 365 * DAY;

/// What may be shown of a token.
#[derive(Debug, Clone, serde::Serialize, schemars::JsonSchema)]
#[schemars(rename = "ApiToken")]
pub struct TokenInfo {
    pub id: TokenId,
    pub name: String,
    pub scopes: Vec<Permission>,
    /// `all`, or ids of principals.
    #[serde(rename = "principals")]
    pub reach: Reach,
    /// The user who made it; nobody where a command did.
    pub made_by: Option<UserId>,
    pub created_at: Micros,
    pub expires_at: Option<Micros>,
    pub revoked_at: Option<Micros>,
    /// To the minute.
    pub used_at: Option<Micros>,
}

impl TokenInfo {
    /// Whether it is good at `now`.
    pub fn is_active(&self, now: Micros) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }
}

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewToken {
    pub name: String,
    pub scopes: Vec<Permission>,
    pub reach: Reach,
    pub expires_at: Option<Micros>,
}

const COLUMNS: &str =
    "t.id, t.name, t.scopes, t.principals, t.made_by, t.created_at, t.expires_at, t.revoked_at, t.used_at";

fn info(row: &Row<'_>) -> Result<TokenInfo, StoreError> {
    let scopes = row.text(2)?;
    Ok(TokenInfo {
        id: TokenId(row.int(0)?),
        name: row.text(1)?,
        // A scope that this version does not know gives nothing.
        scopes: scopes.split(' ').filter_map(|scope| Permission::from_str(scope).ok()).collect(),
        reach: Reach::from_text(&row.text(3)?),
        made_by: row.opt_int(4)?.map(UserId),
        created_at: Micros(row.int(5)?),
        expires_at: row.opt_int(6)?.map(Micros),
        revoked_at: row.opt_int(7)?.map(Micros),
        used_at: row.opt_int(8)?.map(Micros),
    })
}

/// Makes a token; the secret that comes back is the only time that it can be seen. `maker` is the caller who makes it
/// (nobody: the command line), and it never opens more than that.
pub fn create(
    conn: &mut Conn<'_>,
    act: &Act,
    maker: Option<&Caller>,
    new: &NewToken,
) -> Outcome<(TokenInfo, Zeroizing<String>)> {
    let name = match check_name(&new.name, "name", 200) {
        Ok(name) => name,
        Err(error) => return Ok(Err(error)),
    };
    if new.scopes.is_empty() {
        return Ok(Err(AccessError::invalid("scopes", "Choose at least one scope.")));
    }
    if new.expires_at.is_some_and(|at| at <= act.now) {
        return Ok(Err(AccessError::invalid("expires", "This lies in the past.")));
    }
    if new.expires_at.is_some_and(|at| at > act.now.plus(LONGEST)) {
        return Ok(Err(AccessError::invalid(
            "expires",
            "This is more than 100 years away; leave it out for a token without an end.",
        )));
    }
    if let Some(maker) = maker {
        if let Some(scope) = new.scopes.iter().find(|scope| !maker.may(**scope)) {
            return Ok(Err(AccessError::NotAllowed(format!("You do not have the permission {scope} yourself."))));
        }
        if !new.reach.is_within(&maker.scope) {
            return Ok(Err(AccessError::NotAllowed("You can only choose principals that you reach yourself.".into())));
        }
    }
    if let Reach::Principals(ids) = &new.reach {
        if ids.is_empty() {
            return Ok(Err(AccessError::invalid("principals", NO_PRINCIPAL)));
        }
        for id in ids {
            if !principals::exists(conn, *id)? {
                return Ok(Err(AccessError::invalid("principals", "One of these principals does not exist.")));
            }
        }
    }
    let token = match new_api_token() {
        Ok(token) => token,
        Err(error) => return Ok(Err(error.into())),
    };
    let made_by = match maker.map(|maker| maker.identity) {
        Some(Identity::User(id)) => Some(id.0),
        // A token's token belongs to the same user, so that it ends with them.
        Some(Identity::Token(id)) => {
            let sql = "SELECT made_by FROM api_token WHERE id = $1";
            conn.first(sql, &[id.0.into()], |row| row.opt_int(0))?.flatten()
        }
        None => None,
    };
    let id = TokenId(act.ids.next_at(act.now));
    let mut scopes = new.scopes.clone();
    scopes.sort_unstable();
    scopes.dedup();
    let words = scopes.iter().map(|scope| scope.word()).collect::<Vec<_>>().join(" ");
    conn.execute(
        "INSERT INTO api_token (id, name, hash, scopes, principals, created_at, expires_at, made_by)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            id.0.into(),
            name.as_str().into(),
            hash_secret(&token).as_slice().into(),
            words.as_str().into(),
            new.reach.to_text().as_str().into(),
            act.now.0.into(),
            new.expires_at.map(|at| at.0).into(),
            made_by.into(),
        ],
    )?;
    let after = json!({"name": name, "scopes": scopes, "principals": new.reach, "expires_at": new.expires_at});
    note(conn, act, Deed { action: "token.created", object: &id.to_string(), before: None, after: Some(after) })?;
    let Some(made) = get(conn, id)? else { return Ok(Err(AccessError::NotFound)) };
    Ok(Ok((made, token)))
}

/// All tokens, oldest first.
pub fn list(conn: &mut Conn<'_>) -> Result<Vec<TokenInfo>, StoreError> {
    conn.query(&format!("SELECT {COLUMNS} FROM api_token t ORDER BY t.id"), &[], info)
}

/// The token `id`.
pub fn get(conn: &mut Conn<'_>, id: TokenId) -> Result<Option<TokenInfo>, StoreError> {
    conn.first(&format!("SELECT {COLUMNS} FROM api_token t WHERE t.id = $1"), &[id.0.into()], info)
}

/// Ends a token; `false` when there is none or it has ended already.
pub fn revoke(conn: &mut Conn<'_>, act: &Act, id: TokenId) -> Result<bool, StoreError> {
    let sql = "UPDATE api_token SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
    let ended = conn.execute(sql, &[id.0.into(), act.now.0.into()])? == 1;
    if ended {
        note(conn, act, Deed { action: "token.revoked", object: &id.to_string(), ..Deed::default() })?;
    }
    Ok(ended)
}

/// Checks tokens, remembering each answer for a second.
pub struct Tokens {
    store: Store,
    believed: Believed,
    last_use: LastUse,
}

impl Tokens {
    /// A checker over `store`.
    pub fn new(store: Store) -> Self {
        Self { store, believed: Believed::default(), last_use: LastUse::default() }
    }

    /// Who sent `token`, if it is good at `now`.
    pub async fn check(&self, token: &str, now: Micros) -> Result<Option<Caller>, StoreError> {
        if !token.starts_with(API_TOKEN_PREFIX) || token.len() > 128 {
            return Ok(None);
        }
        let hash = hash_secret(token);
        if let Some(caller) = self.believed.get(&hash, now) {
            return Ok(caller);
        }
        let found = self.store.read(Scope::all(), move |conn| find(conn, &hash)).await?;
        let found = found.filter(|(token, _)| token.is_active(now));
        if let Some((token, _)) = &found
            && token.used_at.is_none_or(|at| now.0 - at.0 >= USED_EVERY)
        {
            let sql = "UPDATE api_token SET used_at = $2 WHERE id = $1 AND (used_at IS NULL OR used_at < $2)";
            self.last_use.write(&self.store, sql, token.id.0, now);
        }
        let caller = found.and_then(|(token, maker)| caller(token, maker));
        self.believed.keep(hash, caller.clone(), now);
        Ok(caller)
    }

    /// Forgets every answer: what was changed here holds here at once.
    pub fn forget(&self) {
        self.believed.forget();
    }
}

/// What the maker of a token may do today.
struct Maker {
    role: Option<Role>,
    reach: Reach,
    disabled: bool,
}

fn find(conn: &mut Conn<'_>, hash: &[u8; 32]) -> Result<Option<(TokenInfo, Option<Maker>)>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, u.role, u.principals, u.disabled_at
            FROM api_token t LEFT JOIN user_account u ON u.id = t.made_by WHERE t.hash = $1"
    );
    conn.first(&sql, &[hash.as_slice().into()], |row| {
        let token = info(row)?;
        let role = row.opt_text(9)?;
        let maker = match token.made_by {
            None => None,
            Some(_) => Some(Maker {
                role: role.and_then(|role| role.parse().ok()),
                reach: row.opt_text(10)?.map_or(Reach::Principals(Vec::new()), |text| Reach::from_text(&text)),
                disabled: row.opt_int(11)?.is_some(),
            }),
        };
        Ok((token, maker))
    })
}

/// A token opens what it says and what its maker may still do.
fn caller(token: TokenInfo, maker: Option<Maker>) -> Option<Caller> {
    let (mut permissions, mut reach) = (token.scopes, token.reach);
    if let Some(maker) = maker {
        let role = maker.role.filter(|_| !maker.disabled)?;
        permissions.retain(|permission| role.permissions().contains(permission));
        reach = reach.and(&maker.reach);
    }
    Some(Caller {
        identity: Identity::Token(token.id),
        name: token.name,
        role: None,
        permissions,
        scope: reach.scope(),
        session: None,
    })
}
