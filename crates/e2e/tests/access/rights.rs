//! Who may change whom; that there is always an owner; that requests change nothing that they should not.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use signalbox_e2e::installation::Installation;
use signalbox_e2e::server::Server;

use crate::person::{Person, body, both, user};

#[test]
fn the_last_owner_stays_one() -> Result<()> {
    for place in both()? {
        let installation = &place.installation;
        let ada = user(installation, "ada@example.org", "owner", &[])?;
        let server = installation.serve()?;
        let mut owner = Person::signed_in(&server, "ada@example.org")?;
        let path = format!("/api/v1/users/{ada}");
        for change in [json!({"role": "admin"}), json!({"disabled": true})] {
            ensure!(owner.json("PATCH", &path, &change)?.status == 409, "{change}");
        }
        ensure!(owner.ask("DELETE", &path, &[], b"")?.status == 409);
        ensure!(owner.post(&format!("/users/{ada}/delete"), &[])?.status == 409);
        for words in [
            &["user", "delete", "ada@example.org"][..],
            &["user", "disable", "ada@example.org"],
            &["user", "change", "ada@example.org", "--role", "viewer"],
        ] {
            let error = installation.run(words).err().with_context(|| format!("{words:?} went through"))?;
            ensure!(format!("{error:#}").contains("last owner"), "{error:#}");
        }
        // A disabled owner is none.
        let eve = user(installation, "eve@example.org", "owner", &[])?;
        ensure!(owner.json("PATCH", &format!("/api/v1/users/{eve}"), &json!({"disabled": true}))?.status == 200);
        ensure!(owner.json("PATCH", &path, &json!({"role": "admin"}))?.status == 409);
        ensure!(owner.json("PATCH", &format!("/api/v1/users/{eve}"), &json!({"disabled": false}))?.status == 200);
        ensure!(owner.json("PATCH", &path, &json!({"role": "admin"}))?.status == 200);
    }
    Ok(())
}

#[test]
fn nobody_gives_more_than_they_have() -> Result<()> {
    let installation = Installation::sqlite()?;
    installation.run(&["principal", "create", "one"])?;
    let owner = user(&installation, "ada@example.org", "owner", &[])?;
    let admin = user(&installation, "adm@example.org", "admin", &[])?;
    let server = installation.serve()?;
    let mut adm = Person::signed_in(&server, "adm@example.org")?;
    let made = adm.json("POST", "/api/v1/users", &json!({"email": "x@example.org", "role": "owner"}))?;
    ensure!(made.status == 403, "{made:?}");
    ensure!(adm.json("PATCH", &format!("/api/v1/users/{admin}"), &json!({"role": "owner"}))?.status == 403);
    for (method, path) in [("DELETE", String::new()), ("POST", "/link".into())] {
        let answer = adm.ask(method, &format!("/api/v1/users/{owner}{path}"), &[], b"")?;
        ensure!(answer.status == 403, "{method}{path}: {answer:?}");
    }
    ensure!(adm.post(&format!("/users/{owner}/second-factor-off"), &[])?.status == 403);
    // A token with fewer scopes makes neither users nor tokens that may do more.
    let token = adm.json(
        "POST",
        "/api/v1/api-tokens",
        &json!({"name": "t", "scopes": ["users:write", "tokens:write", "tokens:read"]}),
    )?;
    let mut program = Person::new(&server);
    let secret = body(&token)?["token"].as_str().context("no token")?.to_owned();
    program.headers.push(("authorization".into(), format!("Bearer {secret}")));
    let made = program.json("POST", "/api/v1/users", &json!({"email": "y@example.org", "role": "viewer"}))?;
    ensure!(made.status == 403, "{made:?}");
    ensure!(program.json("POST", "/api/v1/api-tokens", &json!({"name": "u", "scopes": ["audit:read"]}))?.status == 403);
    ensure!(
        program.json("POST", "/api/v1/api-tokens", &json!({"name": "u", "scopes": ["tokens:read"]}))?.status == 201
    );
    // Only its hash is kept.
    let bytes = std::fs::read(installation.data.join("signalbox.db"))?;
    ensure!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    let forged = format!("{}A", &secret[..secret.len() - 1]);
    program.headers.pop();
    program.headers.push(("authorization".into(), format!("Bearer {forged}")));
    ensure!(program.get("/api/v1/me")?.status == 401 || forged == secret);
    Ok(())
}

#[test]
fn extra_fields_change_nothing() -> Result<()> {
    let installation = Installation::sqlite()?;
    user(&installation, "ada@example.org", "owner", &[])?;
    let bob = user(&installation, "bob@example.org", "viewer", &[])?;
    let server = installation.serve()?;
    let mut ada = Person::signed_in(&server, "ada@example.org")?;
    let path = format!("/api/v1/users/{bob}");
    let before = ada.get(&path)?.body;
    for extra in [
        json!({"name": "B", "id": "usr_0000000000000"}),
        json!({"email": "x@example.org"}),
        json!({"password": "x"}),
        json!({"second_factor": true}),
    ] {
        ensure!(ada.json("PATCH", &path, &extra)?.status == 400, "{extra}");
    }
    ensure!(ada.get(&path)?.body == before);
    // Somebody's own forms carry no rights.
    let mut bob = Person::signed_in(&server, "bob@example.org")?;
    bob.post(
        "/profile/security/password",
        &[
            ("current", "x"),
            ("password", "plinth otter rowing nine"),
            ("again", "plinth otter rowing nine"),
            ("role", "owner"),
        ],
    )?;
    ensure!(body(&bob.get("/api/v1/me")?)?["role"] == "viewer");
    Ok(())
}

#[test]
fn every_change_is_in_the_audit_log() -> Result<()> {
    for place in both()? {
        user(&place.installation, "ada@example.org", "owner", &[])?;
        let server = place.installation.serve()?;
        Person::new(&server).sign_in("ada@example.org", "wrong wrong wrong")?;
        let mut ada = Person::signed_in(&server, "ada@example.org")?;
        let made = body(&ada.json("POST", "/api/v1/users", &json!({"email": "v@example.org", "role": "viewer"}))?)?;
        let id = made["user"]["id"].as_str().context("no id")?.to_owned();
        ada.json("PATCH", &format!("/api/v1/users/{id}"), &json!({"role": "analyst"}))?;
        ada.ask("DELETE", &format!("/api/v1/users/{id}"), &[], b"")?;
        let mut stranger = Person::new(&server);
        stranger.headers = vec![("sec-fetch-site".into(), "cross-site".into())];
        ensure!(stranger.post("/sign-in", &[])?.status == 403);
        let wanted = [
            "user.created",
            "sign_in.refused",
            "session.started",
            "user.link_made",
            "user.changed",
            "user.deleted",
            "request.cross_site_refused",
        ];
        signalbox_e2e::process::wait_for(std::time::Duration::from_secs(5), "the entries", || {
            let log = body(&ada.get("/api/v1/audit")?)?;
            let actions: Vec<_> =
                log["items"].as_array().into_iter().flatten().filter_map(|row| row["action"].as_str()).collect();
            let missing: Vec<_> = wanted.iter().filter(|action| !actions.contains(action)).collect();
            ensure!(missing.is_empty(), "{missing:?} not in {actions:?}");
            Ok(())
        })?;
        let changed = body(&ada.get(&format!("/api/v1/audit?object={id}&action=user.changed"))?)?;
        let row = &changed["items"][0];
        ensure!(row["before"]["role"] == "viewer" && row["after"]["role"] == "analyst", "{row}");
        ensure!(row["address"] == "127.0.0.1" && row["actor_name"] == "ada@example.org", "{row}");
        ensure!(ada.get("/audit")?.text().contains("user.deleted"));
        ensure!(ada.get("/audit.csv?action=user")?.text().contains("user.deleted"));
    }
    Ok(())
}

#[test]
fn who_only_looks_changes_nothing() -> Result<()> {
    let installation = Installation::sqlite()?;
    user(&installation, "ada@example.org", "owner", &[])?;
    let mut command = installation.command(&["serve", "--listen", "127.0.0.1:0"]);
    let server = Server::start(command.env("SIGNALBOX_ACCESS_READ_ONLY", "true"))?;
    let mut ada = Person::signed_in(&server, "ada@example.org")?;
    for page in ["/", "/users", "/tokens", "/sessions", "/audit", "/settings", "/api/v1/users", "/api/v1/me"] {
        ensure!(ada.get(page)?.status == 200, "{page}");
    }
    ensure!(!ada.get("/users")?.text().contains("Add a user"));
    let wanted = json!({"email": "bob@example.org", "role": "viewer", "principals": "all"});
    ensure!(ada.json("POST", "/api/v1/users", &wanted)?.status == 403);
    let event = json!({"kind": "custom", "name": "x", "id": "a"});
    ensure!(ada.json("POST", "/api/v1/events", &event)?.status == 403);
    for page in ["/users/new", "/tokens/new"] {
        ensure!(ada.get(page)?.status == 403, "{page}");
    }
    server.terminate()
}
