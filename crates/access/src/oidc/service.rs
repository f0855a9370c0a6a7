//! The two halves of a sign-in with a provider, over the store.

use std::sync::Arc;

use axum::http::HeaderMap;
use secrecy::SecretString;
use serde_json::Value;
use signalbox_core::id::UserId;
use signalbox_store::Scope;

use super::fetch::{Fetcher, native_roots};
use super::flow::{Answer, BadAnswer, Flow};
use super::id_token::Claims;
use super::people::{self, Person, Stranger};
use super::pins::Pin;
use super::provider::{Exchange, Provider, ProviderError};
use super::settings::ProviderSettings;
use crate::error::AccessError;
use crate::sign_in::{Access, Browser, Refused, SignedIn};
use crate::ticket::{self, Kind};
use crate::trail::By;

/// All providers of the settings, ready.
#[derive(Clone)]
pub struct Oidc {
    pub(crate) access: Access,
    providers: Arc<Vec<Provider>>,
    public_url: Arc<str>,
}

/// A provider as the sign-in page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    pub id: String,
    pub name: String,
}

/// Why a sign-in with a provider did not work. What the person sees does not say it; log and audit do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OidcError {
    #[error("there is no such provider")]
    NoProvider,
    #[error("the browser brought no sign-in that was begun here, or it took too long")]
    NoTicket,
    #[error("the browser brought a sign-in that was finished before")]
    Spent,
    #[error(transparent)]
    Answer(#[from] BadAnswer),
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error(transparent)]
    Stranger(#[from] Stranger),
    #[error(transparent)]
    SignIn(#[from] Refused),
    #[error(transparent)]
    Failed(#[from] AccessError),
}

/// A sign-in that worked.
pub(crate) struct Done {
    pub signed_in: SignedIn,
    /// The page that was wanted.
    pub next: String,
}

impl Oidc {
    /// Reads the secrets; asks no provider yet.
    pub fn new(access: &Access, settings: &[ProviderSettings], public_url: &str) -> Result<Self, String> {
        let public_url: Arc<str> = public_url.trim_end_matches('/').into();
        if settings.is_empty() {
            // Root certificates are not read for nothing.
            return Ok(Self { access: access.clone(), providers: Arc::default(), public_url });
        }
        let roots = native_roots();
        let provider = |settings: &ProviderSettings| {
            let secret = match &settings.client_secret_file {
                Some(path) => std::fs::read_to_string(path)
                    .map_err(|error| format!("access.oidc {:?}: {}: {error}", settings.id, path.display()))?,
                None => settings.client_secret.clone(),
            };
            let pins = settings.pins.iter().map(|pin| Pin::parse(pin)).collect::<Result<_, String>>()?;
            let secret = SecretString::from(secret.trim().to_owned());
            Ok(Provider::new(settings.clone(), secret, Fetcher::new(&roots, pins)))
        };
        let providers = settings.iter().map(provider).collect::<Result<Vec<_>, String>>()?;
        Ok(Self { access: access.clone(), providers: Arc::new(providers), public_url })
    }

    /// For the sign-in page.
    pub fn buttons(&self) -> Vec<Button> {
        let button =
            |provider: &Provider| Button { id: provider.settings.id.clone(), name: provider.settings.name.clone() };
        self.providers.iter().map(button).collect()
    }

    fn provider(&self, id: &str) -> Result<&Provider, OidcError> {
        self.providers.iter().find(|provider| provider.settings.id == id).ok_or(OidcError::NoProvider)
    }

    fn redirect_uri(&self, id: &str) -> String {
        format!("{}/sign-in/oidc/{id}/callback", self.public_url)
    }

    /// Where to send the browser, and the cookie that it takes along.
    pub(crate) async fn begin(&self, id: &str, next: &str) -> Result<(String, String), OidcError> {
        let provider = self.provider(id)?;
        let now = self.access.clock.now();
        let metadata = provider.metadata(now).await?;
        let flow = Flow::begin(id, next).map_err(AccessError::from)?;
        let cookie = ticket::issue(&(self.access.ring)(), Kind::Oidc, &flow, now).map_err(AccessError::from)?;
        Ok((flow.address(&provider.settings, &metadata, &self.redirect_uri(id)), cookie))
    }

    /// Signs in whom the provider vouches for, or says why not, to log and audit.
    pub(crate) async fn finish(
        &self,
        id: &str,
        headers: &HeaderMap,
        answer: &Answer,
        browser: &Browser,
    ) -> Result<Done, OidcError> {
        let mut label = String::new();
        let outcome = self.attempt(id, headers, answer, browser, &mut label).await;
        if let Err(error) = &outcome {
            tracing::warn!(%error, provider.id = id, request.id = browser.origin.request_id, "a sign-in was refused");
            // Whoever only knocks, without having begun a sign-in here, is in the log file alone.
            if !matches!(error, OidcError::NoProvider | OidcError::NoTicket | OidcError::SignIn(Refused::TooSoon(_))) {
                self.access.refused(browser, &label, &format!("oidc: {error}")).await?;
            }
        }
        outcome
    }

    async fn attempt(
        &self,
        id: &str,
        headers: &HeaderMap,
        answer: &Answer,
        browser: &Browser,
        label: &mut String,
    ) -> Result<Done, OidcError> {
        let provider = self.provider(id)?;
        self.access.admit(browser).await?;
        let now = self.access.clock.now();
        let ring = (self.access.ring)();
        let (stub, flow) = ticket::read::<Flow>(&ring, Kind::Oidc, headers, now).ok_or(OidcError::NoTicket)?;
        // Spent before anything else: whatever goes wrong, nobody tries a second time.
        let fresh = self.access.store.write(Scope::all(), move |conn| ticket::spend(conn, &stub, now)).await;
        if !fresh.map_err(AccessError::from)? {
            return Err(OidcError::Spent);
        }
        let metadata = provider.metadata(now).await?;
        let code = flow.code(id, &metadata, answer)?;
        let redirect_uri = self.redirect_uri(id);
        let exchange = Exchange { code, verifier: &flow.verifier, nonce: &flow.nonce, redirect_uri: &redirect_uri };
        let claims = provider.claims(&exchange, now).await?;
        let person = Person::of(&claims, &provider.settings);
        *label = person.label().to_owned();
        let (user, email) = self.recognise(provider, person, browser).await?;
        self.access.brake.passed_source(browser.origin.client);
        let signed_in = self.access.finish(browser, user, &email, "oidc", has_two_factors(&claims)).await?;
        Ok(Done { signed_in, next: flow.next })
    }

    async fn recognise(
        &self,
        provider: &Provider,
        person: Person,
        browser: &Browser,
    ) -> Result<(UserId, String), OidcError> {
        let act = self.access.act(By::anonymous(&browser.origin, person.label()));
        let settings = provider.settings.clone();
        let found = self.access.change(move |conn| people::recognise(conn, &act, &settings, &person).map(Ok)).await?;
        let user = found?;
        Ok((user.id, user.email))
    }
}

/// Whether the provider says that it asked for two factors (RFC 8176).
fn has_two_factors(claims: &Claims) -> bool {
    claims.get("amr").and_then(Value::as_array).is_some_and(|methods| methods.iter().any(|method| method == "mfa"))
}
