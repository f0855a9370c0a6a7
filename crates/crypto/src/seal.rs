//! Small secrets that the store keeps (of second factors, of sign-in providers): AES-256-GCM under a key derived from
//! the keyring. A sealed secret is bound to what it belongs to, so that it cannot be moved to another row.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use signalbox_core::time::Micros;
use zeroize::Zeroizing;

use crate::keyring::{Keyring, KeyringError};
use crate::secret::random;

/// The form of what is written: version, key id (2 bytes), nonce (12 bytes), ciphertext with its tag.
const VERSION: u8 = 1;
const HEAD: usize = 1 + 2 + 12;

/// Seals `secret`; it opens only with the same `context`, for example `totp:usr_…`.
pub fn seal(ring: &Keyring, context: &str, secret: &[u8], now: Micros) -> Result<Vec<u8>, KeyringError> {
    let (id, key) = ring.sealer(now);
    let nonce = random::<12>()?;
    let cipher = Aes256Gcm::new(key.into());
    let payload = Payload { msg: secret, aad: context.as_bytes() };
    let body = cipher.encrypt(&Nonce::from(*nonce), payload).map_err(|_| KeyringError::Random)?;
    let mut sealed = Vec::with_capacity(HEAD + body.len());
    sealed.push(VERSION);
    sealed.extend_from_slice(&id.to_be_bytes());
    sealed.extend_from_slice(nonce.as_slice());
    sealed.extend_from_slice(&body);
    Ok(sealed)
}

/// Opens what [`seal`] made; nothing when it was changed, moved, or sealed with a key that is gone.
pub fn open(ring: &Keyring, context: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (head, body) = sealed.split_at_checked(HEAD)?;
    if head[0] != VERSION {
        return None;
    }
    let key = ring.opener(u16::from_be_bytes([head[1], head[2]]))?;
    let nonce: [u8; 12] = head[3..].try_into().ok()?;
    let payload = Payload { msg: body, aad: context.as_bytes() };
    Aes256Gcm::new(key.into()).decrypt(&Nonce::from(nonce), payload).ok().map(Zeroizing::new)
}

/// `sealed`, or the same `secret` sealed anew where a newer key seals by now.
pub fn renewed(ring: &Keyring, context: &str, secret: &[u8], sealed: Vec<u8>, now: Micros) -> Vec<u8> {
    let current = sealed.get(1..3) == Some(&ring.sealer(now).0.to_be_bytes()[..]);
    // Where it cannot be sealed anew, the old seal goes on opening.
    if current { sealed } else { seal(ring, context, secret, now).unwrap_or(sealed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_opens_for_its_owner_only_and_shows_every_change() {
        let now = Micros(1_780_000_000_000_000);
        let mut ring = Keyring::create(now).unwrap();
        let sealed = seal(&ring, "totp:1", b"secret", now).unwrap();
        assert_eq!(open(&ring, "totp:1", &sealed).unwrap().as_slice(), b"secret");
        assert!(open(&ring, "totp:2", &sealed).is_none());
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(open(&ring, "totp:1", &changed).is_none(), "byte {place}");
            assert!(open(&ring, "totp:1", &sealed[..place]).is_none());
        }
        assert!(open(&Keyring::create(now).unwrap(), "totp:1", &sealed).is_none());
        ring.rotate(now).unwrap();
        assert!(open(&ring, "totp:1", &sealed).is_some(), "a rotated key goes on opening");
        assert_ne!(sealed, seal(&ring, "totp:1", b"secret", now).unwrap());
    }

    #[test]
    fn a_newer_key_seals_anew() {
        let now = Micros(1_780_000_000_000_000);
        let mut ring = Keyring::create(now).unwrap();
        let sealed = seal(&ring, "totp:1", b"secret", now).unwrap();
        assert_eq!(renewed(&ring, "totp:1", b"secret", sealed.clone(), now), sealed);
        ring.rotate(now).unwrap();
        let later = Micros(now.0 + 3_600_000_000);
        let anew = renewed(&ring, "totp:1", b"secret", sealed.clone(), later);
        assert_ne!(anew[1..3], sealed[1..3], "sealed by the new key");
        assert_eq!(open(&ring, "totp:1", &anew).unwrap().as_slice(), b"secret");
    }
}
