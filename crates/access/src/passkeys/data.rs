//! What browser and authenticator say about a ceremony: client data and authenticator data (WebAuthn, sections 5.8.1, 6.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use signalbox_crypto::signature::PublicKey;
use subtle::ConstantTimeEq as _;

use super::ceremony::{BadCeremony, RelyingParty};
use super::cose::read_key;

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const HAS_CREDENTIAL: u8 = 0x40;
const HAS_EXTENSIONS: u8 = 0x80;
const MOST_ID_BYTES: usize = 1023;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    top_origin: Option<String>,
}

/// Checks what the browser says: the kind of ceremony, our challenge, our origin, no frame of another site around it.
pub(crate) fn check_client_data(
    text: &[u8],
    kind: &str,
    challenge: &str,
    party: &RelyingParty,
) -> Result<(), BadCeremony> {
    let data: ClientData = serde_json::from_slice(text).map_err(|_| BadCeremony::Shape)?;
    if data.kind != kind {
        return Err(BadCeremony::Kind);
    }
    if !bool::from(data.challenge.as_bytes().ct_eq(challenge.as_bytes())) {
        return Err(BadCeremony::Challenge);
    }
    if data.origin != party.origin || data.cross_origin || data.top_origin.is_some() {
        return Err(BadCeremony::Origin);
    }
    Ok(())
}

/// What an authenticator says, after the checks that both ceremonies share.
#[derive(Debug)]
pub(crate) struct AuthenticatorData<'b> {
    pub counter: u32,
    pub backed_up: bool,
    pub credential: Option<NewCredential<'b>>,
}

/// The credential in a registration.
#[derive(Debug)]
pub(crate) struct NewCredential<'b> {
    pub id: &'b [u8],
    /// As it was written: what is stored.
    pub cose: &'b [u8],
}

impl<'b> AuthenticatorData<'b> {
    pub(crate) fn read(bytes: &'b [u8], party: &RelyingParty) -> Result<Self, BadCeremony> {
        let (hash, rest) = bytes.split_first_chunk::<32>().ok_or(BadCeremony::Shape)?;
        let (&[flags], rest) = rest.split_first_chunk::<1>().ok_or(BadCeremony::Shape)?;
        let (counter, mut rest) = rest.split_first_chunk::<4>().ok_or(BadCeremony::Shape)?;
        if hash.as_slice() != Sha256::digest(party.id.as_bytes()).as_slice() {
            return Err(BadCeremony::Origin);
        }
        let has = |flag: u8| flags & flag != 0;
        if !has(USER_PRESENT) || !has(USER_VERIFIED) {
            return Err(BadCeremony::NotVerified);
        }
        if has(BACKED_UP) && !has(BACKUP_ELIGIBLE) {
            return Err(BadCeremony::Shape);
        }
        let mut credential = None;
        if has(HAS_CREDENTIAL) {
            let (found, after) = read_credential(rest).ok_or(BadCeremony::Key)?;
            (credential, rest) = (Some(found), after);
        }
        // Extensions were not asked for; what authenticators add by themselves is signed and ignored.
        if rest.is_empty() == has(HAS_EXTENSIONS) {
            return Err(BadCeremony::Shape);
        }
        Ok(Self { counter: u32::from_be_bytes(*counter), backed_up: has(BACKED_UP), credential })
    }
}

fn read_credential(bytes: &[u8]) -> Option<(NewCredential<'_>, &[u8])> {
    let (_model, rest) = bytes.split_first_chunk::<16>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (id, rest) = rest.split_at_checked(length).filter(|_| (1..=MOST_ID_BYTES).contains(&length))?;
    let (_, after) = read_key(rest)?;
    Some((NewCredential { id, cose: &rest[..rest.len() - after.len()] }, after))
}

/// The key behind stored bytes.
pub(crate) fn stored_key(cose: &[u8]) -> Option<PublicKey> {
    read_key(cose).filter(|(_, rest)| rest.is_empty()).map(|(key, _)| key)
}

/// Bytes that came as base64url.
pub(crate) fn decode(text: &str, most: usize) -> Result<Vec<u8>, BadCeremony> {
    if text.len() > most * 4 / 3 + 4 {
        return Err(BadCeremony::Shape);
    }
    URL_SAFE_NO_PAD.decode(text).map_err(|_| BadCeremony::Shape)
}
