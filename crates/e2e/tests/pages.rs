//! The pages in a real browser: nothing for axe-core to find, nothing that moves or overflows, everything by keyboard
//! alone, and everything without a script.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use signalbox_e2e::browser::run_script;
use signalbox_e2e::demo::Demo;
use signalbox_e2e::installation::Installation;
use signalbox_e2e::process::wait_for;

const SCRIPT_BYTES: u64 = 10_000;
const STYLE_BYTES: u64 = 30_000;
const ROLES: [&str; 7] = ["owner", "admin", "operator", "marketer", "analyst", "viewer", "auditor"];

fn look(server: &str, link: &str, looks: &str) -> Result<Value> {
    let seen = run_script("pages.mjs", &[("SERVER", server), ("LINK", link), ("LOOKS", looks)])?;
    for what in ["violations", "sideways", "shifts", "complaints"] {
        ensure!(seen[what] == json!([]), "{what}: {:#}", seen[what]);
    }
    Ok(seen)
}

fn lists(seen: &Value, place: &str) -> bool {
    seen["pages"].as_array().is_some_and(|pages| pages.iter().any(|page| page == place))
}

#[test]
fn every_page_of_the_demo_is_accessible_and_holds_still() -> Result<()> {
    let demo = Demo::start()?;
    let seen = look(&demo.server, &demo.link, "4")?;
    for place in
        ["/", "/campaigns", "/events", "/users", "/tokens", "/sessions", "/audit", "/settings", "/about", "/profile"]
    {
        ensure!(lists(&seen, place), "{place} is missing: {}", seen["pages"]);
    }
    let sizes = seen["sizes"].as_object().context("no sizes")?;
    let sum = |end: &str| -> u64 {
        sizes.iter().filter(|(name, _)| name.ends_with(end)).filter_map(|(_, size)| size.as_u64()).sum()
    };
    ensure!((1..SCRIPT_BYTES).contains(&sum(".js")), "{sizes:?}");
    ensure!((1..STYLE_BYTES).contains(&sum(".css")), "{sizes:?}");
    demo.stop()
}

/// Events of every kind, so that every page has something to show.
fn events() -> String {
    let kinds =
        ["sent", "delivered", "opened", "clicked", "bounced", "complained", "unsubscribed", "replied", "custom"];
    let one = |number: usize, kind: &str| {
        let campaign = ["Spring letter", "Autumn letter", "Notice"][number % 3];
        let mut event = json!({
            "kind": kind, "id": format!("{kind}-{number}"), "campaign": campaign, "message": format!("m-{number}"),
            "recipient": format!("contact{}@example.org", number % 5),
        });
        let more = match kind {
            "opened" => json!({"user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}),
            "clicked" => json!({"url": "https://example.org/spring", "user_agent": "curl/8.0"}),
            "bounced" => json!({"reason": "no such mailbox", "code": "5.1.1"}),
            "custom" => json!({"name": "visited", "properties": {"page": "/prices", "seconds": 12}}),
            _ => json!({}),
        };
        for (name, value) in more.as_object().into_iter().flatten() {
            event[name] = value.clone();
        }
        event
    };
    let all: Vec<Value> = (0..12).flat_map(|number| kinds.map(|kind| one(number, kind))).collect();
    Value::from(all).to_string()
}

/// An installation with people of every role, principals, tokens and events.
fn lived_in() -> Result<Installation> {
    let installation = Installation::sqlite()?;
    for name in ["North", "South"] {
        installation.run(&["principal", "create", name])?;
    }
    let list = |role| ["user", "create", "--email", &format!("{role}@example.org"), "--role", role].map(str::to_owned);
    for role in ROLES {
        let words = list(role);
        installation.run(&words.each_ref().map(String::as_str))?;
    }
    let token = ["api-token", "create", "--scope", "events:read", "--principal", "North", "--name"];
    for name in ["nightly", "ended"] {
        installation.run(&[&token[..], &[name]].concat())?;
    }
    let made: Value = serde_json::from_str(&installation.run(&["api-token", "list", "--output", "json"])?)?;
    let ended = made.as_array().into_iter().flatten().find(|one| one["name"] == "ended").context("no token")?;
    installation.run(&["api-token", "revoke", ended["id"].as_str().context("no id")?])?;
    Ok(installation)
}

fn as_role(role: &str) -> Result<()> {
    let installation = lived_in()?;
    let made = installation.run(&["user", "reset", &format!("{role}@example.org")])?;
    let (_, secret) = made.trim().split_once("/set-up").with_context(|| made.clone())?;
    let token = installation.token()?;
    let server = installation.serve()?;
    let answer = server.post_events(&token, &events())?;
    ensure!(answer.status == 200, "{answer:?}");
    wait_for(Duration::from_secs(60), "the events in the report", || {
        let headers = [("Authorization", format!("Bearer {token}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let answer = server.client()?.request("GET", "/api/v1/campaigns", &headers, b"")?;
        let page: Value = serde_json::from_slice(&answer.body)?;
        ensure!(page["items"].as_array().is_some_and(|items| items.len() == 3), "{page}");
        Ok(())
    })?;
    let seen = look(&format!("http://{}", server.address), &format!("/set-up{}", secret.trim()), "2")?;
    for (place, roles) in [
        ("/settings", &["owner", "admin", "operator", "auditor"][..]),
        ("/events", &["owner", "admin", "operator", "marketer", "analyst"]),
        ("/campaigns", &["owner", "admin", "operator", "marketer", "analyst", "viewer"]),
        ("/audit", &["owner", "admin", "auditor"]),
        ("/users", &["owner", "admin", "auditor"]),
        ("/users/new", &["owner", "admin"]),
        ("/tokens/new", &["owner", "admin"]),
    ] {
        ensure!(lists(&seen, place) == roles.contains(&role), "{role}, {place}: {}", seen["pages"]);
    }
    let shows = |start: &str| {
        let pages = seen["pages"].as_array().into_iter().flatten().filter_map(Value::as_str);
        pages.into_iter().any(|page| page.strip_prefix(start).is_some_and(|rest| !rest.is_empty() && rest != "new"))
    };
    for (start, place) in
        [("/campaigns/", "/campaigns"), ("/events/", "/events"), ("/users/", "/users"), ("/audit/", "/audit")]
    {
        ensure!(shows(start) == lists(&seen, place), "{role}: nothing below {start}: {}", seen["pages"]);
    }
    server.terminate()
}

/// One test per role, so that they share the cores.
mod every_role_sees_accessible_pages_and_only_its_own {
    macro_rules! roles {
        ($($role:ident)*) => {
            $(#[test]
            fn $role() -> anyhow::Result<()> {
                super::as_role(stringify!($role))
            })*
        };
    }
    roles! { owner admin operator marketer analyst viewer auditor }
}

#[test]
fn the_keyboard_alone_reaches_everything() -> Result<()> {
    let demo = Demo::start()?;
    let seen = run_script("keyboard.mjs", &[("SERVER", &demo.server), ("LINK", &demo.link)])?;
    ensure!(seen["skip"] == "Skip to content" && seen["skippedTo"] == "main", "{seen}");
    ensure!(seen["help"] == true && seen["helpClosed"] == true, "{seen}");
    let tip = seen["chart"].as_str().unwrap_or_default();
    ensure!(tip.contains("Human") && tip.contains("Privacy proxy") && tip.contains("Machine"), "{seen}");
    ensure!(seen["chartTable"] == true, "{seen}");
    ensure!(seen["campaign"] == seen["row"], "the row leads to another campaign: {seen}");
    ensure!(seen["classes"] == json!(["Machine"]), "{seen}");
    ensure!(seen["verdict"] == "Machine", "{seen}");
    ensure!(seen["found"].as_u64().is_some_and(|count| count > 0), "{seen}");
    ensure!(seen["theme"] == "dark", "the choice of colours is forgotten: {seen}");
    ensure!(seen["stays"] == "/search", "shortcuts that were turned off still act: {seen}");
    ensure!(seen["signedOut"] == "/sign-in", "{seen}");
    demo.stop()
}

#[test]
fn everything_works_without_a_script() -> Result<()> {
    let demo = Demo::start()?;
    let seen = run_script("plain.mjs", &[("SERVER", &demo.server), ("LINK", &demo.link)])?;
    ensure!(seen["times"].as_str().is_some_and(|text| text.ends_with("UTC")), "{seen}");
    ensure!(seen["campaigns"].as_u64().is_some_and(|count| count > 0), "{seen}");
    let names: Vec<String> = serde_json::from_value(seen["names"].clone())?;
    ensure!(names.is_sorted() && !names.is_empty(), "{seen}");
    ensure!(seen["classes"] == json!(["Privacy proxy"]), "{seen}");
    ensure!(seen["secondPage"].as_u64().is_some_and(|count| count > 0), "{seen}");
    ensure!(seen["signedOut"] == "/sign-in", "{seen}");
    demo.stop()
}
