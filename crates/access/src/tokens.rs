//! API tokens: made, listed, revoked, and checked on every request.

use std::str::FromStr;
use std::sync::Mutex;
use std::sync::PoisonError;

use rustc_hash::FxHashMap;
use signalbox_core::id::{IdMaker, TokenId};
use signalbox_core::time::{Micros, SECOND};
use signalbox_crypto::keyring::KeyringError;
use signalbox_crypto::secret::{API_TOKEN_PREFIX, hash_api_token, new_api_token};
use signalbox_http::caller::{Caller, Permission};
use signalbox_store::{Row, Scope, Store, StoreError};
use zeroize::Zeroizing;

/// A checked token is believed for this long, so that revoking one takes effect within it.
const BELIEVED_FOR: i64 = SECOND;
const MOST_REMEMBERED: usize = 10_000;

/// Which principals a token reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    All,
    Principals(Vec<i64>),
}

/// What may be shown of a token.
#[derive(Debug, Clone, serde::Serialize)]
pub struct TokenInfo {
    pub id: TokenId,
    pub name: String,
    pub scopes: Vec<Permission>,
    /// `all`, or ids of principals.
    pub principals: String,
    pub created_at: Micros,
    pub expires_at: Option<Micros>,
    pub revoked_at: Option<Micros>,
}

/// A token cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Random(#[from] KeyringError),
}

const COLUMNS: &str = "id, name, scopes, principals, created_at, expires_at, revoked_at";

fn info(row: &Row<'_>) -> Result<TokenInfo, StoreError> {
    let scopes = row.text(2)?;
    Ok(TokenInfo {
        id: TokenId(row.int(0)?),
        name: row.text(1)?,
        // A scope that this version does not know gives nothing.
        scopes: scopes.split(' ').filter_map(|scope| Permission::from_str(scope).ok()).collect(),
        principals: row.text(3)?,
        created_at: Micros(row.int(4)?),
        expires_at: row.opt_int(5)?.map(Micros),
        revoked_at: row.opt_int(6)?.map(Micros),
    })
}

/// Makes a token; what comes back is the only time it can be seen.
pub fn create(
    store: &Store,
    name: &str,
    scopes: &[Permission],
    reach: &Reach,
    expires_at: Option<Micros>,
    ids: &IdMaker,
    now: Micros,
) -> Result<(TokenId, Zeroizing<String>), TokenError> {
    let token = new_api_token()?;
    let id = ids.next_at(now);
    let scopes = scopes.iter().map(|scope| scope.word()).collect::<Vec<_>>().join(" ");
    let principals = match reach {
        Reach::All => "all".to_owned(),
        Reach::Principals(ids) => ids.iter().map(i64::to_string).collect::<Vec<_>>().join(","),
    };
    let hash = hash_api_token(&token);
    store.write_here(&Scope::all(), |conn| {
        conn.execute(
            "INSERT INTO api_token (id, name, hash, scopes, principals, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &[
                id.into(),
                name.into(),
                hash.as_slice().into(),
                scopes.as_str().into(),
                principals.as_str().into(),
                now.0.into(),
                expires_at.map(|at| at.0).into(),
            ],
        )
    })?;
    Ok((TokenId(id), token))
}

/// All tokens, oldest first.
pub fn list(store: &Store) -> Result<Vec<TokenInfo>, StoreError> {
    store
        .read_here(&Scope::all(), |conn| conn.query(&format!("SELECT {COLUMNS} FROM api_token ORDER BY id"), &[], info))
}

/// Ends a token; `false` when there is none or it has ended already.
pub fn revoke(store: &Store, id: TokenId, now: Micros) -> Result<bool, StoreError> {
    let sql = "UPDATE api_token SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
    Ok(store.write_here(&Scope::all(), |conn| conn.execute(sql, &[id.0.into(), now.0.into()]))? == 1)
}

/// Checks tokens, remembering each answer for a second.
pub struct Tokens {
    store: Store,
    remembered: Mutex<FxHashMap<Key, (Option<Caller>, i64)>>,
}

/// How a token is named: by what was sent, or by the id in a sign-in cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Hash([u8; 32]),
    Id(i64),
}

impl Tokens {
    /// A checker over `store`.
    pub fn new(store: Store) -> Self {
        Self { store, remembered: Mutex::default() }
    }

    /// Who sent `token`, if it is good at `now`.
    pub async fn by_secret(&self, token: &str, now: Micros) -> Result<Option<Caller>, StoreError> {
        if !token.starts_with(API_TOKEN_PREFIX) || token.len() > 128 {
            return Ok(None);
        }
        self.check(Key::Hash(hash_api_token(token)), now).await
    }

    /// Who signed in with the token `id`, if it is still good at `now`.
    pub async fn by_id(&self, id: i64, now: Micros) -> Result<Option<Caller>, StoreError> {
        self.check(Key::Id(id), now).await
    }

    async fn check(&self, key: Key, now: Micros) -> Result<Option<Caller>, StoreError> {
        if let Some((caller, until)) = self.lock().get(&key)
            && (now.0..now.0 + BELIEVED_FOR).contains(until)
        {
            return Ok(caller.clone());
        }
        let caller = self
            .store
            .read(Scope::all(), move |conn| match key {
                Key::Hash(hash) => conn.first(
                    &format!("SELECT {COLUMNS} FROM api_token WHERE hash = $1"),
                    &[hash.as_slice().into()],
                    info,
                ),
                Key::Id(id) => {
                    conn.first(&format!("SELECT {COLUMNS} FROM api_token WHERE id = $1"), &[id.into()], info)
                }
            })
            .await?
            .filter(|token| token.revoked_at.is_none() && token.expires_at.is_none_or(|at| now < at))
            .map(caller);
        let mut remembered = self.lock();
        if remembered.len() >= MOST_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(key, (caller.clone(), now.0 + BELIEVED_FOR - 1));
        Ok(caller)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, FxHashMap<Key, (Option<Caller>, i64)>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn caller(token: TokenInfo) -> Caller {
    let scope = match token.principals.as_str() {
        "all" => Scope::all(),
        ids => Scope::principals(ids.split(',').filter_map(|id| id.parse().ok())),
    };
    Caller { token: token.id, name: token.name, permissions: token.scopes, scope }
}
