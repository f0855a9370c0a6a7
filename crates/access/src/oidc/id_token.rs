//! Checking an id token (OpenID Connect Core 1.0, section 3.1.3.7; RFC 8725). Pure: keys, clock and expectations are given.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use signalbox_core::time::{Micros, SECOND};
use signalbox_crypto::signature::Form;
use subtle::ConstantTimeEq as _;

use super::jwk::{Algorithm, KeySet};

const MOST_BYTES: usize = 32 * 1024;
/// How far the provider's clock may be from ours, in seconds.
const SKEW: i64 = 60;
/// A token is fetched in the moment it is made; an older one was kept by somebody.
const OLDEST: i64 = 600;

/// What a token has to say.
pub(crate) struct Expected<'e> {
    pub issuer: &'e str,
    pub client_id: &'e str,
    pub nonce: &'e str,
    pub access_token: &'e str,
    pub now: Micros,
}

/// Why a token is refused. The words go into log and audit, never to the one who signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadToken {
    #[error("the id token is not a signed JSON web token")]
    Shape,
    #[error("the id token is signed with an algorithm other than RS256, ES256 and EdDSA")]
    Algorithm,
    #[error("the id token names a key that the provider does not publish")]
    UnknownKey,
    #[error("the signature of the id token is wrong")]
    Signature,
    #[error("the id token is from another issuer")]
    Issuer,
    #[error("the id token is for another client")]
    Audience,
    #[error("the id token has expired")]
    Expired,
    #[error("the id token is not valid yet, or too old: compare the clocks")]
    Time,
    #[error("the id token belongs to another sign-in (nonce)")]
    Nonce,
    #[error("the id token belongs to another access token (at_hash)")]
    AccessToken,
    #[error("the id token has no usable subject")]
    Subject,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Standard {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
    nonce: Option<String>,
    at_hash: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// The claims of a good token: all of them, by name.
pub(crate) type Claims = Map<String, Value>;

/// Checks everything and gives the claims.
pub(crate) fn check(token: &str, keys: &KeySet, expected: &Expected<'_>) -> Result<Claims, BadToken> {
    if token.len() > MOST_BYTES {
        return Err(BadToken::Shape);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(BadToken::Shape)?;
    let (header, payload) = signed.split_once('.').ok_or(BadToken::Shape)?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| BadToken::Shape);
    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| BadToken::Shape)?;
    let algorithm = Algorithm::from_name(&header.alg).ok_or(BadToken::Algorithm)?;
    if header.crit.is_some() {
        return Err(BadToken::Shape);
    }
    let key = keys.find(header.kid.as_deref(), algorithm).ok_or(BadToken::UnknownKey)?;
    if !key.verifies(signed.as_bytes(), &decode(signature)?, Form::Fixed) {
        return Err(BadToken::Signature);
    }
    let claims: Value = serde_json::from_slice(&decode(payload)?).map_err(|_| BadToken::Shape)?;
    let standard: Standard = Standard::deserialize(&claims).map_err(|_| BadToken::Shape)?;
    check_claims(&standard, expected)?;
    match claims {
        Value::Object(claims) => Ok(claims),
        _ => Err(BadToken::Shape),
    }
}

fn check_claims(claims: &Standard, expected: &Expected<'_>) -> Result<(), BadToken> {
    if claims.iss != expected.issuer {
        return Err(BadToken::Issuer);
    }
    let ours = match &claims.aud {
        Audience::One(audience) => audience == expected.client_id,
        Audience::Many(audiences) => {
            audiences.iter().any(|audience| audience == expected.client_id)
                && (audiences.len() == 1 || claims.azp.is_some())
        }
    };
    if !ours || claims.azp.as_deref().is_some_and(|party| party != expected.client_id) {
        return Err(BadToken::Audience);
    }
    let now = (expected.now.0 / SECOND) as f64;
    let skew = SKEW as f64;
    if claims.exp + skew <= now {
        return Err(BadToken::Expired);
    }
    if claims.iat > now + skew || claims.iat + OLDEST as f64 <= now || claims.nbf.is_some_and(|from| from > now + skew)
    {
        return Err(BadToken::Time);
    }
    let nonce = claims.nonce.as_deref().unwrap_or_default();
    if !bool::from(nonce.as_bytes().ct_eq(expected.nonce.as_bytes())) {
        return Err(BadToken::Nonce);
    }
    // The left half of the hash that the algorithm uses: SHA-256 for RS256 and ES256. For EdDSA it is SHA-512.
    if let Some(hash) = &claims.at_hash
        && !at_hashes(expected.access_token).contains(hash)
    {
        return Err(BadToken::AccessToken);
    }
    if claims.sub.is_empty() || claims.sub.len() > 255 || claims.sub.contains(char::is_control) {
        return Err(BadToken::Subject);
    }
    Ok(())
}

/// What `at_hash` may be: providers disagree on the hash for EdDSA.
fn at_hashes(access_token: &str) -> [String; 2] {
    let short = Sha256::digest(access_token.as_bytes());
    let long = sha2::Sha512::digest(access_token.as_bytes());
    [URL_SAFE_NO_PAD.encode(&short[..16]), URL_SAFE_NO_PAD.encode(&long[..32])]
}

#[cfg(test)]
#[path = "id_token_tests.rs"]
mod tests;
