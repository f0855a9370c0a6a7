//! Signing in: a password, then the second factor where there is one. What every other way of signing in ends with.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::json;
use signalbox_core::address::source_key;
use signalbox_core::clock::Clock;
use signalbox_core::id::{IdMaker, UserId};
use signalbox_crypto::keyring::Keyring;
use signalbox_http::shell::Origin;
use signalbox_store::{Conn, Scope, Store, StoreError};
use zeroize::Zeroizing;

use crate::brake::{Brake, TooSoon};
use crate::email::Email;
use crate::error::{AccessError, Outcome, settle};
use crate::oidc::Button;
use crate::password::Passwords;
use crate::second_factor::{self, Proof};
use crate::seldom::Seldom;
use crate::sessions::{self, NewSession, Sessions, Started};
use crate::settings::Rules;
use crate::tokens::Tokens;
use crate::trail::{Act, By, Deed, note};

/// Everything that access needs, shared by the handlers.
#[derive(Clone)]
pub struct Access {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<IdMaker>,
    pub rules: Rules,
    pub passwords: Passwords,
    pub brake: Arc<Brake>,
    pub(crate) seldom: Arc<Seldom>,
    pub sessions: Arc<Sessions>,
    pub tokens: Arc<Tokens>,
    /// What the sign-in page offers beside the password.
    pub ways: Arc<Ways>,
    /// The present keyring.
    pub ring: Arc<dyn Fn() -> Arc<Keyring> + Send + Sync>,
}

/// Ways to sign in beside the password.
#[derive(Debug, Clone, Default)]
pub struct Ways {
    pub providers: Vec<Button>,
    pub passkeys: bool,
}

/// The browser behind a sign-in.
#[derive(Debug, Clone)]
pub struct Browser {
    pub origin: Origin,
    pub agent: String,
    /// The session that it had: it ends when another one begins.
    pub cookie: Option<String>,
}

/// How far a sign-in has come.
pub enum SignedIn {
    Whole(Started),
    /// The second factor is still to come.
    Pending(Started),
}

/// A sign-in was refused. Neither kind tells whether the account exists.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("the e-mail address, the password or the code is not right")]
    Wrong,
    #[error("too many attempts; try again in {} seconds", .0.retry_after_s)]
    TooSoon(TooSoon),
    #[error(transparent)]
    Failed(#[from] AccessError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Refused::Failed(error.into())
    }
}

impl Access {
    /// The parts over `store`.
    pub fn new(
        store: &Store,
        clock: Arc<dyn Clock>,
        ids: Arc<IdMaker>,
        rules: Rules,
        ring: Arc<dyn Fn() -> Arc<Keyring> + Send + Sync>,
    ) -> Self {
        Self {
            store: store.clone(),
            clock,
            ids,
            passwords: Passwords::default(),
            brake: Arc::new(Brake::new(store.clone())),
            seldom: Arc::default(),
            sessions: Arc::new(Sessions::new(store.clone(), rules.clone())),
            tokens: Arc::new(Tokens::new(store.clone())),
            rules,
            ways: Arc::default(),
            ring,
        }
    }

    /// A change by `by`, now.
    pub fn act(&self, by: By) -> Act {
        Act { by, now: self.clock.now(), ids: Arc::clone(&self.ids) }
    }

    /// Runs a change in a transaction.
    pub async fn change<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Conn<'_>) -> Outcome<T> + Send + 'static,
    ) -> Result<T, AccessError> {
        let result = settle(self.store.write(Scope::all(), run).await);
        // What was changed here holds here at once; elsewhere within a second.
        self.sessions.forget();
        self.tokens.forget();
        result
    }

    /// Reads outside of any principal's rows.
    pub async fn look<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Conn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.store.read(Scope::all(), run).await
    }

    /// Signs in with an e-mail address and a password.
    pub async fn by_password(
        &self,
        browser: &Browser,
        email: &str,
        password: Zeroizing<String>,
    ) -> Result<SignedIn, Refused> {
        let client = browser.origin.client;
        // What is no address cannot be an account; it takes the same way as an unknown one.
        let email = Email::parse(email).map_or_else(|_| "?".to_owned(), |email| email.to_string());
        let found = self.look(find(email.clone(), client)).await?;
        let known_here = found.as_ref().is_some_and(|account| account.known_here);
        if let Err(wait) = self.brake.attempt(&email, client, known_here, self.clock.now()).await? {
            return Err(self.delayed(browser, &email, wait).await?);
        }
        let hash = found.as_ref().and_then(|account| account.password.clone());
        let again = password.clone();
        let verified = self.passwords.verify(password, hash).await?;
        let account = match found {
            Some(account) if verified.good && !account.disabled => account,
            _ => {
                self.refused(browser, &email, "wrong_password").await?;
                return Err(Refused::Wrong);
            }
        };
        self.brake.passed(&email, client).await?;
        if verified.stale {
            let hash = self.passwords.hash(again).await?;
            let user = account.id;
            self.change(move |conn| {
                conn.execute(
                    "UPDATE user_account SET password = $2 WHERE id = $1",
                    &[user.0.into(), hash.as_str().into()],
                )?;
                Ok(Ok(()))
            })
            .await?;
        }
        self.finish(browser, account.id, &email, "password", false).await
    }

    /// The last step of every way to sign in, after the identity of `user` was verified by `method`.
    /// `proved`: two factors were shown already, so that none is asked for.
    pub async fn finish(
        &self,
        browser: &Browser,
        user: UserId,
        email: &str,
        method: &'static str,
        proved: bool,
    ) -> Result<SignedIn, Refused> {
        let act = self.act(By::user(user.0, email, &browser.origin));
        let (rules, browser) = (self.rules.clone(), browser.clone());
        let outcome = self
            .change(move |conn| {
                let sql = "SELECT id FROM user_account WHERE id = $1 AND disabled_at IS NULL";
                if conn.first(sql, &[user.0.into()], |row| row.int(0))?.is_none() {
                    return Ok(Err(AccessError::NotFound));
                }
                let pending = !proved && second_factor::is_on(conn, user)?;
                let new = NewSession {
                    user,
                    method,
                    proved,
                    pending,
                    address: browser.origin.client,
                    agent: browser.agent.clone(),
                };
                let started = match sessions::start(conn, &act, &rules, &new, browser.cookie.as_deref())? {
                    Ok(started) => started,
                    Err(error) => return Ok(Err(error)),
                };
                let action = if pending { "session.password_accepted" } else { "session.started" };
                signed_in(conn, &act, action, &started, method)?;
                Ok(Ok(if pending { SignedIn::Pending(started) } else { SignedIn::Whole(started) }))
            })
            .await;
        match outcome {
            // Removed or disabled since it was verified.
            Err(AccessError::NotFound) => Err(Refused::Wrong),
            other => Ok(other?),
        }
    }

    /// Ends a sign-in that waited for the second factor.
    pub async fn by_second_factor(&self, browser: &Browser, code: &str) -> Result<(Started, Proof), Refused> {
        let Some(cookie) = browser.cookie.clone() else { return Err(Refused::Wrong) };
        let (now, client) = (self.clock.now(), browser.origin.client);
        let secret = cookie.clone();
        let Some((user, method, known_here)) = self
            .look(move |conn| match sessions::pending(conn, &secret, now)? {
                Some((user, method)) => Ok(Some((user, method, sessions::known_source(conn, user, client)?))),
                None => Ok(None),
            })
            .await?
        else {
            return Err(Refused::Failed(AccessError::NotFound));
        };
        let account = format!("second factor {user}");
        if let Err(wait) = self.brake.attempt(&account, client, known_here, now).await? {
            return Err(self.delayed(browser, &user.to_string(), wait).await?);
        }
        let (ring, code, rules) = ((self.ring)(), code.to_owned(), self.rules.clone());
        let method = ["password", "link", "oidc"].into_iter().find(|known| *known == method).unwrap_or("password");
        let (ids, origin, agent) = (Arc::clone(&self.ids), browser.origin.clone(), browser.agent.clone());
        let outcome = self
            .change(move |conn| {
                let Some(proof) = second_factor::verify(conn, &ring, user, &code, now)? else { return Ok(Ok(None)) };
                let sql = "SELECT email FROM user_account WHERE id = $1";
                let email = conn.first(sql, &[user.0.into()], |row| row.text(0))?.unwrap_or_default();
                let act = Act { by: By::user(user.0, &email, &origin), now, ids };
                let new = NewSession { user, method, proved: true, pending: false, address: origin.client, agent };
                let started = match sessions::start(conn, &act, &rules, &new, Some(&cookie))? {
                    Ok(started) => started,
                    Err(error) => return Ok(Err(error)),
                };
                signed_in(
                    conn,
                    &act,
                    "session.started",
                    &started,
                    match proof {
                        Proof::App => "authenticator app",
                        Proof::RecoveryCode => "recovery code",
                    },
                )?;
                Ok(Ok(Some((started, proof))))
            })
            .await?;
        match outcome {
            Some(done) => {
                self.brake.passed(&account, client).await?;
                Ok(done)
            }
            None => {
                self.refused(browser, &user.to_string(), "wrong_code").await?;
                Err(Refused::Wrong)
            }
        }
    }

    /// Ends the session of a browser.
    pub async fn sign_out(&self, browser: &Browser, by: By) -> Result<(), AccessError> {
        let Some(cookie) = browser.cookie.clone() else { return Ok(()) };
        let act = self.act(by);
        self.change(move |conn| {
            if sessions::end_by_secret(conn, &cookie)? {
                note(conn, &act, Deed { action: "session.ended", ..Deed::default() })?;
            }
            Ok(Ok(()))
        })
        .await
    }

    /// Counts an attempt that names no account yet; refused while its source has to wait.
    pub(crate) async fn admit(&self, browser: &Browser) -> Result<(), Refused> {
        match self.brake.attempt_source(browser.origin.client, self.clock.now()) {
            Ok(()) => Ok(()),
            Err(wait) => Err(self.delayed(browser, "", wait).await?),
        }
    }

    /// Tells the audit log, seldom, of attempts that come while a delay runs: whoever knocks must not be able to fill it.
    async fn delayed(&self, browser: &Browser, name: &str, wait: TooSoon) -> Result<Refused, AccessError> {
        let act = self.act(By::anonymous(&browser.origin, name));
        if self.seldom.lets(&format!("delayed\n{name}\n{:x}", source_key(browser.origin.client)), act.now) {
            let after = Some(json!({ "wait_seconds": wait.retry_after_s }));
            let deed = move |conn: &mut Conn<'_>| {
                note(conn, &act, Deed { action: "sign_in.delayed", after, ..Deed::default() })?;
                Ok(Ok(()))
            };
            settle(self.store.write(Scope::all(), deed).await)?;
        }
        tracing::info!(request.id = browser.origin.request_id, client.address = %browser.origin.client, "a sign-in came too soon");
        Ok(Refused::TooSoon(wait))
    }

    /// Tells the audit log of a sign-in that was refused, whether the account exists or not.
    pub(crate) async fn refused(&self, browser: &Browser, name: &str, why: &str) -> Result<(), AccessError> {
        let act = self.act(By::anonymous(&browser.origin, name));
        let why = why.to_owned();
        let deed = move |conn: &mut Conn<'_>| {
            let after = Some(json!({ "reason": why }));
            note(conn, &act, Deed { action: "sign_in.refused", after, ..Deed::default() })?;
            Ok(Ok(()))
        };
        settle(self.store.write(Scope::all(), deed).await)
    }
}

fn signed_in(
    conn: &mut Conn<'_>,
    act: &Act,
    action: &'static str,
    started: &Started,
    method: &str,
) -> Result<(), StoreError> {
    let after = Some(json!({ "method": method }));
    note(conn, act, Deed { action, object: &started.id.to_string(), before: None, after })
}

struct Account {
    id: UserId,
    password: Option<String>,
    disabled: bool,
    known_here: bool,
}

fn find(email: String, client: IpAddr) -> impl FnOnce(&mut Conn<'_>) -> Result<Option<Account>, StoreError> {
    move |conn| {
        let sql = "SELECT id, password, disabled_at FROM user_account WHERE email = $1";
        let found = conn.first(sql, &[email.as_str().into()], |row| {
            Ok(Account {
                id: UserId(row.int(0)?),
                password: row.opt_text(1)?,
                disabled: row.opt_int(2)?.is_some(),
                known_here: false,
            })
        })?;
        let Some(mut account) = found else { return Ok(None) };
        account.known_here = sessions::known_source(conn, account.id, client)?;
        Ok(Some(account))
    }
}
