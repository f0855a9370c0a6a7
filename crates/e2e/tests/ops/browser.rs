//! In a real browser: nothing for axe-core to find, nothing sideways, nothing that moves, live within a second, by
//! keyboard alone and without a script; and people of an installation, by their permissions.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use signalbox_e2e::browser::run_script;
use signalbox_e2e::control::{Askers, ControlHouse};
use signalbox_e2e::installation::Installation;

use super::doors::holding;
use super::{Person, SERVICE, held, token};

/// A service with something of everything: promoted, rolled back, and one that is held.
fn lived_in() -> Result<(ControlHouse, signalbox_e2e::server::Server, Askers)> {
    let house = ControlHouse::new(SERVICE)?;
    let control = house.control(&[])?;
    house.write(&held("1s"))?;
    house.promote("1.0.0")?;
    house.only("1.0.0")?;
    let askers = Askers::start(house.server.address, 4);
    house.fault("2.0.0", "errors 30")?;
    let ended = house.deploy("2.0.0")?;
    ensure!(ended.code != 0, "{ended:?}");
    house.write(&held("300s"))?;
    let begun = house.run(&["deploy", "3.0.0"])?;
    ensure!(begun.code == 0, "{begun:?}");
    holding(&house)?;
    Ok((house, control, askers))
}

#[test]
fn an_empty_house_says_what_to_do() -> Result<()> {
    let house = ControlHouse::new(SERVICE)?;
    let control = house.control(&[])?;
    let seen = look(&format!("http://{}", control.address), &token(&house)?, &["/ops/releases"])?;
    ensure!(seen["texts"][0].as_str().is_some_and(|text| text.contains("signalbox release init")), "{seen}");
    Ok(())
}

fn look(server: &str, token: &str, places: &[&str]) -> Result<Value> {
    let places = json!(places).to_string();
    let seen = run_script("ops.mjs", &[("SERVER", server), ("TOKEN", token), ("PLACES", &places)])?;
    for what in ["violations", "sideways", "shifts", "complaints"] {
        ensure!(seen[what] == json!([]), "{what}: {:#}", seen[what]);
    }
    Ok(seen)
}

#[test]
fn every_page_is_accessible_holds_still_and_is_live() -> Result<()> {
    let (house, _control, askers) = lived_in()?;
    let server = format!("http://{}", house.server.address);
    let places = [
        "/ops/releases",
        "/ops/releases?days=90",
        "/ops/releases/current",
        "/ops/releases/current?journal=steps",
        "/ops/releases/2.0.0",
        "/ops/releases/1.0.0",
        "/ops/releases/current/readiness",
        "/ops/releases/nothing",
    ];
    let seen = look(&server, &token(&house)?, &places)?;
    println!("{:#}", seen["times"]);
    askers.stop()?;
    Ok(())
}

#[test]
fn what_happens_is_shown_within_a_second_and_done_by_keyboard_or_without_a_script() -> Result<()> {
    let (house, _control, askers) = lived_in()?;
    let server = format!("http://{}", house.server.address);
    let seen = run_script("ops_live.mjs", &[("SERVER", &server), ("TOKEN", &token(&house)?)])?;
    println!("{seen:#}");
    // The quickest of several: other programs may be at work on this machine.
    let quickest = seen["delays"].as_array().into_iter().flatten().filter_map(Value::as_f64).fold(f64::MAX, f64::min);
    ensure!(quickest < 1000.0, "{seen}");
    ensure!(seen["typed"] == "half a reason" && seen["focused"] == "rollback-reason", "{seen}");
    ensure!(seen["shifted"].as_f64().is_some_and(|sum| sum < 0.02), "{seen}");
    ensure!(seen["dialogs"] == json!([]) && seen["complaints"] == json!([]), "{seen}");
    ensure!(seen["hostile"] == true, "what was typed became markup: {seen}");
    ensure!(seen["plain"] == "Paused", "without a script: {seen}");
    ensure!(seen["signedOut"] == "/ops/sign-in", "{seen}");
    let journal = house.journal()?;
    let by = |event: &str| journal.iter().filter(|record| record["event"] == event).count();
    ensure!(by("paused") >= 2 && by("resumed") >= 2, "{journal:?}");
    askers.stop()?;
    let ended = house.settled()?;
    ensure!(ended["state"] == "rolled_back", "{ended}");
    Ok(())
}

#[test]
fn people_of_an_installation_see_what_their_role_allows() -> Result<()> {
    let house = ControlHouse::new(SERVICE)?;
    let installation = Installation::at(house.edge.data.clone())?;
    let main = installation.serve()?;
    for role in ["operator", "auditor", "viewer"] {
        installation.run(&["user", "create", "--email", &format!("{role}@example.org"), "--role", role])?;
    }
    let control = house.control(&[])?;
    house.write(&held("1s"))?;
    house.promote("1.0.0")?;
    house.only("1.0.0")?;
    let askers = Askers::start(house.server.address, 4);
    house.write(&held("300s"))?;
    house.run(&["deploy", "2.0.0"])?;
    holding(&house)?;
    // Through the edge people are sent to where they sign in.
    let answer = house.server.get("/ops/releases?days=7")?;
    let place = answer.header("location").unwrap_or_default();
    ensure!(answer.status == 303 && place == "/session/assertion?next=/ops/releases%3Fdays%3D7", "{answer:?}");
    let answer = main.get(place)?;
    let place = answer.header("location").unwrap_or_default();
    ensure!(answer.status == 303 && place.starts_with("/sign-in?next=/session/assertion%3Fnext"), "{answer:?}");
    // A cookie that nobody signed is not fetched again and again.
    let strange = Person { cookie: "__Host-signalbox-ops=AAAA.AAAA".into() };
    let answer = strange.get(&house.server, "/ops/releases")?;
    ensure!(answer.header("location").is_some_and(|place| place.starts_with("/ops/sign-in")), "{answer:?}");
    let cookie_of = |role: &str| -> Result<Person> {
        let made = installation.run(&["user", "reset", &format!("{role}@example.org")])?;
        let (_, secret) = made.trim().split_once("/set-up").with_context(|| made.clone())?;
        let (main, server) = (format!("http://{}", main.address), format!("http://{}", house.server.address));
        let link = format!("/set-up{}", secret.trim());
        let seen = run_script("ops_role.mjs", &[("MAIN", &main), ("SERVER", &server), ("LINK", &link)])?;
        ensure!(seen["complaints"] == json!([]), "{role}: {seen}");
        Ok(Person { cookie: format!("__Host-signalbox-ops={}", seen["cookie"].as_str().context("no cookie")?) })
    };
    let (operator, auditor, viewer) = (cookie_of("operator")?, cookie_of("auditor")?, cookie_of("viewer")?);
    let page = operator.get(&house.server, "/ops/releases/current")?.text();
    for button in ["promote-go", "pause-go", "rollback-go"] {
        ensure!(page.contains(button), "{page}");
    }
    let page = auditor.get(&house.server, "/ops/releases/current")?.text();
    ensure!(page.contains("You may look") && !page.contains("-go\""), "{page}");
    ensure!(viewer.get(&house.server, "/ops/releases/current")?.status == 403);
    for person in [&auditor, &viewer] {
        for verb in ["pause", "rollback", "promote", "sign", "tick", "retry"] {
            let answer = person.post(&house.server, &format!("/ops/releases/current/{verb}"), "reason=x&role=x")?;
            ensure!(answer.status == 403, "{verb}: {answer:?}");
        }
        let headers = [
            ("Cookie", person.cookie.as_str()),
            ("Content-Type", "application/json"),
            ("Sec-Fetch-Site", "same-origin"),
        ];
        let answer = control.client()?.request("POST", "/api/v1/releases/current/pause", &headers, b"{}")?;
        ensure!(answer.status == 403, "{answer:?}");
    }
    ensure!(auditor.get(&control, "/api/v1/releases")?.status == 200);
    ensure!(viewer.get(&control, "/api/v1/releases")?.status == 403);
    let answer = operator.post(&house.server, "/ops/releases/current/pause", "reason=lunch")?;
    ensure!(answer.status == 303, "{answer:?}");
    let newest = house.overview()?;
    ensure!(newest["state"] == "paused", "{newest}");
    let paused = house.journal()?.into_iter().find(|record| record["event"] == "paused").context("not paused")?;
    ensure!(paused["by"] == "operator@example.org", "{paused}");
    askers.stop()?;
    Ok(())
}
