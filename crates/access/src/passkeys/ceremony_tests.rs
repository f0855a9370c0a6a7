use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::super::cose::tests::p256;
use super::*;

const UP: u8 = 0x01;
const UV: u8 = 0x04;
const AT: u8 = 0x40;

/// An authenticator in a few lines.
struct Authenticator {
    pair: EcdsaKeyPair,
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn party() -> RelyingParty {
    RelyingParty::of("https://t.example").unwrap()
}

fn client_data(kind: &str) -> Value {
    json!({ "type": kind, "challenge": "c-1", "origin": "https://t.example", "crossOrigin": false })
}

fn head(id: &str, flags: u8, counter: u32) -> Vec<u8> {
    let mut data = Sha256::digest(id.as_bytes()).to_vec();
    data.push(flags);
    data.extend(counter.to_be_bytes());
    data
}

impl Authenticator {
    fn new() -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random).unwrap();
        Self { pair }
    }

    fn cose(&self) -> Vec<u8> {
        p256(self.pair.public_key().as_ref())
    }

    fn new_credential(&self, flags: u8) -> Vec<u8> {
        let mut data = head("t.example", flags, 0);
        data.extend([0; 16]);
        data.extend([0, 4]);
        data.extend(b"cred");
        data.extend(self.cose());
        data
    }

    fn registration(&self, client: &Value, data: &[u8]) -> Registration {
        Registration {
            name: "Key".into(),
            id: encode(b"cred"),
            client_data: encode(client.to_string().as_bytes()),
            authenticator_data: encode(data),
            transports: vec![],
        }
    }

    fn assertion(&self, client: &Value, data: &[u8]) -> Assertion {
        let client = client.to_string();
        let mut signed = data.to_vec();
        signed.extend_from_slice(&Sha256::digest(client.as_bytes()));
        let signature = self.pair.sign(&SystemRandom::new(), &signed).unwrap();
        Assertion {
            id: encode(b"cred"),
            client_data: encode(client.as_bytes()),
            authenticator_data: encode(data),
            signature: encode(signature.as_ref()),
            user_handle: String::new(),
            next: String::new(),
        }
    }
}

#[test]
fn the_public_address_says_where_passkeys_work() {
    let of = |url: &str| RelyingParty::of(url).map(|party| (party.id, party.origin));
    let pair = |id: &str, origin: &str| Some((id.to_owned(), origin.to_owned()));
    assert_eq!(of("https://T.example/"), pair("t.example", "https://t.example"));
    assert_eq!(of("https://t.example:8443/x"), pair("t.example", "https://t.example:8443"));
    assert_eq!(of("https://t.example:443"), pair("t.example", "https://t.example"));
    assert_eq!(of("http://localhost:8080"), pair("localhost", "http://localhost:8080"));
    for wrong in ["", "http://t.example", "https://127.0.0.1", "https://[::1]:1", "t.example", "http://localhost.evil"]
    {
        assert_eq!(of(wrong), None, "{wrong}");
    }
}

#[test]
fn a_registration_gives_the_credential() {
    let device = Authenticator::new();
    let answer = device.registration(&client_data("webauthn.create"), &device.new_credential(UP | UV | AT));
    let found = register(&answer, "c-1", &party()).unwrap();
    assert_eq!((found.id.as_slice(), found.cose), (b"cred".as_slice(), device.cose()));
}

#[test]
fn registrations_of_another_kind_are_refused() {
    let device = Authenticator::new();
    let good = device.new_credential(UP | UV | AT);
    let refused =
        |client: &Value, data: &[u8]| register(&device.registration(client, data), "c-1", &party()).unwrap_err();
    let client = |name: &str, value: Value| {
        let mut client = client_data("webauthn.create");
        client[name] = value;
        client
    };
    assert_eq!(refused(&client_data("webauthn.get"), &good), BadCeremony::Kind);
    assert_eq!(refused(&client("challenge", json!("c-2")), &good), BadCeremony::Challenge);
    assert_eq!(refused(&client("origin", json!("https://evil.example")), &good), BadCeremony::Origin);
    assert_eq!(refused(&client("origin", json!("https://t.example:444")), &good), BadCeremony::Origin);
    assert_eq!(refused(&client("crossOrigin", json!(true)), &good), BadCeremony::Origin);
    assert_eq!(refused(&client("topOrigin", json!("https://evil.example")), &good), BadCeremony::Origin);
    let create = client_data("webauthn.create");
    assert_eq!(refused(&create, &device.new_credential(UP | AT)), BadCeremony::NotVerified);
    assert_eq!(refused(&create, &device.new_credential(UV | AT)), BadCeremony::NotVerified);
    assert_eq!(refused(&create, &head("t.example", UP | UV, 0)), BadCeremony::Shape);
    assert_eq!(refused(&create, &head("evil.example", UP | UV, 0)), BadCeremony::Origin);
    assert_eq!(refused(&create, &[good.as_slice(), b"x"].concat()), BadCeremony::Shape, "bytes after the key");
    for end in 0..good.len() {
        assert!(register(&device.registration(&create, &good[..end]), "c-1", &party()).is_err(), "cut at {end}");
    }
    let mut other = device.registration(&create, &good);
    other.id = encode(b"derc");
    assert_eq!(register(&other, "c-1", &party()).unwrap_err(), BadCeremony::Shape, "the id is another one");
}

#[test]
fn a_signature_is_good_once_counted_and_only_as_it_was_made() {
    let device = Authenticator::new();
    let data = head("t.example", UP | UV, 7);
    let answer = device.assertion(&client_data("webauthn.get"), &data);
    let check = |answer: &Assertion, counter| assert(answer, "c-1", &party(), &device.cose(), counter);
    assert_eq!(check(&answer, 6).unwrap(), Asserted { counter: 7, backed_up: false });
    assert_eq!(check(&answer, 7), Err(BadCeremony::Counter));
    assert_eq!(check(&answer, 8), Err(BadCeremony::Counter));
    let still = device.assertion(&client_data("webauthn.get"), &head("t.example", UP | UV, 0));
    assert!(check(&still, 0).is_ok(), "an authenticator that does not count");
    assert_eq!(check(&still, 1), Err(BadCeremony::Counter));
    assert_eq!(
        assert(&answer, "c-1", &party(), &Authenticator::new().cose(), 6),
        Err(BadCeremony::Signature),
        "somebody else's key"
    );
    assert_eq!(assert(&answer, "c-2", &party(), &device.cose(), 6), Err(BadCeremony::Challenge));
    for place in 0..data.len() {
        let mut changed = data.clone();
        changed[place] ^= 2;
        let changed =
            Assertion { authenticator_data: encode(&changed), ..device.assertion(&client_data("webauthn.get"), &data) };
        assert!(check(&changed, 6).is_err(), "byte {place}");
    }
    let mut signature = URL_SAFE_NO_PAD.decode(&answer.signature).unwrap();
    for place in 0..signature.len() {
        signature[place] ^= 1;
        let changed =
            Assertion { signature: encode(&signature), ..device.assertion(&client_data("webauthn.get"), &data) };
        assert!(check(&changed, 6).is_err(), "byte {place} of the signature");
        signature[place] ^= 1;
    }
    let create = device.assertion(&client_data("webauthn.create"), &data);
    assert_eq!(check(&create, 6), Err(BadCeremony::Kind));
}
