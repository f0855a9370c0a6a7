//! The pages in a real browser: nothing for axe-core to find, nothing that moves or overflows, everything by keyboard
//! alone, and everything without a script.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use signalbox_e2e::browser::run_script;
use signalbox_e2e::demo::Demo;
use signalbox_e2e::installation::Installation;

const SCRIPT_BYTES: u64 = 10_000;
const STYLE_BYTES: u64 = 30_000;
const ROLES: [&str; 7] = ["owner", "admin", "operator", "marketer", "analyst", "viewer", "auditor"];

fn look(server: &str, link: &str, depth: &str) -> Result<Value> {
    let seen = run_script("pages.mjs", &[("SERVER", server), ("LINK", link), ("DEPTH", depth)])?;
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
    let seen = look(&demo.server, &demo.link, "1")?;
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

#[test]
fn every_role_sees_accessible_pages_and_only_its_own() -> Result<()> {
    let installation = Installation::sqlite()?;
    let mut ways = Vec::new();
    for role in ROLES {
        let email = format!("{role}@example.org");
        let made = installation.run(&["user", "create", "--email", &email, "--role", role])?;
        let (_, secret) = made.trim().split_once("/set-up").with_context(|| made.clone())?;
        ways.push((role, format!("/set-up{secret}")));
    }
    let server = installation.serve()?;
    let address = format!("http://{}", server.address);
    for (role, link) in ways {
        let seen = look(&address, &link, "0").with_context(|| role.to_owned())?;
        ensure!(
            lists(&seen, "/settings") == ["owner", "admin", "operator", "auditor"].contains(&role),
            "{role}: {seen}"
        );
        ensure!(lists(&seen, "/events") != ["viewer", "auditor"].contains(&role), "{role}: {seen}");
        ensure!(lists(&seen, "/audit") == ["owner", "admin", "auditor"].contains(&role), "{role}: {seen}");
    }
    server.terminate()
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
