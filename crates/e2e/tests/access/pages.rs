//! What the pages load, and what a browser is never made to do with them.

use anyhow::{Context, Result, ensure};
use signalbox_e2e::installation::Installation;

use crate::person::{Person, user};

#[test]
fn pages_load_nothing_from_elsewhere_and_hold_nothing_inline() -> Result<()> {
    let installation = Installation::sqlite()?;
    user(&installation, "ada@example.org", "owner", &[])?;
    let server = installation.serve()?;
    let mut ada = Person::signed_in(&server, "ada@example.org")?;
    let mut stranger = Person::new(&server);
    let mut assets = std::collections::BTreeSet::new();
    let own = ["/", "/campaigns", "/events", "/users", "/tokens", "/sessions", "/audit", "/settings", "/about"];
    let pages = own.iter().map(|path| ada.get(path)).chain([stranger.get("/sign-in"), stranger.get("/api/docs")]);
    for page in pages {
        let page = page?;
        let text = page.text();
        ensure!(page.status == 200 && text.starts_with("<!doctype html>"), "{page:?}");
        for tag in text.split('<').skip(1).filter_map(|tag| tag.split('>').next()) {
            let attributes = tag.split_once(char::is_whitespace).map(|(_, rest)| rest).unwrap_or_default();
            for attribute in attributes.split_whitespace().filter_map(|one| one.split_once('=')) {
                let (name, value) = (attribute.0.to_ascii_lowercase(), attribute.1.trim_matches('"'));
                ensure!(!name.starts_with("on") && name != "style", "inline: <{tag}>");
                let loads = name == "src" || (name == "href" && tag.starts_with("link "));
                // A part of the page itself, which the first paint waits for.
                let loads = loads && !value.starts_with('#');
                ensure!(!loads || value.starts_with("/assets/"), "from elsewhere: <{tag}>");
                ensure!(name != "action" || value.starts_with('/') || value.is_empty(), "sent elsewhere: <{tag}>");
                if loads {
                    assets.insert(value.to_owned());
                }
            }
            ensure!(!tag.starts_with("script") || tag.contains("src=") || tag.contains("nonce="), "inline: <{tag}>");
        }
    }
    ensure!(assets.len() > 3, "{assets:?}");
    for asset in assets {
        let answer = stranger.get(&asset)?;
        let kept = answer.header("cache-control").with_context(|| asset.clone())?;
        ensure!(
            answer.status == 200 && kept.contains("immutable") && kept.contains("max-age=31536000"),
            "{asset}: {kept}"
        );
    }
    server.terminate()
}

#[test]
fn another_site_records_nothing_with_the_readers_cookie() -> Result<()> {
    let installation = Installation::sqlite()?;
    user(&installation, "ada@example.org", "owner", &[])?;
    let server = installation.serve()?;
    let mut ada = Person::signed_in(&server, "ada@example.org")?;
    let event = br#"{"kind":"custom","id":"a","name":"x","contact":"c"}"#;
    for site in ["cross-site", "same-site"] {
        ada.headers = vec![("sec-fetch-site".into(), site.into())];
        for kind in ["application/json", "text/plain", "application/x-www-form-urlencoded"] {
            let answer = ada.ask("POST", "/api/v1/events", &[("content-type", kind)], event)?;
            ensure!(answer.status == 403, "{site} {kind}: {answer:?}");
        }
    }
    server.terminate()?;
    ensure!(installation.count()? == 0, "something was recorded");
    Ok(())
}

/// The users of a page, in order.
fn users(page: &str) -> Vec<&str> {
    let cells = page.split("<th scope=\"row\">").skip(1);
    cells.filter_map(|cell| cell.split_once("\">")?.1.split('<').next()).collect()
}

#[test]
fn lists_are_sorted_found_paged_and_downloaded() -> Result<()> {
    let installation = Installation::sqlite()?;
    user(&installation, "ada@example.org", "owner", &[])?;
    let server = installation.serve()?;
    let mut ada = Person::signed_in(&server, "ada@example.org")?;
    for number in 0..120 {
        let email = format!("reader-{number:03}@example.org");
        let wanted =
            serde_json::json!({"email": email, "name": format!("=1+{number}"), "role": "viewer", "principals": "all"});
        ensure!(ada.json("POST", "/api/v1/users", &wanted)?.status == 201);
    }
    let mut seen = Vec::new();
    let mut path = "/users?sort=-email".to_owned();
    loop {
        let page = ada.get(&path)?.text();
        ensure!(page.contains("aria-sort=\"descending\""), "{path}");
        seen.extend(users(&page).into_iter().map(str::to_owned));
        let next = page.split("<a class=\"button\" href=\"").skip(1).find(|rest| rest.contains("rel=\"next\""));
        match next.and_then(|rest| rest.split('"').next()) {
            Some(next) => path = next.replace("&#38;", "&").replace("&amp;", "&"),
            None => break,
        }
    }
    ensure!(seen.len() == 121 && seen[0] == "reader-119@example.org" && seen[120] == "ada@example.org", "{seen:?}");
    let found = ada.get("/users?q=READER-00&sort=email")?.text();
    ensure!(users(&found).len() == 10 && users(&found)[0] == "reader-000@example.org", "{:?}", users(&found));
    ensure!(ada.get("/users?q=nobody+at+all")?.text().contains("No row has these words"));
    let csv = ada.get("/users.csv?q=reader&sort=-email")?;
    ensure!(csv.header("content-type") == Some("text/csv; charset=utf-8"), "{csv:?}");
    let lines: Vec<_> = csv.text().lines().map(str::to_owned).collect();
    ensure!(lines.len() == 121 && lines[0] == "id,email,role,principals,state,signed_in", "{:?}", lines.first());
    ensure!(lines[1].contains("reader-119@example.org =1+119") && !lines[1].contains(",="), "{}", lines[1]);
    for path in ["/tokens", "/sessions"] {
        ensure!(ada.get(&format!("{path}?sort=-state&q=x"))?.status == 200, "{path}");
        ensure!(ada.get(&format!("{path}.csv"))?.text().starts_with("id,"), "{path}");
    }
    // The whole audit log, not a part of it.
    let csv = ada.get("/audit.csv?action=user.created")?.text();
    ensure!(csv.lines().count() == 122, "{} lines", csv.lines().count());
    let tomorrow = ada.get("/audit?from=2999-01-01")?;
    ensure!(tomorrow.status == 200 && tomorrow.text().contains("No entries"), "{tomorrow:?}");
    ensure!(ada.get("/audit?from=yesterday")?.status == 400);
    server.terminate()
}

#[test]
fn styles_and_scripts_travel_compressed() -> Result<()> {
    let installation = Installation::sqlite()?;
    let server = installation.serve()?;
    for (name, most) in [("style.css", 30_000), ("app.js", 10_000), ("early.js", 10_000), ("passkey.js", 10_000)] {
        let path = format!("/assets/{name}");
        let client = || server.client();
        let plain = client()?.get(&path)?;
        let packed = client()?.request("GET", &path, &[("Accept-Encoding", "gzip, br")], b"")?;
        ensure!(
            plain.header("content-encoding").is_none() && plain.header("vary") == Some("accept-encoding"),
            "{name}"
        );
        ensure!(packed.header("content-encoding") == Some("gzip") && packed.body.len() < most, "{name}");
        ensure!(packed.body.len() < plain.body.len(), "{name}");
    }
    let page = server.client()?.request("GET", "/sign-in", &[("Accept-Encoding", "gzip")], b"")?;
    ensure!(page.header("content-encoding").is_none(), "pages hold secrets beside what a reader has sent");
    server.terminate()
}
