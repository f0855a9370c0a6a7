//! A passkey without a browser: what an authenticator says when it registers, which nothing signs.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::person::{PASSWORD, Person, body};

/// The public address: passkeys are bound to its name.
pub const SITE: &str = "https://t.example.org";
/// SHA-256 of its name.
const SITE_HASH: [u8; 32] = [
    44, 190, 108, 70, 150, 208, 186, 19, 109, 15, 15, 180, 122, 182, 30, 74, 170, 100, 194, 63, 247, 148, 169, 107,
    213, 55, 249, 91, 82, 161, 180, 228,
];
/// Somebody is there and was verified; a credential follows.
const FLAGS: u8 = 0x45;

/// Registers a passkey for somebody who has signed in; its id.
pub fn add(person: &mut Person) -> Result<String> {
    let begun = person.json("POST", "/profile/passkeys/options", &json!({"current": PASSWORD}))?;
    ensure!(begun.status == 200, "{begun:?}");
    let ticket = begun.header("set-cookie").and_then(|line| line.split(';').next()).context("no cookie")?.to_owned();
    let challenge = body(&begun)?["challenge"].as_str().context("no challenge")?.to_owned();
    let said = json!({"type": "webauthn.create", "challenge": challenge, "origin": SITE, "crossOrigin": false});
    // The challenge is new every time, so the id is too.
    let id = &challenge.as_bytes()[..16];
    // An Ed25519 key (RFC 8037) as CTAP2 writes it.
    let key = [&[0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 32][..], &[9; 32]].concat();
    let data = [&SITE_HASH[..], &[FLAGS], &[0; 4], &[0; 16], &[0, 16], id, &key].concat();
    let answer = json!({
        "name": "A key", "id": URL_SAFE_NO_PAD.encode(id), "transports": [],
        "clientDataJSON": URL_SAFE_NO_PAD.encode(said.to_string()), "authenticatorData": URL_SAFE_NO_PAD.encode(data),
    });
    // A second cookie beside that of the session.
    let headers = [("content-type", "application/json"), ("cookie", ticket.as_str())];
    let added = person.ask("POST", "/profile/passkeys", &headers, answer.to_string().as_bytes())?;
    ensure!(added.status == 201, "{added:?}");
    body(&added)?["id"].as_str().map(str::to_owned).context("no id")
}
