//! Both ceremonies over the store: a challenge that works once, then the answer to it.

use std::sync::Arc;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use signalbox_core::id::UserId;
use signalbox_core::time::Micros;
use signalbox_crypto::secret::new_secret;
use signalbox_http::caller::Caller;
use signalbox_store::Scope;

use super::ceremony::{Assertion, BadCeremony, Registration, RelyingParty, assert, register};
use super::cose::ALGORITHMS;
use super::data::decode;
use super::keys::{self, Credential, Passkey};
use crate::error::AccessError;
use crate::sessions;
use crate::sign_in::{Access, Browser, Refused, SignedIn};
use crate::ticket::{self, Kind};
use crate::trail::By;

/// How long browsers let people try.
const PATIENCE_MS: u32 = 120_000;

/// Passkeys at work.
#[derive(Clone)]
pub struct Passkeys {
    pub(crate) access: Access,
    party: Option<Arc<RelyingParty>>,
}

/// What a challenge was made for.
#[derive(Serialize, Deserialize)]
struct Challenge {
    challenge: String,
    /// Who registers; or who has shown a password and owes the second factor. Nobody when anybody may sign in.
    user: Option<i64>,
}

/// Why something with a passkey did not work. The person sees the same words for all of them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasskeyError {
    #[error("passkeys need server.public_url: a name with https, or http://localhost")]
    Off,
    #[error(transparent)]
    Ceremony(#[from] BadCeremony),
    #[error(transparent)]
    SignIn(#[from] Refused),
    #[error(transparent)]
    Failed(#[from] AccessError),
}

impl Passkeys {
    /// For the site of the public address.
    pub fn new(access: &Access, public_url: &str) -> Self {
        Self { access: access.clone(), party: RelyingParty::of(public_url).map(Arc::new) }
    }

    /// Whether the public address allows passkeys.
    pub fn are_possible(&self) -> bool {
        self.party.is_some()
    }

    fn party(&self) -> Result<&RelyingParty, PasskeyError> {
        self.party.as_deref().ok_or(PasskeyError::Off)
    }

    fn challenge(&self, kind: Kind, user: Option<UserId>) -> Result<(String, String), PasskeyError> {
        let challenge = new_secret().map_err(AccessError::from)?.to_string();
        let content = Challenge { challenge: challenge.clone(), user: user.map(|user| user.0) };
        let now = self.access.clock.now();
        let cookie = ticket::issue(&(self.access.ring)(), kind, &content, now).map_err(AccessError::from)?;
        Ok((challenge, cookie))
    }

    /// The challenge that a request answers. From here on nobody answers it again.
    async fn answered(&self, kind: Kind, headers: &HeaderMap, now: Micros) -> Result<Challenge, PasskeyError> {
        let ring = (self.access.ring)();
        let (stub, content) = ticket::read::<Challenge>(&ring, kind, headers, now).ok_or(BadCeremony::Expired)?;
        let fresh = self.access.store.write(Scope::all(), move |conn| ticket::spend(conn, &stub, now)).await;
        match fresh.map_err(AccessError::from)? {
            true => Ok(content),
            false => Err(BadCeremony::Expired.into()),
        }
    }

    /// The passkeys of a user.
    pub(crate) async fn list(&self, user: UserId) -> Result<Vec<Passkey>, AccessError> {
        Ok(self.access.look(move |conn| keys::list(conn, user)).await?)
    }

    /// What a browser needs to make a passkey for `caller`, and the cookie with the challenge.
    pub(crate) async fn begin_registration(
        &self,
        user: UserId,
        caller: &Caller,
    ) -> Result<(Value, String), PasskeyError> {
        let party = self.party()?;
        let (challenge, cookie) = self.challenge(Kind::NewPasskey, Some(user))?;
        let known = self.access.look(move |conn| keys::credentials(conn, user)).await.map_err(AccessError::from)?;
        let options = json!({
            "challenge": challenge,
            "rp": { "id": party.id, "name": "Signalbox" },
            "user": { "id": handle(user), "name": caller.name, "displayName": caller.name },
            "pubKeyCredParams": ALGORITHMS.map(|number| json!({ "type": "public-key", "alg": number })),
            "timeout": PATIENCE_MS,
            "excludeCredentials": described(&known),
            "authenticatorSelection": { "residentKey": "preferred", "userVerification": "required" },
            "attestation": "none",
        });
        Ok((options, cookie))
    }

    /// Keeps the passkey that was made.
    pub(crate) async fn finish_registration(
        &self,
        user: UserId,
        headers: &HeaderMap,
        answer: Registration,
        by: By,
    ) -> Result<Passkey, PasskeyError> {
        let party = self.party()?;
        let now = self.access.clock.now();
        let challenge = self.answered(Kind::NewPasskey, headers, now).await?;
        if challenge.user != Some(user.0) {
            return Err(BadCeremony::Expired.into());
        }
        let registered = register(&answer, &challenge.challenge, party)?;
        let act = self.access.act(by);
        let added = self
            .access
            .change(move |conn| keys::insert(conn, &act, user, &answer.name, &registered, &answer.transports));
        Ok(added.await?)
    }

    /// What a browser needs to sign in, and the cookie with the challenge.
    pub(crate) async fn begin_sign_in(&self, browser: &Browser) -> Result<(Value, String), PasskeyError> {
        let party = self.party()?;
        let (cookie, now) = (browser.cookie.clone(), self.access.clock.now());
        let pending = self.access.look(move |conn| {
            let Some(cookie) = cookie else { return Ok(None) };
            let Some((user, _)) = sessions::pending(conn, &cookie, now)? else { return Ok(None) };
            Ok(Some((user, keys::credentials(conn, user)?)))
        });
        let pending = pending.await.map_err(AccessError::from)?;
        let (challenge, cookie) = self.challenge(Kind::Passkey, pending.as_ref().map(|(user, _)| *user))?;
        let options = json!({
            "challenge": challenge,
            "rpId": party.id,
            "timeout": PATIENCE_MS,
            "userVerification": "required",
            // Before a password was shown, nothing is said about any account.
            "allowCredentials": pending.map_or_else(Vec::new, |(_, credentials)| described(&credentials)),
        });
        Ok((options, cookie))
    }

    /// Signs in whom the passkey belongs to, or says why not, to log and audit.
    pub(crate) async fn finish_sign_in(
        &self,
        headers: &HeaderMap,
        answer: &Assertion,
        browser: &Browser,
    ) -> Result<SignedIn, PasskeyError> {
        let mut label = String::new();
        let outcome = self.attempt(headers, answer, browser, &mut label).await;
        if let Err(error @ (PasskeyError::Ceremony(_) | PasskeyError::SignIn(Refused::Wrong))) = &outcome {
            tracing::warn!(%error, request.id = browser.origin.request_id, "a sign-in with a passkey was refused");
            self.access.refused(browser, &label, &format!("passkey: {error}")).await?;
        }
        outcome
    }

    async fn attempt(
        &self,
        headers: &HeaderMap,
        answer: &Assertion,
        browser: &Browser,
        label: &mut String,
    ) -> Result<SignedIn, PasskeyError> {
        let party = self.party()?;
        self.access.admit(browser).await?;
        let now = self.access.clock.now();
        let challenge = self.answered(Kind::Passkey, headers, now).await?;
        let credential = decode(&answer.id, 1023)?;
        let found = self.access.look(move |conn| keys::find(conn, &credential)).await.map_err(AccessError::from)?;
        let key = found.ok_or(BadCeremony::Unknown)?;
        *label = key.email.clone();
        // Who has shown a password goes on as the same user; and a passkey says itself whose it is.
        let is_other = match challenge.user {
            Some(pending) => pending != key.user.0,
            None => answer.user_handle.is_empty(),
        };
        if is_other || (!answer.user_handle.is_empty() && answer.user_handle != handle(key.user)) {
            return Err(BadCeremony::Unknown.into());
        }
        let said = assert(answer, &challenge.challenge, party, &key.cose, key.counter)?;
        let stored = key.clone();
        let counted = self.access.change(move |conn| keys::used(conn, &stored, &said, now).map(Ok)).await?;
        if !counted {
            return Err(BadCeremony::Counter.into());
        }
        self.access.brake.passed_source(browser.origin.client);
        // Having the authenticator and being verified by it are two factors.
        Ok(self.access.finish(browser, key.user, &key.email, "passkey", true).await?)
    }
}

/// How authenticators know a user: an id, and nothing that tells who it is.
fn handle(user: UserId) -> String {
    URL_SAFE_NO_PAD.encode(user.0.to_be_bytes())
}

fn described(credentials: &[Credential]) -> Vec<Value> {
    let one = |credential: &Credential| {
        json!({
            "type": "public-key",
            "id": URL_SAFE_NO_PAD.encode(&credential.id),
            "transports": credential.transports,
        })
    };
    credentials.iter().map(one).collect()
}
