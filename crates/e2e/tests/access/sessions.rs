//! Sessions: how they begin, what the cookie is, how they end.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use signalbox_e2e::installation::Installation;

use crate::person::{COOKIE, PASSWORD, Person, body, both, user};

/// What is ended takes effect within a second; the rest is the machine's.
const AT_ONCE: Duration = Duration::from_millis(1500);

#[test]
fn a_session_is_new_at_sign_in_and_dead_after_sign_out() -> Result<()> {
    for place in both()? {
        user(&place.installation, "ada@example.org", "owner", &[])?;
        let server = place.installation.serve()?;
        let mut ada = Person::new(&server);
        // A cookie that somebody planted is not taken over.
        let planted = "A".repeat(43);
        ada.cookie = Some(planted.clone());
        let answer = ada.sign_in("ada@example.org", PASSWORD)?;
        let cookie = answer.header("set-cookie").context("no cookie")?.to_owned();
        for part in [&format!("{COOKIE}="), "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"] {
            ensure!(cookie.contains(part), "{cookie} lacks {part}");
        }
        ensure!(!cookie.contains("Domain"));
        let first = ada.cookie.clone().context("no cookie")?;
        ensure!(first != planted);
        // Another sign-in in the same browser ends the one before.
        ada.sign_in("ada@example.org", PASSWORD)?;
        let second = ada.cookie.clone();
        ada.cookie = Some(first);
        ensure!(ada.get("/api/v1/me")?.status == 401, "the session before goes on");
        ada.cookie = second.clone();
        ensure!(ada.get("/api/v1/me")?.status == 200);
        ensure!(ada.post("/sign-out", &[])?.status == 303 && ada.cookie.is_none());
        ada.cookie = second;
        ensure!(ada.get("/api/v1/me")?.status == 401, "{}: it lives after sign-out", place.engine);
    }
    Ok(())
}

#[test]
fn a_new_password_ends_the_other_sessions_and_changes_this_one() -> Result<()> {
    let installation = Installation::sqlite()?;
    user(&installation, "ada@example.org", "owner", &[])?;
    let server = installation.serve()?;
    let (mut ada, mut other) =
        (Person::signed_in(&server, "ada@example.org")?, Person::signed_in(&server, "ada@example.org")?);
    let before = ada.cookie.clone();
    let new = "plinth otter rowing nine";
    let mut change = |current: &str, new: &str, again: &str| {
        ada.post("/profile/security/password", &[("current", current), ("password", new), ("again", again)])
    };
    ensure!(change("wrong wrong wrong", new, new)?.status == 422);
    ensure!(change(PASSWORD, "ada@example.org1", "ada@example.org1")?.status == 422, "easily guessed");
    ensure!(change(PASSWORD, new, "another one entirely")?.status == 422);
    ensure!(change(PASSWORD, new, new)?.status == 303);
    ensure!(ada.get("/api/v1/me")?.status == 200 && ada.cookie != before);
    ensure!(other.get("/api/v1/me")?.status == 401);
    ada.cookie = before;
    ensure!(ada.get("/api/v1/me")?.status == 401, "the cookie from before goes on");
    ensure!(Person::new(&server).sign_in("ada@example.org", PASSWORD)?.status == 401);
    ensure!(Person::new(&server).sign_in("ada@example.org", new)?.status == 303);
    Ok(())
}

#[test]
fn people_see_their_sessions_and_end_them() -> Result<()> {
    let installation = Installation::sqlite()?;
    user(&installation, "ada@example.org", "owner", &[])?;
    user(&installation, "bob@example.org", "viewer", &[])?;
    let server = installation.serve()?;
    let mut bob = Person::signed_in(&server, "bob@example.org")?;
    let mut ada = Person::signed_in(&server, "ada@example.org")?;
    let mut other = Person::signed_in(&server, "ada@example.org")?;
    let mine = body(&ada.get("/api/v1/me/sessions")?)?;
    ensure!(mine["items"].as_array().map(Vec::len) == Some(2), "{mine}");
    let this = body(&ada.get("/api/v1/me")?)?["session"].as_str().context("no session")?.to_owned();
    ensure!(ada.get("/profile/security")?.text().contains("Firefox on Linux (this one)"));
    // Nobody ends the session of somebody else this way.
    ensure!(bob.ask("DELETE", &format!("/api/v1/me/sessions/{this}"), &[], b"")?.status == 404);
    ensure!(body(&ada.ask("DELETE", "/api/v1/me/sessions", &[], b"")?)?["ended"] == 1);
    ensure!(other.get("/api/v1/me")?.status == 401 && ada.get("/api/v1/me")?.status == 200);
    // From the command line it takes a second.
    installation.run(&["session", "revoke", &this])?;
    ada.until("/api/v1/me", 401, AT_ONCE)
}

#[test]
fn what_is_taken_away_is_gone_within_a_second() -> Result<()> {
    for place in both()? {
        let installation = &place.installation;
        user(installation, "ada@example.org", "owner", &[])?;
        for name in ["disabled", "deleted", "changed", "maker"] {
            user(installation, &format!("{name}@example.org"), "admin", &[])?;
        }
        let server = installation.serve()?;
        let person = |name: &str| Person::signed_in(&server, &format!("{name}@example.org"));
        let (mut disabled, mut deleted, mut changed, mut maker) =
            (person("disabled")?, person("deleted")?, person("changed")?, person("maker")?);
        let wanted = json!({"name": "t", "scopes": ["users:read", "reports:read"]});
        let token = body(&maker.json("POST", "/api/v1/api-tokens", &wanted)?)?;
        let mut program = Person::new(&server);
        program.headers.push(("authorization".into(), format!("Bearer {}", token["token"].as_str().context("token")?)));
        for one in [&mut disabled, &mut deleted, &mut changed, &mut program] {
            ensure!(one.get("/api/v1/users")?.status == 200);
        }
        installation.run(&["user", "disable", "disabled@example.org"])?;
        disabled.until("/api/v1/users", 401, AT_ONCE)?;
        installation.run(&["user", "delete", "deleted@example.org"])?;
        deleted.until("/api/v1/users", 401, AT_ONCE)?;
        installation.run(&["user", "change", "changed@example.org", "--role", "viewer"])?;
        changed.until("/api/v1/users", 403, AT_ONCE)?;
        // A token never opens more than its maker may.
        installation.run(&["user", "change", "maker@example.org", "--role", "viewer"])?;
        program.until("/api/v1/users", 403, AT_ONCE)?;
        installation.run(&["user", "disable", "maker@example.org"])?;
        program.until("/api/v1/overview", 401, AT_ONCE)?;
    }
    Ok(())
}

#[test]
fn a_cookie_is_not_given_over_an_open_line() -> Result<()> {
    let installation = Installation::sqlite()?;
    user(&installation, "ada@example.org", "owner", &[])?;
    let mut command = installation.command(&["serve", "--listen", "127.0.0.1:0"]);
    let server = signalbox_e2e::server::Server::start(command.env("SIGNALBOX_SERVER_TRUSTED_PROXIES", "127.0.0.0/8"))?;
    let mut ada = Person::new(&server);
    ada.headers.push(("x-forwarded-for".into(), "192.0.2.1".into()));
    let refused = ada.sign_in("ada@example.org", PASSWORD)?;
    ensure!(refused.status == 403 && refused.text().contains("TLS") && ada.cookie.is_none(), "{refused:?}");
    ada.headers.push(("x-forwarded-proto".into(), "https".into()));
    ensure!(ada.sign_in("ada@example.org", PASSWORD)?.status == 303);
    ensure!(ada.get("/api/v1/me")?.status == 200);
    ada.headers.pop();
    ensure!(ada.get("/api/v1/me")?.status == 401, "a cookie that went over an open line counts");
    Ok(())
}
