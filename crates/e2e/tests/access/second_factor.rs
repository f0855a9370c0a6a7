//! The authenticator app: enrolment, codes that work once, recovery codes, roles that must have it.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use hmac::digest::KeyInit as _;
use hmac::{Hmac, Mac as _};
use signalbox_e2e::client::Answer;
use signalbox_e2e::installation::Installation;
use signalbox_e2e::server::Server;

use crate::person::{PASSWORD, Person, between, both, user};

/// The code of a secret, `ahead` steps from now.
fn code(secret: &str, ahead: u64) -> Result<String> {
    let mut key = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for letter in secret.bytes().filter(|letter| *letter != b' ') {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|one| *one == letter).context("base 32")?;
        bits = (bits << 5) | u32::try_from(value)?;
        count += 5;
        if count >= 8 {
            count -= 8;
            key.push(u8::try_from(bits >> count)?);
            bits &= (1 << count) - 1;
        }
    }
    let step = now()? / 30 + ahead;
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(&key)?;
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let offset = usize::from(hash[19] & 15);
    let number = u32::from_be_bytes([hash[offset] & 0x7f, hash[offset + 1], hash[offset + 2], hash[offset + 3]]);
    Ok(format!("{:06}", number % 1_000_000))
}

#[expect(clippy::disallowed_methods, reason = "a telephone has a clock of its own")]
fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// Begins in a step that does not end soon, so that "the next code" means the same to both sides.
fn early_in_a_step() -> Result<()> {
    signalbox_e2e::process::wait_for(std::time::Duration::from_secs(20), "the next step", || {
        ensure!(now()? % 30 < 18);
        Ok(())
    })
}

/// Sets up an app; its secret, and the recovery codes.
fn enrol(person: &mut Person) -> Result<(String, Vec<String>)> {
    let begun = person.post("/profile/security/app", &[("current", PASSWORD)])?;
    ensure!(begun.status == 200 && begun.text().contains("<svg"), "{begun:?}");
    let secret = between(&begun.text(), "data-copy>", "<")?.to_owned();
    ensure!(person.post("/profile/security/app/confirm", &[("code", "000000")])?.status == 422);
    let before = person.cookie.clone();
    let done = person.post("/profile/security/app/confirm", &[("code", &code(&secret, 0)?)])?;
    ensure!(done.status == 200, "{done:?}");
    ensure!(person.cookie != before, "the session was not rotated");
    let text = done.text();
    let codes: Vec<_> =
        text.split("<li><code>").skip(1).filter_map(|part| part.split('<').next()).map(str::to_owned).collect();
    ensure!(codes.len() == 10, "{codes:?}");
    Ok((secret, codes))
}

fn second(person: &mut Person, code: &str) -> Result<Answer> {
    person.post("/sign-in/second-factor", &[("code", code)])
}

#[test]
fn a_code_works_once_and_so_does_a_recovery_code() -> Result<()> {
    for place in both()? {
        user(&place.installation, "ada@example.org", "owner", &[])?;
        let server = place.installation.serve()?;
        let mut ada = Person::signed_in(&server, "ada@example.org")?;
        early_in_a_step()?;
        let (secret, codes) = enrol(&mut ada)?;

        let mut other = Person::new(&server);
        let answer = other.sign_in("ada@example.org", PASSWORD)?;
        ensure!(answer.header("location") == Some("/sign-in/second-factor"), "{answer:?}");
        ensure!(other.get("/users")?.status == 303, "a password alone opens nothing");
        ensure!(other.get("/api/v1/me")?.status == 401);
        let used = second(&mut other, &code(&secret, 0)?)?;
        ensure!(used.status == 401, "{}: the code of the enrolment was used: {used:?}", place.engine);
        let pending = other.cookie.clone();
        ensure!(second(&mut other, &code(&secret, 1)?)?.status == 303);
        ensure!(other.cookie != pending, "the session was not rotated");
        ensure!(other.get("/users")?.status == 200);

        let mut third = Person::new(&server);
        third.sign_in("ada@example.org", PASSWORD)?;
        ensure!(second(&mut third, &code(&secret, 1)?)?.status == 401, "{}: a code worked twice", place.engine);
        ensure!(second(&mut third, &codes[3].to_uppercase())?.status == 303);
        let mut fourth = Person::new(&server);
        fourth.sign_in("ada@example.org", PASSWORD)?;
        ensure!(second(&mut fourth, &codes[3])?.status == 401, "{}: a recovery code worked twice", place.engine);
        let database = place.installation.data.join("signalbox.db");
        if database.exists() {
            let bytes = std::fs::read(database)?;
            let plain = secret.replace(' ', "");
            ensure!(!bytes.windows(plain.len()).any(|window| window == plain.as_bytes()), "the secret is stored");
        }
    }
    Ok(())
}

#[test]
fn guessing_codes_is_slowed_down() -> Result<()> {
    let installation = Installation::sqlite()?;
    user(&installation, "ada@example.org", "viewer", &[])?;
    let server = installation.serve()?;
    enrol(&mut Person::signed_in(&server, "ada@example.org")?)?;
    let mut guesser = Person::new(&server);
    guesser.sign_in("ada@example.org", PASSWORD)?;
    let mut statuses = Vec::new();
    for number in 0..8 {
        statuses.push(second(&mut guesser, &format!("00000{number}"))?.status);
    }
    ensure!(statuses[0] == 401 && statuses.contains(&429), "{statuses:?}");
    Ok(())
}

#[test]
fn a_role_that_needs_a_second_factor_opens_nothing_without() -> Result<()> {
    let installation = Installation::sqlite()?;
    user(&installation, "ada@example.org", "owner", &[])?;
    user(&installation, "v@example.org", "viewer", &[])?;
    let mut command = installation.command(&["serve", "--listen", "127.0.0.1:0", "--limits", "off"]);
    let server = Server::start(command.env("SIGNALBOX_ACCESS_REQUIRE_SECOND_FACTOR", "owner,admin"))?;
    let mut ada = Person::signed_in(&server, "ada@example.org")?;
    let answer = ada.get("/users")?;
    ensure!(answer.header("location") == Some("/profile/security"), "{answer:?}");
    ensure!(ada.get("/api/v1/users")?.status == 403);
    ensure!(ada.get("/profile/security")?.text().contains("needs a second factor"));
    enrol(&mut ada)?;
    ensure!(ada.get("/users")?.status == 200);
    let off = ada.post("/profile/security/app/off", &[("current", PASSWORD)])?;
    ensure!(off.status == 403, "{off:?}");
    ensure!(Person::signed_in(&server, "v@example.org")?.get("/")?.status == 200);
    Ok(())
}
