//! One provider at work: its documents, remembered for an hour, and the exchange of a code for claims.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;
use signalbox_core::time::{Micros, SECOND};
use tokio::sync::Mutex;

use super::fetch::{FetchError, Fetcher};
use super::id_token::{self, BadToken, Claims, Expected};
use super::jwk::KeySet;
use super::metadata::{BadMetadata, ClientProof, Metadata};
use super::settings::ProviderSettings;

/// How long documents are believed. A key that the provider withdraws is gone after it.
const BELIEVED_FOR: i64 = 3600 * SECOND;
/// How soon documents are fetched again, whether a fetch failed or a token names an unknown key. Longer than a fetch
/// may take, so that a provider that hangs does not make everybody wait.
const PAUSE: i64 = 15 * SECOND;

/// A sign-in that the provider's side spoils. The words go into log and audit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProviderError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Metadata(#[from] BadMetadata),
    #[error("the provider's keys are not readable")]
    Keys,
    #[error("the provider could not be reached a moment ago; it is tried again in a few seconds")]
    Pausing,
    #[error("the provider's answer to the code is not readable")]
    Answer,
    #[error(transparent)]
    Token(#[from] BadToken),
    #[error("the provider's user information is about somebody else")]
    UserInfo,
}

/// A provider.
pub(crate) struct Provider {
    pub settings: ProviderSettings,
    secret: SecretString,
    fetcher: Fetcher,
    documents: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    documents: Option<Arc<Documents>>,
    tried_at: Option<Micros>,
}

struct Documents {
    metadata: Metadata,
    keys: KeySet,
    fetched_at: Micros,
}

/// What proves that a code is ours.
pub(crate) struct Exchange<'e> {
    pub code: &'e str,
    pub verifier: &'e str,
    pub nonce: &'e str,
    pub redirect_uri: &'e str,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: String,
    id_token: String,
}

impl Provider {
    pub(crate) fn new(settings: ProviderSettings, secret: SecretString, fetcher: Fetcher) -> Self {
        Self { settings, secret, fetcher, documents: Mutex::default() }
    }

    /// What the provider publishes about itself.
    pub(crate) async fn metadata(&self, now: Micros) -> Result<Metadata, ProviderError> {
        Ok(self.documents(now, None).await?.metadata.clone())
    }

    /// Turns a code into the claims of a checked id token, completed from the user information where that is needed.
    pub(crate) async fn claims(&self, exchange: &Exchange<'_>, now: Micros) -> Result<Claims, ProviderError> {
        let documents = self.documents(now, None).await?;
        let answer = self.redeem(&documents.metadata, exchange).await?;
        let expected = Expected {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            nonce: exchange.nonce,
            access_token: &answer.access_token,
            now,
        };
        let claims = match id_token::check(&answer.id_token, &documents.keys, &expected) {
            // The provider may have begun to sign with a new key.
            Err(BadToken::UnknownKey) => {
                let newer = self.documents(now, Some(documents.fetched_at)).await?;
                id_token::check(&answer.id_token, &newer.keys, &expected)
            }
            checked => checked,
        }?;
        self.complete(claims, &documents.metadata, &answer.access_token).await
    }

    async fn redeem(&self, metadata: &Metadata, exchange: &Exchange<'_>) -> Result<Answer, ProviderError> {
        let client = self.settings.client_id.as_str();
        let secret = self.secret.expose_secret();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", exchange.code),
            ("redirect_uri", exchange.redirect_uri),
            ("code_verifier", exchange.verifier),
        ];
        let mut authorization = None;
        if secret.is_empty() {
            form.push(("client_id", client));
        } else {
            match metadata.client_proof()? {
                ClientProof::Basic => authorization = Some(basic(client, secret)),
                ClientProof::Post => form.extend([("client_id", client), ("client_secret", secret)]),
            }
        }
        let form = serde_urlencoded::to_string(form).map_err(|_| ProviderError::Answer)?;
        let body = self.fetcher.post(&metadata.token_endpoint, authorization.as_deref(), form).await?;
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| ProviderError::Answer)?;
        if !answer.token_type.eq_ignore_ascii_case("bearer") {
            return Err(ProviderError::Answer);
        }
        Ok(answer)
    }

    /// Some providers put address and groups into the user information only.
    async fn complete(&self, mut claims: Claims, metadata: &Metadata, token: &str) -> Result<Claims, ProviderError> {
        let role_claim = self.settings.roles.as_ref().map(|roles| roles.claim.as_str());
        let wanted = ["email", "email_verified"].into_iter().chain(role_claim);
        let missing = wanted.filter(|name| !claims.contains_key(*name)).count() > 0;
        let Some(address) = metadata.userinfo_endpoint.as_deref().filter(|_| missing) else { return Ok(claims) };
        let body = self.fetcher.get(address, Some(token)).await?;
        let more: Claims = serde_json::from_slice(&body).map_err(|_| ProviderError::Answer)?;
        if more.get("sub").and_then(Value::as_str).is_none_or(|subject| claims["sub"] != subject) {
            return Err(ProviderError::UserInfo);
        }
        // What was signed wins. An address and its verification stay together.
        if claims.contains_key("email") {
            more.into_iter().filter(|(name, _)| name != "email_verified").for_each(|(name, value)| {
                claims.entry(name).or_insert(value);
            });
        } else {
            claims.remove("email_verified");
            more.into_iter().for_each(|(name, value)| {
                claims.entry(name).or_insert(value);
            });
        }
        Ok(claims)
    }

    /// The remembered documents, or fresh ones when they are old or not newer than `stale`.
    async fn documents(&self, now: Micros, stale: Option<Micros>) -> Result<Arc<Documents>, ProviderError> {
        let mut remembered = self.documents.lock().await;
        if let Some(documents) = &remembered.documents
            && (documents.fetched_at.0..documents.fetched_at.0 + BELIEVED_FOR).contains(&now.0)
            && stale.is_none_or(|stale| documents.fetched_at > stale)
        {
            return Ok(Arc::clone(documents));
        }
        if remembered.tried_at.is_some_and(|tried| (tried.0..tried.0 + PAUSE).contains(&now.0)) {
            return match (&remembered.documents, stale) {
                (Some(documents), Some(_)) => Ok(Arc::clone(documents)),
                _ => Err(ProviderError::Pausing),
            };
        }
        remembered.tried_at = Some(now);
        let issuer = &self.settings.issuer;
        let metadata = Metadata::parse(&self.fetcher.get(&Metadata::address(issuer), None).await?, issuer)?;
        let keys = KeySet::parse(&self.fetcher.get(&metadata.jwks_uri, None).await?).ok_or(ProviderError::Keys)?;
        let documents = Arc::new(Documents { metadata, keys, fetched_at: now });
        remembered.documents = Some(Arc::clone(&documents));
        Ok(documents)
    }
}

/// RFC 6749, section 2.3.1: both parts are form-encoded first.
fn basic(client: &str, secret: &str) -> String {
    let part = |text: &str| {
        let encoded = serde_urlencoded::to_string([("", text)]).unwrap_or_default();
        encoded.trim_start_matches('=').to_owned()
    };
    format!("Basic {}", STANDARD.encode(format!("{}:{}", part(client), part(secret))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_and_secret_are_encoded_before_they_are_joined() {
        let encoded = basic("a b", "p:w%=");
        assert_eq!(STANDARD.decode(encoded.strip_prefix("Basic ").unwrap()).unwrap(), b"a+b:p%3Aw%25%3D");
    }
}
