//! Guessing passwords, and finding out who has an account.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use signalbox_e2e::client::Answer;
use signalbox_e2e::installation::Installation;
use signalbox_e2e::server::Server;

use crate::person::{PASSWORD, Person, both, user};

const PROXY: (&str, &str) = ("SIGNALBOX_SERVER_TRUSTED_PROXIES", "127.0.0.0/8");

fn behind_proxy(installation: &Installation) -> Result<Server> {
    Server::start(installation.command(&["serve", "--listen", "127.0.0.1:0"]).env(PROXY.0, PROXY.1))
}

fn from(server: &Server, address: &str) -> Person {
    let mut person = Person::new(server);
    person.headers.push(("x-forwarded-for".into(), address.into()));
    person.headers.push(("x-forwarded-proto".into(), "https".into()));
    person
}

fn wait(answer: &Answer) -> Result<u64> {
    ensure!(answer.status == 429, "{answer:?}");
    Ok(answer.header("retry-after").context("no Retry-After")?.parse()?)
}

#[test]
fn guessing_is_slowed_down_for_the_guesser_and_for_nobody_else() -> Result<()> {
    for place in both()? {
        let installation = &place.installation;
        user(installation, "ada@example.org", "viewer", &[])?;
        let server = behind_proxy(installation)?;
        let mut owner = from(&server, "192.0.2.7");
        ensure!(owner.sign_in("ada@example.org", PASSWORD)?.status == 303);
        let mut known = Vec::new();
        let mut unknown = Vec::new();
        for _ in 0..7 {
            known.push(from(&server, "198.51.100.1").sign_in("ada@example.org", "wrong wrong wrong")?.status);
            unknown.push(from(&server, "198.51.100.2").sign_in("bob@example.org", "wrong wrong wrong")?.status);
        }
        ensure!(known == unknown, "{known:?} {unknown:?}");
        ensure!(known[..5] == [401; 5] && known[6] == 429, "{known:?}");
        // The delay doubles; the right password is not even looked at.
        let mut guesser = from(&server, "198.51.100.1");
        let seconds = wait(&guesser.sign_in("ada@example.org", PASSWORD)?)?;
        ensure!(seconds <= 4, "{seconds}");
        // It outlives the process.
        drop(server);
        let server = behind_proxy(installation)?;
        for _ in 0..2 {
            wait_and_fail(&server)?;
        }
        wait(&from(&server, "198.51.100.1").sign_in("ada@example.org", PASSWORD)?)?;
        // Its owner, elsewhere, is not shut out.
        ensure!(from(&server, "192.0.2.7").sign_in("ada@example.org", PASSWORD)?.status == 303, "{}", place.engine);
    }
    Ok(())
}

/// Waits until the guesser may try again, and fails once more.
fn wait_and_fail(server: &Server) -> Result<()> {
    signalbox_e2e::process::wait_for(Duration::from_secs(20), "the end of the delay", || {
        let status = from(server, "198.51.100.1").sign_in("ada@example.org", "wrong wrong wrong")?.status;
        ensure!(status == 401, "still {status}");
        Ok(())
    })
}

#[test]
fn a_forged_address_is_the_same_source() -> Result<()> {
    let installation = Installation::sqlite()?;
    user(&installation, "ada@example.org", "viewer", &[])?;
    let server = installation.serve_with(&[])?;
    let mut statuses = Vec::new();
    for number in 0..8 {
        let mut person = Person::new(&server);
        person.headers.push(("x-forwarded-for".into(), format!("198.51.100.{number}")));
        statuses.push(person.sign_in("ada@example.org", "wrong wrong wrong")?.status);
    }
    ensure!(statuses.contains(&429), "{statuses:?}");
    Ok(())
}

#[test]
fn answers_do_not_tell_who_has_an_account() -> Result<()> {
    let installation = Installation::sqlite()?;
    user(&installation, "known@example.org", "viewer", &[])?;
    user(&installation, "ended@example.org", "viewer", &[])?;
    installation.run(&["user", "disable", "ended@example.org"])?;
    installation.run(&["user", "create", "--email", "asked@example.org", "--role", "viewer"])?;
    let server = installation.serve()?;
    let mut bodies = Vec::new();
    for email in ["known@example.org", "ended@example.org", "asked@example.org", "nobody@example.org", "no address"] {
        let answer = Person::new(&server).sign_in(email, "wrong wrong wrong")?;
        ensure!(answer.status == 401, "{email}: {answer:?}");
        bodies.push(answer.text().replace(email, "X"));
    }
    // Not even with the right password.
    bodies.push(Person::new(&server).sign_in("ended@example.org", PASSWORD)?.text().replace("ended@example.org", "X"));
    ensure!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "the answers differ");
    Ok(())
}

#[test]
fn unknown_accounts_take_as_long_as_known_ones() -> Result<()> {
    let _alone = signalbox_e2e::environment::alone()?;
    let installation = Installation::sqlite()?;
    for number in 0..6 {
        user(&installation, &format!("u{number}@example.org"), "viewer", &[])?;
    }
    let server = behind_proxy(&installation)?;
    let (mut known, mut unknown) = (Duration::MAX, Duration::MAX);
    for round in 0..5 {
        for number in 0..6 {
            for (letter, least) in [("u", &mut known), ("x", &mut unknown)] {
                let mut person = from(&server, &format!("198.51.100.{}", round * 6 + number));
                let start = Instant::now();
                let status = person.sign_in(&format!("{letter}{number}@example.org"), "wrong wrong wrong")?.status;
                ensure!(status == 401, "{status}");
                *least = start.elapsed().min(*least);
            }
        }
    }
    // Without the hash of nobody's password the unknown ones would take a tenth.
    ensure!(unknown > known.mul_f64(0.75) && known > unknown.mul_f64(0.75), "known {known:?}, unknown {unknown:?}");
    Ok(())
}

/// How often the audit log tells of an action.
fn told(installation: &Installation, action: &str) -> Result<usize> {
    let words = ["audit", "list", "--action", action, "--limit", "500", "--output", "json"];
    let list: serde_json::Value = serde_json::from_str(&installation.run(&words)?)?;
    let entries = list.as_array().or(list["items"].as_array()).context("no list")?;
    Ok(entries.iter().filter(|entry| entry["action"] == action).count())
}

#[test]
fn knocking_is_told_but_does_not_fill_the_audit_log() -> Result<()> {
    let installation = Installation::sqlite()?;
    user(&installation, "ada@example.org", "viewer", &[])?;
    let server = installation.serve_with(&["--limits", "off"])?;
    let mut viewer = Person::signed_in(&server, "ada@example.org")?;
    for _ in 0..20 {
        ensure!(viewer.get("/api/v1/users")?.status == 403);
        let forged = [("authorization", "Bearer sbx_forged")];
        ensure!(Person::new(&server).ask("GET", "/api/v1/users", &forged, b"")?.status == 401);
    }
    for action in ["request.forbidden", "request.token_refused"] {
        signalbox_e2e::process::wait_for(Duration::from_secs(20), action, || {
            let times = told(&installation, action)?;
            ensure!(times == 1, "{times} times");
            Ok(())
        })?;
    }
    let mut stranger = Person::new(&server);
    for _ in 0..60 {
        ensure!(stranger.get("/sign-in/oidc/none/callback?code=x")?.status == 404);
    }
    ensure!(told(&installation, "sign_in.refused")? == 0, "a provider that does not exist");
    let junk = serde_json::json!({
        "id": "AAAA", "clientDataJSON": "AAAA", "authenticatorData": "AAAA", "signature": "AAAA", "userHandle": "AAAA", "next": "/"
    });
    let mut statuses = Vec::new();
    for _ in 0..60 {
        statuses.push(stranger.json("POST", "/sign-in/passkey", &junk)?.status);
    }
    ensure!(statuses[0] == 403 && statuses[59] == 429, "{statuses:?}");
    let refused = told(&installation, "sign_in.refused")?;
    ensure!((1..=35).contains(&refused), "{refused} entries");
    ensure!(told(&installation, "sign_in.delayed")? == 1);
    server.terminate()
}
