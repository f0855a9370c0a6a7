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
