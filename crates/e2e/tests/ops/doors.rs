//! Who comes in, who may do what, and what another site can cause: nothing.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use signalbox_e2e::control::{Askers, ControlHouse};
use signalbox_e2e::process::wait_for;

use super::{Person, SERVICE, held, sign_in, token};

/// Waits until the release that runs is held.
pub fn holding(house: &ControlHouse) -> Result<()> {
    wait_for(Duration::from_secs(120), "a hold", || {
        let status = house.run(&["status", "--output", "json"])?;
        let told: Value = serde_json::from_str(&status.out)?;
        ensure!(told["state"] == "holding", "{told}");
        Ok(())
    })
}

#[test]
fn strangers_are_sent_to_sign_in_and_wrong_tokens_wait() -> Result<()> {
    let house = ControlHouse::new(SERVICE)?;
    let control = house.control(&[])?;
    for (path, place) in [
        ("/ops", "/ops/sign-in?next=/ops"),
        ("/ops/releases?days=7", "/ops/sign-in?next=/ops/releases%3Fdays%3D7"),
        ("/ops/releases/x/live", "/ops/sign-in?next=/ops/releases/x/live"),
    ] {
        let answer = control.get(path)?;
        ensure!(answer.status == 303 && answer.header("location") == Some(place), "{answer:?}");
        // The edge leads there too; nobody else is here who could sign people in.
        let answer = house.server.get(path)?;
        ensure!(answer.status == 303 && answer.header("location") == Some(place), "{answer:?}");
    }
    let answer = control.client()?.request("POST", "/ops/lock", &[], b"")?;
    ensure!(answer.status == 303, "{answer:?}");
    ensure!(house.overview()?["locked"].is_null(), "a stranger locked it");
    for _ in 0..6 {
        let answer = sign_in(&control, "ann", "0123456789abcdef")?;
        ensure!(answer.status == 403 && answer.header("set-cookie").is_none(), "{answer:?}");
    }
    // Whoever guesses waits, also with the right one.
    let answer = sign_in(&control, "ann", &token(&house)?)?;
    ensure!(answer.status == 429 && answer.header("retry-after").is_some(), "{answer:?}");
    wait_for(Duration::from_secs(30), "the wait", || Person::with_token(&house, &control, "ann").map(drop))
}

#[test]
fn a_cookie_that_is_not_ours_opens_nothing() -> Result<()> {
    let house = ControlHouse::new(SERVICE)?;
    let control = house.control(&[])?;
    let ann = Person::with_token(&house, &control, "ann")?;
    ensure!(ann.get(&control, "/ops/releases")?.status == 200);
    let (name, value) = ann.cookie.split_once('=').context("a cookie")?;
    let (body, tag) = value.split_once('.').context("two parts")?;
    let changed = [format!("{body}A.{tag}"), format!("{tag}.{body}"), body.to_owned(), String::new(), "a.b".into()];
    for value in changed {
        let other = Person { cookie: format!("{name}={value}") };
        let answer = other.get(&control, "/ops/releases")?;
        ensure!(answer.status == 303, "{value}: {answer:?}");
        let answer = other.get(&control, "/api/v1/releases")?;
        ensure!(answer.status == 401, "{value}: {answer:?}");
    }
    let out = ann.post(&control, "/ops/sign-out", "")?;
    ensure!(out.header("set-cookie").is_some_and(|cookie| cookie.contains("Max-Age=0")), "{out:?}");
    // A new token ends what the old one began.
    control.terminate()?;
    std::fs::remove_file(house.edge.data.join("control/token"))?;
    let control = house.control(&[])?;
    ensure!(ann.get(&control, "/ops/releases")?.status == 303, "the session outlived its token");
    Ok(())
}

#[test]
fn another_site_causes_nothing() -> Result<()> {
    let house = ControlHouse::new(SERVICE)?;
    let control = house.control(&[])?;
    let ann = Person::with_token(&house, &control, "ann")?;
    for site in ["cross-site", "same-site"] {
        let answer = ann.post_from(&control, "/ops/lock", "reason=x", site)?;
        ensure!(answer.status == 403, "{answer:?}");
        let headers = [("Cookie", ann.cookie.as_str()), ("Content-Type", "application/json"), ("Sec-Fetch-Site", site)];
        let answer = control.client()?.request("PUT", "/api/v1/releases/lock", &headers, b"{}")?;
        ensure!(answer.status == 403, "{answer:?}");
    }
    let headers = [("Cookie", ann.cookie.as_str()), ("Origin", "https://example.org")];
    ensure!(control.client()?.request("POST", "/ops/lock", &headers, b"reason=x")?.status == 403);
    ensure!(control.client()?.request("POST", "/ops/lock", &headers[..1], b"reason=x")?.status == 403);
    ensure!(house.overview()?["locked"].is_null(), "another site locked it");
    // The same from a page of ours.
    let answer = ann.post(&control, "/ops/lock", "reason=<script>alert(1)</script>")?;
    ensure!(answer.status == 303, "{answer:?}");
    ensure!(house.overview()?["locked"]["by"] == "ann");
    let page = ann.get(&control, "/ops/releases")?.text();
    ensure!(page.contains("&#60;script&#62;alert(1)") && !page.contains("<script>alert"), "{page}");
    Ok(())
}

#[test]
fn whoever_began_a_release_does_not_answer_for_it() -> Result<()> {
    let house = ControlHouse::new(SERVICE)?;
    let control = house.control(&[])?;
    house.write(&held("1s"))?;
    house.promote("1.0.0")?;
    house.only("1.0.0")?;
    let askers = Askers::start(house.server.address, 4);
    house.write(&held("120s"))?;
    let begun = house.run(&["deploy", "2.0.0"])?;
    ensure!(begun.code == 0, "{begun:?}");
    holding(&house)?;
    let by = house.newest()?["by"].as_str().context("who")?.to_owned();
    let own = Person::with_token(&house, &control, &by.replace(' ', "+"))?;
    let page = own.get(&control, "/ops/releases/2.0.0")?.text();
    ensure!(!page.contains("promote-go") && page.contains("rollback-go"), "{page}");
    let answer = own.post(&control, "/ops/releases/2.0.0/promote", "reason=hurry")?;
    ensure!(answer.status == 409 && answer.text().contains("somebody else"), "{answer:?}");
    let ann = Person::with_token(&house, &control, "ann")?;
    let page = ann.get(&control, "/ops/releases/2.0.0")?.text();
    ensure!(page.contains("promote-go"), "{page}");
    let answer = ann.post(&control, "/ops/releases/2.0.0/promote", "reason=")?;
    ensure!(answer.status == 409 && answer.text().contains("Say why"), "{answer:?}");
    let answer = ann.post(&control, "/ops/releases/2.0.0/promote", "reason=looked+at+it&all=1")?;
    ensure!(answer.status == 303, "{answer:?}");
    let ended = house.settled()?;
    ensure!(ended["state"] == "promoted", "{ended}");
    let skipped =
        house.journal()?.into_iter().find(|record| record["event"] == "skipped").context("nothing skipped")?;
    ensure!(skipped["approver"] == "ann" && skipped["reason"] == "looked at it", "{skipped}");
    askers.stop()?;
    // Back again by the page of all releases, as a release of its own.
    let page = ann.get(&control, "/ops/releases")?.text();
    ensure!(page.contains("Go back to 1.0.0"), "{page}");
    let answer = ann.post(&control, "/ops/rollback", "to=1.0.0")?;
    ensure!(answer.status == 303, "{answer:?}");
    house.settled()?;
    house.only("1.0.0")?;
    for path in ["/ops/releases/current", "/ops/releases/current/readiness", "/ops/releases/1.0.0/readiness"] {
        let answer = ann.get(&control, path)?;
        ensure!(answer.status == 200, "{answer:?}");
    }
    for kind in ["readiness", "plan", "authorization", "summary"] {
        let answer = ann.get(&control, &format!("/ops/releases/2.0.0/report?kind={kind}"))?;
        let policy = answer.header("content-security-policy").unwrap_or_default();
        ensure!(answer.status == 200 && policy.contains("sha256-") && !policy.contains("unsafe"), "{answer:?}");
    }
    ensure!(ann.get(&control, "/ops/releases/9.9.9")?.status == 404);
    Ok(())
}
