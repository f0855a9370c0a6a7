//! Registration and sign-in as pure functions (WebAuthn, sections 7.1 and 7.2).

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use signalbox_crypto::signature::Form;

use super::data::{AuthenticatorData, check_client_data, decode, stored_key};

const MOST_BYTES: usize = 16 * 1024;

/// Who we are to authenticators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    /// The host of the public address: passkeys are bound to it.
    pub id: String,
    /// Scheme, host and port, as browsers write them.
    pub origin: String,
}

/// Why a ceremony is refused. The words go into log and audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCeremony {
    #[error("the answer of the browser is not readable")]
    Shape,
    #[error("the answer is of another kind of ceremony")]
    Kind,
    #[error("the answer belongs to another challenge")]
    Challenge,
    #[error("the answer was made for another site")]
    Origin,
    #[error("the authenticator did not verify its user")]
    NotVerified,
    #[error("the authenticator's key is of a kind that is not accepted")]
    Key,
    #[error("the signature is wrong")]
    Signature,
    #[error("the signature counter went backwards: the passkey may have been copied")]
    Counter,
    #[error("the passkey is not known, or belongs to somebody else")]
    Unknown,
    #[error("the challenge has expired, was used, or was not made here")]
    Expired,
}

/// What the browser sends after a registration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Registration {
    /// What the person calls the passkey.
    pub name: String,
    pub id: String,
    #[serde(rename = "clientDataJSON")]
    pub client_data: String,
    pub authenticator_data: String,
    pub transports: Vec<String>,
}

/// What the browser sends to sign in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Assertion {
    pub id: String,
    #[serde(rename = "clientDataJSON")]
    pub client_data: String,
    pub authenticator_data: String,
    pub signature: String,
    pub user_handle: String,
    /// The page that was wanted.
    #[serde(default)]
    pub next: String,
}

/// A credential that was registered well.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Registered {
    pub id: Vec<u8>,
    pub cose: Vec<u8>,
    pub counter: u32,
    pub backed_up: bool,
}

/// What a good signature says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asserted {
    pub counter: u32,
    pub backed_up: bool,
}

impl RelyingParty {
    /// From the public address. Nothing where passkeys cannot work: browsers want https, or `localhost`, and a name.
    pub fn of(public_url: &str) -> Option<Self> {
        let (scheme, rest) = public_url.split_once("://")?;
        let authority = rest.split('/').next()?.to_ascii_lowercase();
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => &authority,
        };
        let is_address = host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok();
        let is_safe = scheme == "https" || (scheme == "http" && host == "localhost");
        if host.is_empty() || is_address || !is_safe || host.contains(['@', '?', '#', ' ']) {
            return None;
        }
        let usual = if scheme == "https" { ":443" } else { ":80" };
        let authority = authority.strip_suffix(usual).unwrap_or(&authority);
        Some(Self { id: host.to_owned(), origin: format!("{scheme}://{authority}") })
    }
}

/// Checks a registration that answers `challenge`.
pub(crate) fn register(
    answer: &Registration,
    challenge: &str,
    party: &RelyingParty,
) -> Result<Registered, BadCeremony> {
    check_client_data(&decode(&answer.client_data, MOST_BYTES)?, "webauthn.create", challenge, party)?;
    let bytes = decode(&answer.authenticator_data, MOST_BYTES)?;
    let data = AuthenticatorData::read(&bytes, party)?;
    let credential = data.credential.ok_or(BadCeremony::Shape)?;
    if decode(&answer.id, MOST_BYTES)? != credential.id {
        return Err(BadCeremony::Shape);
    }
    Ok(Registered {
        id: credential.id.to_vec(),
        cose: credential.cose.to_vec(),
        counter: data.counter,
        backed_up: data.backed_up,
    })
}

/// Checks a sign-in that answers `challenge`, with what is stored of the credential.
pub(crate) fn assert(
    answer: &Assertion,
    challenge: &str,
    party: &RelyingParty,
    cose: &[u8],
    counter: u32,
) -> Result<Asserted, BadCeremony> {
    let client_data = decode(&answer.client_data, MOST_BYTES)?;
    check_client_data(&client_data, "webauthn.get", challenge, party)?;
    let mut signed = decode(&answer.authenticator_data, MOST_BYTES)?;
    let data = AuthenticatorData::read(&signed, party)?;
    let said = Asserted { counter: data.counter, backed_up: data.backed_up };
    signed.extend_from_slice(&Sha256::digest(&client_data));
    let key = stored_key(cose).ok_or(BadCeremony::Key)?;
    if !key.verifies(&signed, &decode(&answer.signature, MOST_BYTES)?, Form::Asn1) {
        return Err(BadCeremony::Signature);
    }
    // Authenticators that do not count say zero for ever.
    if (said.counter != 0 || counter != 0) && said.counter <= counter {
        return Err(BadCeremony::Counter);
    }
    Ok(said)
}

#[cfg(test)]
#[path = "ceremony_tests.rs"]
mod tests;
