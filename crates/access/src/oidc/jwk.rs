//! The keys of a provider (RFC 7517), and which of them may have signed a token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use signalbox_crypto::signature::PublicKey;

/// A provider with more keys than this has a mistake in its document.
const MOST_KEYS: usize = 64;

/// The algorithms that are accepted, whatever a provider announces. `none` and those with a shared secret are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Entry>,
}

/// A key as it is written. Private members are not read.
#[derive(Deserialize)]
struct Entry {
    kty: String,
    #[serde(rename = "use")]
    used_for: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Debug, Clone)]
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    public: PublicKey,
}

/// The keys of a provider that may sign id tokens. Others are left out when the document is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
}

impl KeySet {
    pub(crate) fn parse(document: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(document).ok()?;
        (document.keys.len() <= MOST_KEYS).then_some(())?;
        Some(Self { keys: document.keys.into_iter().filter_map(read).collect() })
    }

    /// The key that a token with this header names. Without a key id, the only one of that algorithm.
    pub(crate) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&PublicKey> {
        let mut fitting = self.keys.iter().filter(|key| key.algorithm == algorithm);
        match id {
            Some(id) => fitting.find(|key| key.id.as_deref() == Some(id)).map(|key| &key.public),
            None => match (fitting.next(), fitting.next()) {
                (Some(key), None) => Some(&key.public),
                _ => None,
            },
        }
    }
}

fn read(entry: Entry) -> Option<Key> {
    let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
    if entry.used_for.as_deref().is_some_and(|word| word != "sig")
        || entry.key_ops.as_ref().is_some_and(|words| !words.iter().any(|word| word == "verify"))
    {
        return None;
    }
    let (algorithm, public) = match (entry.kty.as_str(), entry.crv.as_deref()) {
        ("RSA", None) => (Algorithm::Rs256, PublicKey::rsa(&bytes(&entry.n)?, &bytes(&entry.e)?)?),
        ("EC", Some("P-256")) => (Algorithm::Es256, PublicKey::p256(&bytes(&entry.x)?, &bytes(&entry.y)?)?),
        ("OKP", Some("Ed25519")) => (Algorithm::EdDsa, PublicKey::ed25519(&bytes(&entry.x)?)?),
        _ => return None,
    };
    if entry.alg.as_deref().is_some_and(|name| Algorithm::from_name(name) != Some(algorithm)) {
        return None;
    }
    Some(Key { id: entry.kid, algorithm, public })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_that_sign_id_tokens_are_kept() {
        let x = URL_SAFE_NO_PAD.encode([7; 32]);
        let document = format!(
            r#"{{"keys":[
                {{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"a","use":"sig","alg":"EdDSA"}},
                {{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"b","use":"enc"}},
                {{"kty":"OKP","crv":"X25519","x":"{x}","kid":"c"}},
                {{"kty":"oct","k":"c2VjcmV0","kid":"d","alg":"HS256"}},
                {{"kty":"EC","crv":"P-256","x":"{x}","y":"{x}","kid":"e","alg":"ES384"}},
                {{"kty":"EC","crv":"P-256","x":"{x}","y":"{x}","kid":"f","key_ops":["sign"]}},
                {{"kty":"EC","crv":"P-256","x":"{x}","y":"{x}","kid":"g"}}]}}"#
        );
        let keys = KeySet::parse(document.as_bytes()).unwrap();
        assert_eq!(keys.keys.len(), 2);
        assert!(keys.find(Some("a"), Algorithm::EdDsa).is_some());
        assert!(keys.find(Some("a"), Algorithm::Rs256).is_none(), "a key works with its own algorithm only");
        assert!(keys.find(Some("b"), Algorithm::EdDsa).is_none());
        assert!(keys.find(None, Algorithm::Es256).is_some());
        assert!(KeySet::parse(b"{}").is_none());
        assert!(KeySet::parse(b"[]").is_none());
    }
}
