//! One order: account, authorizations by http-01, certificate.

use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, OrderStatus,
    RetryPolicy,
};

use super::challenge::Challenges;
use super::client::Https;
use super::folder::Folder;
use super::renewal::AcmeSettings;
use crate::certificate::{Certificate, TlsError};

/// Why there is no certificate; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    #[error("{0}")]
    Tls(#[from] TlsError),
    #[error("the ACME server refused {step}: {reason}{hint}")]
    Refused { step: &'static str, reason: String, hint: &'static str },
    #[error(
        "{name} could not be proven: {reason}. The ACME server must reach http://{name}/.well-known/acme-challenge/ \
        on port 80 of this server: check DNS, firewall and port forwarding"
    )]
    Unproven { name: String, reason: String },
    #[error(
        "the ACME server offers no http-01 challenge for {0}: wildcard names need DNS challenges, which are not built"
    )]
    NoChallenge(String),
    #[error("the ACME server did not finish {0} in time; it is tried again")]
    Slow(&'static str),
}

/// How long the server may take to look at the challenges, and to issue.
fn patience() -> RetryPolicy {
    RetryPolicy::new().initial_delay(Duration::from_millis(500)).backoff(1.5).timeout(Duration::from_secs(120))
}

fn refused(step: &'static str) -> impl Fn(instant_acme::Error) -> AcmeError {
    move |error| {
        if matches!(error, instant_acme::Error::Timeout(_)) {
            return AcmeError::Slow(step);
        }
        let reason = error.to_string();
        let hint = if reason.contains("rateLimited") {
            "; it is tried again later and later. Do not restart to hurry: that costs further attempts"
        } else if reason.contains("certificate") && reason.contains("nknown") {
            "; for a private ACME server set acme.ca to its root certificate"
        } else {
            ""
        };
        AcmeError::Refused { step, reason, hint }
    }
}

/// The account in the folder when it is one of this directory, otherwise a new one.
async fn account(settings: &AcmeSettings, folder: &Folder, https: &Https) -> Result<Account, AcmeError> {
    let builder = || Account::builder_with_http(Box::new(https.clone()));
    if let Some(kept) = folder.account()? {
        let directory = serde_json::from_slice::<serde_json::Value>(&kept).ok();
        let directory = directory.as_ref().and_then(|kept| kept["directory"].as_str());
        if directory == Some(settings.directory.as_str())
            && let Ok(credentials) = serde_json::from_slice::<AccountCredentials>(&kept)
        {
            return builder().from_credentials(credentials).await.map_err(refused("the account"));
        }
    }
    let contact = match settings.contact.as_str() {
        "" => vec![],
        contact if contact.contains(':') => vec![contact.to_owned()],
        address => vec![format!("mailto:{address}")],
    };
    let contact: Vec<_> = contact.iter().map(String::as_str).collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) =
        builder().create(&new, settings.directory.clone(), None).await.map_err(refused("a new account"))?;
    folder.put_account(&serde_json::to_vec(&credentials).unwrap_or_default())?;
    Ok(account)
}

/// Orders a certificate for the domains and puts it into the folder.
pub(super) async fn order(
    settings: &AcmeSettings,
    folder: &Folder,
    challenges: &Challenges,
) -> Result<Certificate, AcmeError> {
    let https = Https::new(settings.ca.as_deref())?;
    let result = issue(settings, folder, challenges, &https).await;
    challenges.clear();
    let (chain, key) = result?;
    let certificate = Certificate::parse(chain.as_bytes(), "the new certificate", key.as_bytes(), "its key")?;
    if !certificate.facts.covers(&settings.domains) {
        let reason = format!("it is for {}", certificate.facts.names.join(" "));
        return Err(TlsError::Bad { place: "the new certificate".into(), reason }.into());
    }
    folder.put_certificate(&chain, &key)?;
    Ok(certificate)
}

async fn issue(
    settings: &AcmeSettings,
    folder: &Folder,
    challenges: &Challenges,
    https: &Https,
) -> Result<(String, String), AcmeError> {
    let account = account(settings, folder, https).await?;
    let identifiers: Vec<_> = settings.domains.iter().cloned().map(Identifier::Dns).collect();
    let mut order = account.new_order(&NewOrder::new(&identifiers)).await.map_err(refused("the order"))?;
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(refused("an authorization"))?;
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        let name = authorization.identifier().to_string();
        let mut challenge = authorization.challenge(ChallengeType::Http01).ok_or(AcmeError::NoChallenge(name))?;
        challenges.put(&challenge.token.clone(), challenge.key_authorization().as_str());
        challenge.set_ready().await.map_err(refused("a challenge"))?;
    }
    match order.poll_ready(&patience()).await {
        Ok(OrderStatus::Ready) => (),
        Ok(status) => return Err(unproven(&mut order, format!("the order is {status:?}")).await),
        Err(instant_acme::Error::Api(problem)) => return Err(unproven(&mut order, problem.to_string()).await),
        Err(error) => return Err(refused("the challenges")(error)),
    }
    let key = order.finalize().await.map_err(refused("the request for the certificate"))?;
    let chain = order.poll_certificate(&patience()).await.map_err(refused("the certificate"))?;
    Ok((chain, key))
}

/// Which name failed, in the server's words; `otherwise` when it does not say.
async fn unproven(order: &mut instant_acme::Order, otherwise: String) -> AcmeError {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let name = authorization.identifier().to_string();
        let Ok(state) = authorization.refresh().await else { break };
        if let Some(problem) = state.challenges.iter().find_map(|challenge| challenge.error.as_ref()) {
            return AcmeError::Unproven { name, reason: problem.to_string() };
        }
    }
    AcmeError::Refused { step: "the challenges", reason: otherwise, hint: "" }
}
