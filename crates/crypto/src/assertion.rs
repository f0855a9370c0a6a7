//! Short signed assertions, for example the sign-in cookie: `subject.expiry.key.tag`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use signalbox_core::time::Micros;
use subtle::ConstantTimeEq as _;

use crate::keyring::{Keyring, Purpose, mac_of};

/// Signs `subject` until `expires`.
pub fn sign(ring: &Keyring, subject: i64, expires: Micros, now: Micros) -> String {
    let (key, state) = ring.signer(Purpose::Session, now);
    let body = body(subject, expires, key);
    format!("{}.{}", URL_SAFE_NO_PAD.encode(body), URL_SAFE_NO_PAD.encode(mac_of(state, &[&body])))
}

/// The subject of an assertion that is good at `now`.
pub fn verify(ring: &Keyring, text: &str, now: Micros) -> Option<i64> {
    let (body, tag) = text.split_once('.')?;
    let body: [u8; 18] = URL_SAFE_NO_PAD.decode(body).ok()?.try_into().ok()?;
    let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
    let key = u16::from_be_bytes(body[16..].try_into().ok()?);
    let state = ring.verifier(key, Purpose::Session, now)?;
    if !bool::from(mac_of(state, &[&body]).as_slice().ct_eq(&tag)) {
        return None;
    }
    let expires = i64::from_be_bytes(body[8..16].try_into().ok()?);
    (now.0 < expires).then(|| i64::from_be_bytes(body[..8].try_into().expect("eight bytes")))
}

/// Signs words that another process believes: `body.tag`, where the body begins with the number of the key. When they
/// end is for whoever wrote them to say in them.
pub fn sign_words(ring: &Keyring, words: &[u8], now: Micros) -> String {
    let (key, state) = ring.signer(Purpose::Assertion, now);
    let body = [&key.to_be_bytes(), words].concat();
    format!("{}.{}", URL_SAFE_NO_PAD.encode(&body), URL_SAFE_NO_PAD.encode(mac_of(state, &[&body])))
}

/// The words that [`sign_words`] signed.
pub fn verify_words(ring: &Keyring, text: &str, now: Micros) -> Option<Vec<u8>> {
    let (body, tag) = text.split_once('.')?;
    let mut body = URL_SAFE_NO_PAD.decode(body).ok()?;
    let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
    let key = u16::from_be_bytes(body.get(..2)?.try_into().ok()?);
    let state = ring.verifier(key, Purpose::Assertion, now)?;
    let good = bool::from(mac_of(state, &[&body]).as_slice().ct_eq(&tag));
    good.then(|| body.split_off(2))
}

fn body(subject: i64, expires: Micros, key: u16) -> [u8; 18] {
    let mut body = [0; 18];
    body[..8].copy_from_slice(&subject.to_be_bytes());
    body[8..16].copy_from_slice(&expires.0.to_be_bytes());
    body[16..].copy_from_slice(&key.to_be_bytes());
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assertion_holds_until_it_expires_and_not_when_changed() {
        let now = Micros(1_780_000_000_000_000);
        let ring = Keyring::create(now).unwrap();
        let text = sign(&ring, 42, now.plus(1000), now);
        assert_eq!(verify(&ring, &text, now), Some(42));
        assert_eq!(verify(&ring, &text, now.plus(1000)), None);
        assert_eq!(verify(&ring, &text.replace('.', "A."), now), None);
        assert_eq!(verify(&ring, &text[..text.len() - 1], now), None);
        assert_eq!(verify(&Keyring::create(now).unwrap(), &text, now), None);
        assert_eq!(verify(&ring, "", now), None);
    }

    #[test]
    fn words_are_believed_as_they_were_signed() {
        let now = Micros(1_780_000_000_000_000);
        let mut ring = Keyring::create(now).unwrap();
        let text = sign_words(&ring, b"ann may", now);
        assert_eq!(verify_words(&ring, &text, now).unwrap(), b"ann may");
        ring.rotate(now).unwrap();
        assert_eq!(verify_words(&ring, &text, now.plus(1)).unwrap(), b"ann may");
        let changed = [b'A', b'B'].map(|letter| char::from(letter).to_string() + &text[1..]);
        assert!(
            changed.iter().filter(|changed| **changed != text).all(|text| verify_words(&ring, text, now).is_none())
        );
        for text in ["", ".", "AA", "AAA.", &text[..text.len() - 1]] {
            assert_eq!(verify_words(&ring, text, now), None, "{text}");
        }
        assert_eq!(verify_words(&Keyring::create(now).unwrap(), &text, now), None);
        assert_eq!(verify(&ring, &text, now), None);
    }
}
