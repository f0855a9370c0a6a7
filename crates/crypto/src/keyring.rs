//! The keyring: 256-bit keys with a time from which each signs and a time until which it verifies.
//! What is used is never the key itself but one derived from it per purpose (HKDF-SHA-256, RFC 5869).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use hmac::digest::KeyInit as _;
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use signalbox_core::time::{DAY, Micros, SECOND};
use zeroize::Zeroizing;

/// How long a key goes on verifying after its successor took over: links in mails stay good for this long.
pub const VERIFY_FOR: i64 = 400 * DAY;
/// How long a new key waits before it signs, so that every running process has read it by then.
pub const SIGN_DELAY: i64 = 5 * SECOND;

pub(crate) type MacState = Hmac<Sha256>;

/// What a derived key is for. A token made for one purpose never verifies for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    OpenLink,
    ClickLink,
    Session,
    /// What says to another process who is signed in.
    Assertion,
}

const PURPOSES: usize = 4;

impl Purpose {
    const ALL: [Purpose; PURPOSES] = [Purpose::OpenLink, Purpose::ClickLink, Purpose::Session, Purpose::Assertion];

    fn info(self) -> &'static [u8] {
        match self {
            Purpose::OpenLink => b"signalbox/1/link/open",
            Purpose::ClickLink => b"signalbox/1/link/click",
            Purpose::Session => b"signalbox/1/session",
            Purpose::Assertion => b"signalbox/1/assertion",
        }
    }
}

/// A key as the key file holds it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKey {
    id: u16,
    secret: String,
    created_at: Micros,
    sign_from: Micros,
    verify_until: Option<Micros>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredRing {
    format: u32,
    keys: Vec<StoredKey>,
}

struct Key {
    id: u16,
    secret: Zeroizing<[u8; 32]>,
    created_at: Micros,
    sign_from: Micros,
    verify_until: Option<Micros>,
    /// HMAC states keyed per purpose, ready to be cloned: saves two compressions per check.
    macs: [MacState; PURPOSES],
    /// Encrypts small secrets that the store keeps.
    seal: Zeroizing<[u8; 32]>,
}

/// What may be shown of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    pub id: u16,
    pub created_at: Micros,
    pub sign_from: Micros,
    pub verify_until: Option<Micros>,
    /// `signing`, `waiting` (takes over soon), `verifying` (old links stay good) or `retired`.
    pub state: &'static str,
}

/// All keys of an installation, oldest first. Never empty.
pub struct Keyring {
    keys: Vec<Key>,
}

/// The keyring cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    #[error("the key file is not readable as a keyring: {0}")]
    Unreadable(String),
    #[error("no key has the id {0}; `signalbox key list` shows them")]
    NoSuchKey(u16),
    #[error("key {0} is the one that signs; rotate first")]
    StillSigning(u16),
    #[error("the system's random source failed")]
    Random,
}

impl Key {
    fn new(
        id: u16,
        secret: Zeroizing<[u8; 32]>,
        created_at: Micros,
        sign_from: Micros,
        verify_until: Option<Micros>,
    ) -> Self {
        let derive = Hkdf::<Sha256>::new(None, secret.as_slice());
        let macs = Purpose::ALL.map(|purpose| {
            let mut derived = Zeroizing::new([0; 32]);
            derive.expand(purpose.info(), derived.as_mut_slice()).expect("32 bytes is a valid HKDF length");
            MacState::new_from_slice(derived.as_slice()).expect("HMAC takes keys of any length")
        });
        let mut seal = Zeroizing::new([0; 32]);
        derive.expand(b"signalbox/1/seal", seal.as_mut_slice()).expect("32 bytes is a valid HKDF length");
        Self { id, secret, created_at, sign_from, verify_until, macs, seal }
    }

    fn random(id: u16, now: Micros, sign_from: Micros) -> Result<Self, KeyringError> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut_slice()).map_err(|_| KeyringError::Random)?;
        Ok(Self::new(id, secret, now, sign_from, None))
    }
}

impl Keyring {
    /// A ring with one fresh key that signs at once.
    pub fn create(now: Micros) -> Result<Self, KeyringError> {
        Ok(Self { keys: vec![Key::random(1, now, now)?] })
    }

    /// Reads what [`Keyring::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Self, KeyringError> {
        let stored: StoredRing =
            serde_json::from_str(text).map_err(|error| KeyringError::Unreadable(error.to_string()))?;
        if stored.format != 1 {
            return Err(KeyringError::Unreadable(format!("format {} is not known to this version", stored.format)));
        }
        let mut keys = Vec::with_capacity(stored.keys.len());
        for key in stored.keys {
            let bytes = Zeroizing::new(STANDARD.decode(&key.secret).unwrap_or_default());
            let secret = <[u8; 32]>::try_from(bytes.as_slice())
                .map_err(|_| KeyringError::Unreadable(format!("key {} is not 256 bits of base 64", key.id)))?;
            keys.push(Key::new(key.id, Zeroizing::new(secret), key.created_at, key.sign_from, key.verify_until));
        }
        if keys.is_empty() {
            return Err(KeyringError::Unreadable("it holds no key".into()));
        }
        if keys.windows(2).any(|pair| pair[0].id >= pair[1].id) {
            return Err(KeyringError::Unreadable("key ids must rise".into()));
        }
        Ok(Self { keys })
    }

    /// The key file's text. It holds the secrets: write it with mode 0600.
    pub fn to_json(&self) -> Zeroizing<String> {
        let keys = self.keys.iter().map(|key| StoredKey {
            id: key.id,
            secret: STANDARD.encode(key.secret.as_slice()),
            created_at: key.created_at,
            sign_from: key.sign_from,
            verify_until: key.verify_until,
        });
        let ring = StoredRing { format: 1, keys: keys.collect() };
        Zeroizing::new(serde_json::to_string_pretty(&ring).expect("a keyring is plain data"))
    }

    /// Adds a key that takes over after [`SIGN_DELAY`]; the others verify for [`VERIFY_FOR`] longer. Returns its id.
    pub fn rotate(&mut self, now: Micros) -> Result<u16, KeyringError> {
        let id = self.keys.last().map_or(1, |key| key.id + 1);
        let key = Key::random(id, now, now.plus(SIGN_DELAY))?;
        for old in &mut self.keys {
            old.verify_until.get_or_insert(now.plus(VERIFY_FOR));
        }
        self.keys.push(key);
        Ok(id)
    }

    /// Ends a key at once: every link signed with it stops working. Never the one that signs.
    pub fn retire(&mut self, id: u16, now: Micros) -> Result<(), KeyringError> {
        if self.signing(now).id == id {
            return Err(KeyringError::StillSigning(id));
        }
        let key = self.keys.iter_mut().find(|key| key.id == id).ok_or(KeyringError::NoSuchKey(id))?;
        key.verify_until = Some(now);
        Ok(())
    }

    /// What may be shown of every key, oldest first.
    pub fn list(&self, now: Micros) -> Vec<KeyInfo> {
        let signing = self.signing(now).id;
        self.keys
            .iter()
            .map(|key| KeyInfo {
                id: key.id,
                created_at: key.created_at,
                sign_from: key.sign_from,
                verify_until: key.verify_until,
                state: match key {
                    key if key.id == signing => "signing",
                    key if key.verify_until.is_some_and(|until| until <= now) => "retired",
                    key if key.sign_from > now => "waiting",
                    _ => "verifying",
                },
            })
            .collect()
    }

    fn signing(&self, now: Micros) -> &Key {
        self.keys.iter().rev().find(|key| key.sign_from <= now).unwrap_or(&self.keys[0])
    }

    /// The id of the key that signs at `now`, and its keyed state for `purpose`.
    pub(crate) fn signer(&self, purpose: Purpose, now: Micros) -> (u16, MacState) {
        let key = self.signing(now);
        (key.id, key.macs[purpose as usize].clone())
    }

    /// The id of the key that seals at `now`, and what it seals with.
    pub(crate) fn sealer(&self, now: Micros) -> (u16, &[u8; 32]) {
        let key = self.signing(now);
        (key.id, &key.seal)
    }

    /// What opens the seals of key `id`. A key whose links have ended goes on opening: what it sealed is still needed.
    pub(crate) fn opener(&self, id: u16) -> Option<&[u8; 32]> {
        self.keys.iter().find(|key| key.id == id).map(|key| &*key.seal)
    }

    /// The keyed state with which a token of key `id` is checked, if that key still verifies.
    pub(crate) fn verifier(&self, id: u16, purpose: Purpose, now: Micros) -> Option<MacState> {
        let key = self.keys.iter().rev().find(|key| key.id == id)?;
        let live = key.verify_until.is_none_or(|until| now < until);
        live.then(|| key.macs[purpose as usize].clone())
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Keyring({} keys)", self.keys.len())
    }
}

/// HMAC-SHA-256 of `parts` with a keyed state.
pub(crate) fn mac_of(state: MacState, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = state;
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = Micros(1_780_000_000_000_000);

    #[test]
    fn a_ring_reads_back_and_old_keys_go_on_verifying() {
        let mut ring = Keyring::create(NOW).unwrap();
        assert_eq!(ring.rotate(NOW).unwrap(), 2);
        let ring = Keyring::from_json(&ring.to_json()).unwrap();
        assert_eq!(ring.signer(Purpose::OpenLink, NOW).0, 1, "the new key waits until every process knows it");
        assert_eq!(ring.signer(Purpose::OpenLink, NOW.plus(SIGN_DELAY)).0, 2);
        assert!(ring.verifier(1, Purpose::OpenLink, NOW.plus(VERIFY_FOR - 1)).is_some());
        assert!(ring.verifier(1, Purpose::OpenLink, NOW.plus(VERIFY_FOR)).is_none());
        assert!(ring.verifier(9, Purpose::OpenLink, NOW).is_none());
    }

    #[test]
    fn a_retired_key_ends_at_once_and_the_signing_key_cannot_be_retired() {
        let mut ring = Keyring::create(NOW).unwrap();
        assert!(matches!(ring.retire(1, NOW), Err(KeyringError::StillSigning(1))));
        ring.rotate(NOW).unwrap();
        let later = NOW.plus(SIGN_DELAY);
        ring.retire(1, later).unwrap();
        assert!(ring.verifier(1, Purpose::ClickLink, later).is_none());
        assert_eq!(ring.list(later).iter().map(|key| key.state).collect::<Vec<_>>(), ["retired", "signing"]);
        assert!(matches!(ring.retire(7, later), Err(KeyringError::NoSuchKey(7))));
    }

    #[test]
    fn a_damaged_file_is_refused() {
        for text in [
            "",
            "{}",
            r#"{"format":2,"keys":[]}"#,
            r#"{"format":1,"keys":[]}"#,
            r#"{"format":1,"keys":[{"id":1,"secret":"AAAA","created_at":"2026-01-01T00:00:00Z","sign_from":"2026-01-01T00:00:00Z","verify_until":null}]}"#,
        ] {
            assert!(Keyring::from_json(text).is_err(), "{text}");
        }
        assert!(!format!("{:?}", Keyring::create(NOW).unwrap()).contains("secret"));
    }
}
