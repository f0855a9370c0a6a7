//! The corpus in every place that a page shows, and every such page in a real browser: nothing of it ever runs.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use signalbox_e2e::browser::run_script;
use signalbox_e2e::environment::free_port;
use signalbox_e2e::installation::Installation;
use signalbox_e2e::process::wait_for;
use signalbox_e2e::server::Server;

use crate::corpus::SCRIPTS;
use crate::person::{PASSWORD, Person, body, user};

/// What each text of the corpus is sent as: names, the contact, the user agent, the link, a property.
fn events(prefix: &str, texts: &[&str]) -> String {
    let event = |(number, text): (usize, &&str)| {
        json!([
            {"kind": "clicked", "id": format!("{prefix}c{number}"), "campaign": text, "recipient": text,
             "url": format!("https://example.org/?{text}#{text}"), "user_agent": text, "message": text},
            {"kind": "custom", "id": format!("{prefix}p{number}"), "name": text, "campaign": text, "recipient": text,
             "properties": {*text: text, "in": [text, {"deep": text}]}},
            {"kind": "bounced", "id": format!("{prefix}b{number}"), "campaign": text, "recipient": text, "reason": text,
             "code": "5.1.1"},
        ])
    };
    let all: Vec<Value> =
        texts.iter().enumerate().flat_map(|one| event(one).as_array().cloned().unwrap_or_default()).collect();
    Value::from(all).to_string()
}

/// A public address, which providers need, and a provider on the sign-in page for each of some texts.
fn settings(url: &str) -> String {
    let provider = |(number, text): (usize, &&str)| {
        format!(
            "[[access.oidc]]\nid = \"p{number}\"\nname = {}\nissuer = \"http://127.0.0.1:9/\"\nclient_id = \"c\"\n",
            json!(text)
        )
    };
    let providers: String = SCRIPTS.iter().step_by(6).enumerate().map(provider).collect();
    format!("[server]\npublic_url = \"{url}\"\n{providers}")
}

struct Filled {
    installation: Installation,
    server: Server,
    url: String,
    token: String,
    /// How many names of users, tokens and principals were taken.
    names: usize,
}

fn fill() -> Result<Filled> {
    let installation = Installation::sqlite()?;
    user(&installation, "ada@example.org", "owner", &[])?;
    let port = free_port()?;
    let url = format!("http://localhost:{port}");
    std::fs::write(installation.data.join("signalbox.toml"), settings(&url))?;
    let listen = format!("127.0.0.1:{port}");
    let server = Server::start(&mut installation.command(&["serve", "--listen", &listen, "--limits", "off"]))?;
    let token = installation.token()?;
    let answer = server.post_events(&token, &events("a", &SCRIPTS))?;
    ensure!(answer.status == 200, "{answer:?}");
    let mut ada = Person::signed_in(&server, "ada@example.org")?;
    // Among the sessions, and in the audit log: fewer than a source's free failures.
    for (number, text) in SCRIPTS.iter().enumerate().filter(|(number, _)| number % 2 == 0) {
        let mut stranger = Person::new(&server);
        stranger.headers = vec![("sec-fetch-site".into(), "same-origin".into()), ("user-agent".into(), (*text).into())];
        ensure!(stranger.sign_in("ada@example.org", PASSWORD)?.status == 303);
        if number % 12 == 0 {
            stranger.headers.push(("x-request-id".into(), (*text).into()));
            ensure!(stranger.sign_in(text, "x")?.status == 401);
        }
    }
    let mut names = 0;
    for (number, text) in SCRIPTS.iter().enumerate() {
        let email = format!("u{number}@example.org");
        for (path, wanted) in [
            ("/api/v1/users", json!({"email": email, "name": text, "role": "viewer"})),
            ("/api/v1/principals", json!({"name": text})),
            ("/api/v1/api-tokens", json!({"name": text, "scopes": ["reports:read"]})),
        ] {
            let answer = ada.json("POST", path, &wanted)?;
            ensure!([201, 422].contains(&answer.status), "{text}: {answer:?}");
            names += usize::from(answer.status == 201);
        }
    }
    wait_for(Duration::from_secs(120), "every event in the API", || {
        let found = body(&ada.get("/api/v1/campaigns?limit=100")?)?["items"].as_array().map_or(0, Vec::len);
        ensure!(found == SCRIPTS.len(), "{found} campaigns");
        Ok(())
    })?;
    Ok(Filled { installation, server, url, token, names })
}

#[test]
fn nothing_that_is_sent_ever_runs() -> Result<()> {
    let Filled { installation, server, url, token, names } = fill()?;
    ensure!(names > 100, "only {names} names were taken");
    let corpus = json!(SCRIPTS[..]).to_string();
    // The last ones come in while the overview is open and shows them live.
    let live = events("live", &SCRIPTS[SCRIPTS.len() - 12..]);
    let folder = tempfile::tempdir()?;
    let (corpus_file, live_file) = (folder.path().join("corpus.json"), folder.path().join("live.json"));
    std::fs::write(&corpus_file, corpus)?;
    std::fs::write(&live_file, live)?;
    let path = |file: &std::path::Path| file.to_str().map(str::to_owned).context("the path is not UTF-8");
    let seen = run_script(
        "scripts.mjs",
        &[
            ("SERVER", &url),
            ("EMAIL", "ada@example.org"),
            ("PASSWORD", PASSWORD),
            ("TOKEN", &token),
            ("CORPUS", &path(&corpus_file)?),
            ("LIVE", &path(&live_file)?),
        ],
    )?;
    for what in ["dialogs", "violations", "complaints", "ran", "elsewhere", "planted"] {
        ensure!(seen[what] == json!([]), "{what}: {:#}", seen[what]);
    }
    // The test would notice. A page that does not escape is seen, with the policy and without it.
    let (guarded, bare) = (&seen["controls"][0], &seen["controls"][1]);
    ensure!(guarded["violations"] == true && guarded["planted"] == true && guarded["ran"] == false, "{guarded}");
    ensure!(bare["ran"] == true && bare["dialogs"] == true, "{bare}");
    // And every text was there to be read, as text, on every kind of page.
    let shown = seen["shown"].as_object().context("nothing was shown")?;
    for (kind, least) in [
        ("/", 5),
        ("/campaigns", SCRIPTS.len()),
        ("/campaigns/*", SCRIPTS.len()),
        ("/contacts/*", SCRIPTS.len()),
        ("/events", SCRIPTS.len() / 2),
        ("/events/*", 20),
        ("/search", SCRIPTS.len()),
        ("/users", 40),
        ("/users/*", 15),
        ("/tokens", 40),
        ("/audit", 4),
        ("/audit/*", 5),
        ("/sign-in", SCRIPTS.len() / 6),
        ("live", 6),
    ] {
        let texts = shown.get(kind).and_then(Value::as_u64).unwrap_or_default();
        ensure!(texts >= least as u64, "{kind} shows only {texts} of the texts, not {least}: {shown:?}");
    }
    server.terminate()?;
    drop(installation);
    Ok(())
}
