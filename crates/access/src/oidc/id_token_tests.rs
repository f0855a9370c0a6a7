use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::json;

use super::*;

const NOW: Micros = Micros(1_780_000_000_000_000);
const SECONDS: i64 = 1_780_000_000;

struct Signer {
    pair: Ed25519KeyPair,
}

impl Signer {
    fn new() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
        Self { pair: Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap() }
    }

    fn keys(&self) -> KeySet {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref());
        let document = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": x }] });
        KeySet::parse(document.to_string().as_bytes()).unwrap()
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn expected() -> Expected<'static> {
    Expected { issuer: "https://id.example", client_id: "signalbox", nonce: "n-1", access_token: "at-1", now: NOW }
}

fn claims() -> Value {
    json!({
        "iss": "https://id.example", "sub": "s-1", "aud": "signalbox", "nonce": "n-1",
        "iat": SECONDS, "exp": SECONDS + 300, "email": "a@example.org",
        "at_hash": URL_SAFE_NO_PAD.encode(&sha2::Sha512::digest(b"at-1")[..32]),
    })
}

fn header() -> Value {
    json!({ "alg": "EdDSA", "kid": "k1", "typ": "JWT" })
}

#[test]
fn a_good_token_gives_its_claims() {
    let signer = Signer::new();
    let found = check(&signer.sign(&header(), &claims()), &signer.keys(), &expected()).unwrap();
    assert_eq!(found["email"], "a@example.org");
}

#[test]
fn every_wrong_claim_is_refused_for_its_reason() {
    let signer = Signer::new();
    let cases: &[(&str, Value, BadToken)] = &[
        ("iss", json!("https://id.example/"), BadToken::Issuer),
        ("iss", json!("https://other.example"), BadToken::Issuer),
        ("aud", json!("other"), BadToken::Audience),
        ("aud", json!(["other", "third"]), BadToken::Audience),
        ("aud", json!(["signalbox", "other"]), BadToken::Audience),
        ("aud", json!([]), BadToken::Audience),
        ("azp", json!("other"), BadToken::Audience),
        ("exp", json!(SECONDS - SKEW), BadToken::Expired),
        ("iat", json!(SECONDS + SKEW + 1), BadToken::Time),
        ("iat", json!(SECONDS - OLDEST), BadToken::Time),
        ("nbf", json!(SECONDS + SKEW + 1), BadToken::Time),
        ("nonce", json!("n-2"), BadToken::Nonce),
        ("nonce", Value::Null, BadToken::Nonce),
        ("at_hash", json!("AAAA"), BadToken::AccessToken),
        ("sub", json!(""), BadToken::Subject),
        ("sub", json!("a\nb"), BadToken::Subject),
        ("sub", json!(7), BadToken::Shape),
        ("exp", json!("soon"), BadToken::Shape),
        ("exp", Value::Null, BadToken::Shape),
    ];
    for (name, value, reason) in cases {
        let mut changed = claims();
        changed[*name] = value.clone();
        let outcome = check(&signer.sign(&header(), &changed), &signer.keys(), &expected());
        assert_eq!(outcome.unwrap_err(), *reason, "{name} = {value}");
    }
}

#[test]
fn several_audiences_need_us_as_the_party() {
    let signer = Signer::new();
    let mut changed = claims();
    changed["aud"] = json!(["signalbox", "api"]);
    changed["azp"] = json!("signalbox");
    assert!(check(&signer.sign(&header(), &changed), &signer.keys(), &expected()).is_ok());
}

#[test]
fn no_other_algorithm_and_no_other_key() {
    let signer = Signer::new();
    let refused = |header: Value| check(&signer.sign(&header, &claims()), &signer.keys(), &expected()).unwrap_err();
    assert_eq!(refused(json!({ "alg": "none" })), BadToken::Algorithm);
    assert_eq!(refused(json!({ "alg": "None", "kid": "k1" })), BadToken::Algorithm);
    assert_eq!(refused(json!({ "alg": "HS256", "kid": "k1" })), BadToken::Algorithm);
    assert_eq!(refused(json!({ "alg": "RS256", "kid": "k1" })), BadToken::UnknownKey);
    assert_eq!(refused(json!({ "alg": "EdDSA", "kid": "k2" })), BadToken::UnknownKey);
    assert_eq!(refused(json!({ "alg": "EdDSA", "kid": "k1", "crit": ["b64"], "b64": false })), BadToken::Shape);
    assert_eq!(
        check(&Signer::new().sign(&header(), &claims()), &signer.keys(), &expected()).unwrap_err(),
        BadToken::Signature
    );
}

#[test]
fn a_changed_token_is_refused() {
    let signer = Signer::new();
    let token = signer.sign(&header(), &claims());
    for place in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(check(&changed, &signer.keys(), &expected()).is_err(), "byte {place}");
    }
    for cut in ["", ".", "..", "a.b", &token[..token.len() - 4], &format!("{token}.x")] {
        assert!(check(cut, &signer.keys(), &expected()).is_err(), "{cut}");
    }
    let (signed, _) = token.rsplit_once('.').unwrap();
    assert!(check(&format!("{signed}."), &signer.keys(), &expected()).is_err());
}
