//! What people and programs send, and what it is taken for: never a statement, never a line of the log, never a file.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use signalbox_e2e::installation::Installation;
use signalbox_e2e::process::wait_for;
use signalbox_e2e::server::Server;

use crate::corpus::{PATHS, SQL};
use crate::person::{Person, body, both, encode, user};

const NAMES: [&str; 4] = ["Plain", "100% wool", "a_b", "back\\slash"];

/// Records an event for each name, and waits until it can be read.
fn record(installation: &Installation, server: &Server, reader: &mut Person) -> Result<()> {
    let events: Vec<_> = NAMES
        .iter()
        .map(|name| json!({"kind": "sent", "id": name, "campaign": name, "recipient": format!("{name}@example.org")}))
        .collect();
    let answer = server.post_events(&installation.token()?, &Value::from(events).to_string())?;
    ensure!(answer.status == 200, "{answer:?}");
    wait_for(Duration::from_secs(60), "the events", || {
        ensure!(count(reader, "/api/v1/events")? == NAMES.len());
        Ok(())
    })
}

fn count(reader: &mut Person, path: &str) -> Result<usize> {
    let page = body(&reader.get(path)?)?;
    page["items"].as_array().map(Vec::len).with_context(|| format!("{path}: {page}"))
}

/// Every parameter by which rows are chosen; an API that is asked for nonsense gives no row or says so.
const FILTERS: [&str; 28] = [
    "/api/v1/audit?action=",
    "/api/v1/audit?actor=",
    "/api/v1/audit?object=",
    "/api/v1/audit?correlation=",
    "/api/v1/audit?from=",
    "/api/v1/audit?to=",
    "/api/v1/audit?cursor=",
    "/api/v1/audit?limit=",
    "/api/v1/events?campaign=",
    "/api/v1/events?recipient=",
    "/api/v1/events?message=",
    "/api/v1/events?kind=",
    "/api/v1/events?class=",
    "/api/v1/events?from=",
    "/api/v1/events?cursor=",
    "/api/v1/campaigns?from=",
    "/api/v1/campaigns?cursor=",
    "/api/v1/overview?bucket=",
    "/audit?action=",
    "/audit?actor=",
    "/audit?object=",
    "/audit?before=",
    "/audit.csv?action=",
    "/events?campaign=",
    "/events?contact=",
    "/events?cursor=",
    "/campaigns?sort=",
    "/campaigns?cursor=",
];

#[test]
fn filters_are_never_statements() -> Result<()> {
    for place in both()? {
        let installation = &place.installation;
        user(installation, "ada@example.org", "owner", &[])?;
        let server = installation.serve()?;
        let mut ada = Person::signed_in(&server, "ada@example.org")?;
        record(installation, &server, &mut ada)?;
        for text in SQL {
            for filter in FILTERS {
                let path = format!("{filter}{}", encode(text));
                let answer = ada.get(&path)?;
                let what = || format!("{}: {text} at {path}: {answer:?}", place.engine);
                ensure!([200, 303, 400, 404, 422].contains(&answer.status), "{}", what());
                ensure!(!answer.text().contains("$argon2"), "a password's hash: {}", what());
                if filter.starts_with("/api/v1/audit?") && answer.status == 200 {
                    ensure!(body(&answer)?["items"] == json!([]), "it found something: {}", what());
                }
                if filter.starts_with("/api/v1/events?") && answer.status == 200 {
                    ensure!(body(&answer)?["items"] == json!([]), "it found something: {}", what());
                }
            }
            for path in ["/api/v1/users/", "/users/", "/api/v1/sessions/", "/contacts/", "/campaigns/", "/events/"] {
                let answer = ada.get(&format!("{path}{}", encode(text)))?;
                ensure!([404, 405].contains(&answer.status), "{}: {path}{text}: {answer:?}", place.engine);
            }
            // Searching finds what holds the letters, and nothing else; % and _ stand for themselves.
            for path in ["/search?q=", "/campaigns?q="] {
                let page = ada.get(&format!("{path}{}", encode(text)))?;
                ensure!(page.status == 200, "{path}{text}: {page:?}");
                for name in NAMES {
                    let found = page.text().contains(&format!(">{name}</a>"));
                    ensure!(found == name.contains(text), "{}: {path}{text} finds {name}: {found}", place.engine);
                }
            }
        }
        for text in SQL {
            let mut stranger = Person::new(&server);
            // Guesses are slowed down soon.
            let answer = stranger.sign_in(text, text)?;
            ensure!([401, 429].contains(&answer.status) && stranger.cookie.is_none(), "{text} signs in: {answer:?}");
            stranger.headers.push(("authorization".into(), format!("Bearer {}", encode(text))));
            ensure!(stranger.get("/api/v1/me")?.status == 401, "{text} is a token");
        }
        ensure!(count(&mut ada, "/api/v1/events")? == NAMES.len(), "{}: events are gone", place.engine);
        ensure!(count(&mut ada, "/api/v1/users")? == 1, "{}: users are gone", place.engine);
        server.terminate()?;
    }
    Ok(())
}

#[test]
fn addresses_never_leave_the_assets() -> Result<()> {
    let installation = Installation::sqlite()?;
    user(&installation, "ada@example.org", "owner", &[])?;
    let server = installation.serve()?;
    let mut ada = Person::signed_in(&server, "ada@example.org")?;
    let mut stranger = Person::new(&server);
    for path in PATHS {
        for person in [&mut ada, &mut stranger] {
            let answer = person.get(path)?;
            ensure!([400, 404].contains(&answer.status), "{path}: {answer:?}");
            for content in ["root:", "[package]", "[server]", "SQLite format"] {
                ensure!(!answer.text().contains(content), "{path} gives {content}");
            }
        }
    }
    ensure!(stranger.get("/assets/style.css")?.status == 200, "what is there is given");
    server.terminate()
}

#[test]
fn nothing_writes_lines_of_its_own_into_log_or_head() -> Result<()> {
    let installation = Installation::sqlite()?;
    user(&installation, "ada@example.org", "owner", &[])?;
    let server = installation.serve()?;
    let mut ada = Person::signed_in(&server, "ada@example.org")?;
    let token = installation.token()?;
    let forged = "{\"timestamp\":\"2026-01-01T00:00:00Z\",\"level\":\"ERROR\",\"message\":\"forged\"}";
    let breaks = ["\r\n", "\n", "\r", "\u{85}", "\u{2028}", "\u{2029}", "\u{b}", "\u{c}", "\0", "\u{1b}[2K\r"];
    for line_break in breaks {
        let text = format!("x{line_break}{forged}{line_break}Set-Cookie: planted=1");
        let code = encode(&text);
        let mut stranger = Person::new(&server);
        let mut answers = vec![
            stranger.sign_in(&text, &text)?,
            stranger.sign_in(&format!("a{text}@example.org"), "x")?,
            stranger.post("/sign-in", &[("email", "ada@example.org"), ("password", "x"), ("next", &text)])?,
            stranger.post("/set-up", &[("k", &text), ("email", &text)])?,
            ada.json("POST", "/api/v1/users", &json!({"email": "n@example.org", "name": text, "role": "viewer"}))?,
            ada.json("POST", "/api/v1/principals", &json!({"name": text}))?,
            ada.json("POST", "/api/v1/api-tokens", &json!({"name": text, "scopes": ["reports:read"]}))?,
        ];
        for path in [
            "/",
            "/assets/",
            "/sign-in?next=/",
            "/sign-in/oidc/",
            "/o/",
            "/c/",
            "/users/",
            "/audit?action=",
            "/search?q=",
        ] {
            answers.push(stranger.get(&format!("{path}{code}"))?);
            answers.push(ada.get(&format!("{path}{code}"))?);
        }
        let event = json!({"kind": "custom", "name": text, "campaign": text, "recipient": text, "user_agent": text,
            "properties": {"p": text}});
        answers.push(server.post_events(&token, &event.to_string())?);
        for answer in answers {
            ensure!(answer.status < 500, "{text:?}: {answer:?}");
            let planted = answer.headers.iter().any(|(_, value)| value.starts_with("planted=") || value.contains('\n'));
            ensure!(!planted, "{text:?} is a header: {answer:?}");
        }
    }
    // Names that break lines are refused or kept without the break; none is in a list as a line of its own.
    let tokens = body(&ada.get("/api/v1/api-tokens")?)?;
    ensure!(!tokens.to_string().contains("\\n{"), "{tokens}");
    let said = server.said()?;
    server.terminate()?;
    let lines: Vec<&str> =
        said.split_inclusive('\n').filter(|line| !line.starts_with("WARNING: limits are off")).collect();
    ensure!(lines.len() > 5, "{said}");
    for line in lines {
        let read: Value = serde_json::from_str(line.trim_end_matches('\n'))
            .with_context(|| format!("not a line of the log: {line:?}"))?;
        ensure!(read["target"].is_string() && read["message"] != "forged", "{line}");
        ensure!(
            !line.trim_end_matches('\n').chars().any(|letter| letter.is_control()),
            "a control character: {line:?}"
        );
    }
    Ok(())
}
