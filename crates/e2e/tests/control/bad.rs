//! Each bad version is refused or rolled back by itself, at the phase and with the reason that docs/releases.md names.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use signalbox_e2e::control::{Askers, ControlHouse};
use signalbox_e2e::{environment, process};

use crate::{SERVICE, STAGED, quick};

/// A fault, what the manifest says beside, the phase at which it is found, words of the reason, and how many requests in a
/// hundred may have failed.
const BAD: &[(&str, &str, u64, &[&str], u64)] = &[
    ("crash-at-start 3", STAGED, 4, &["did not become well in staging", "configuration"], 0),
    ("crash-at-start 3", "", 6, &["given up", "ended with 3"], 0),
    ("never-healthy", STAGED, 4, &["did not become well", "503"], 0),
    ("never-healthy", "", 6, &["2.0.", "503"], 0),
    ("wrong-version", "", 6, &["0.0.0"], 0),
    ("wrong-body", STAGED, 5, &["$.currency"], 0),
    ("errors 2", "", 6, &["errors", "limit +1 points"], 3),
    ("errors 100", "", 6, &["requests in a row failed"], 50),
    ("slow 600", "", 6, &["latency", "limit +100 %"], 0),
    ("leak 1", "[rollback]\nleak = \"> 50 % in 2s\"\n", 6, &["the memory of", "grew by"], 0),
    ("leak 1", LIMITED, 6, &["memory"], 50),
    ("database-away 300", "", 6, &["failed 3 health checks in a row", "503"], 0),
    ("no-database 100", "[rollback]\ndatabase = \"unreachable for 2s\"\n", 6, &["the database is away", "503"], 0),
    ("crash-after 600", "", 6, &["2.0."], 50),
];

/// So little memory that a leak is seen to use it up before the limit ends it.
const LIMITED: &str =
    "[service.limits]\nmemory = \"400 MiB\"\n[rollback]\nmemory = \"> 30 % for 1s\"\nleak = \"off\"\n";

#[test]
fn each_bad_version_is_rolled_back_by_itself() -> Result<()> {
    let _alone = environment::alone()?;
    let house = ControlHouse::new(SERVICE)?;
    let control = house.control(&[])?;
    house.write(&quick())?;
    house.promote("1.0.0")?;
    for (number, (fault, more, phase, words, failing)) in BAD.iter().enumerate() {
        let version = format!("2.0.{number}");
        let mut manifest = quick();
        manifest.more = (*more).into();
        if fault.starts_with("slow") {
            manifest.canary.push_str("[[canary.metric]]\nname = \"latency\"\nworse = \"+100 %\"\n");
        }
        house.write(&manifest)?;
        house.fault(&version, fault)?;
        let askers = Askers::start(house.server.address, 6);
        let ended = house.deploy(&version)?;
        let asked = askers.stop()?;
        let told = || format!("{fault}: {ended:?}\n{}", control.log());
        ensure!(ended.code == 4, "{}", told());
        let newest = house.newest()?;
        let said = newest["said"].as_str().context("no reason")?;
        ensure!(words.iter().all(|word| said.contains(word)), "{fault}: {newest}");
        let journal = house.journal()?;
        let last = journal.iter().rev().find(|record| record["event"] == "intent" && record["direction"] == "do");
        let found = last.and_then(|record| record["step"].as_str()).unwrap_or_default();
        ensure!(found.starts_with(&phase.to_string()), "{fault}: found at {found}: {newest}");
        house.only("1.0.0")?;
        let share = 100 * asked.failed.len() as u64 / asked.answered.max(1);
        ensure!(share <= *failing && (*failing > 0 || asked.failed.is_empty()), "{fault}: {asked:?}");
        let back = newest["routed_back_in_ms"].as_i64().map_or_else(|| "no traffic".into(), |ms| format!("{ms} ms"));
        println!("{fault:<16} found at {found:<4} routes back after {back:<10} {said}");
    }
    // Who asks for the way back a moment too late does not mean another one.
    let late = house.run(&["rollback"])?;
    ensure!(late.code == 10 && late.err.contains("was rolled back already, and 1.0.0 serves"), "{late:?}");
    control.terminate()
}

#[test]
fn an_advisory_that_appears_rolls_back() -> Result<()> {
    let house = ControlHouse::new(SERVICE)?;
    let control = house.control(&[])?;
    let mut manifest = quick();
    house.write(&manifest)?;
    house.promote("1.0.0")?;
    manifest.canary = manifest.canary.replace("hold = \"2s\"", "hold = \"10m\"");
    house.write(&manifest)?;
    let advisories = "\"dependencies.advisories\" = [\"true\"]";
    house.rewrite(advisories, "\"dependencies.advisories\" = [\"sh\", \"-c\", \"! cat advisory\"]")?;
    let askers = Askers::start(house.server.address, 2);
    ensure!(house.run(&["deploy", "2.0.0"])?.code == 0);
    process::wait_for(Duration::from_secs(120), "2.0.0 has no traffic", || {
        ensure!(house.overview()?["state"] == "holding");
        Ok(())
    })?;
    std::fs::write(house.folder().join("advisory"), "CVE-2026-0001 critical\n")?;
    let newest = house.settled()?;
    let asked = askers.stop()?;
    ensure!(newest["state"] == "rolled_back", "{newest}");
    ensure!(newest["said"].as_str().is_some_and(|said| said.contains("CVE-2026-0001")), "{newest}");
    ensure!(asked.failed.is_empty(), "{asked:?}");
    house.only("1.0.0")?;
    control.terminate()
}

#[test]
fn one_that_dies_at_100_percent_goes_back_while_the_old_one_is_warm() -> Result<()> {
    let _alone = environment::alone()?;
    let house = ControlHouse::new(SERVICE)?;
    let control = house.control(&[])?;
    let mut manifest = quick();
    manifest.canary = manifest.canary.replace("bake = \"2s\"", "bake = \"60s\"").replace("[20, 50, 100]", "[100]");
    house.write(&manifest)?;
    house.promote("1.0.0")?;
    house.fault("2.0.0", "crash-after 1500")?;
    let askers = Askers::start(house.server.address, 4);
    let ended = house.deploy("2.0.0")?;
    askers.stop()?;
    ensure!(ended.code == 4, "{ended:?}");
    let newest = house.newest()?;
    ensure!(newest["said"].as_str().is_some_and(|said| said.contains("2.0.0")), "{newest}");
    house.only("1.0.0")?;
    control.terminate()
}

#[test]
fn one_that_will_not_stop_is_ended() -> Result<()> {
    let house = ControlHouse::new(SERVICE)?;
    let control = house.control(&[])?;
    let mut manifest = quick();
    manifest.canary = manifest.canary.replace("[20, 50, 100]", "[100]").replace("bake = \"2s\"", "bake = \"0s\"");
    house.write(&manifest)?;
    house.fault("stubborn-1.0.0", "")?;
    house.promote("1.0.0")?;
    let askers = Askers::start(house.server.address, 4);
    house.promote("2.0.0")?;
    let asked = askers.stop()?;
    ensure!(asked.failed.is_empty(), "{asked:?}");
    house.only("2.0.0")?;
    control.terminate()
}

#[test]
fn no_traffic_is_never_a_silent_pass() -> Result<()> {
    let house = ControlHouse::new(SERVICE)?;
    let control = house.control(&[])?;
    let mut manifest = quick();
    manifest.canary = manifest.canary.replace("hold 60s", "hold 2s");
    house.write(&manifest)?;
    house.promote("1.0.0")?;
    let ended = house.deploy("2.0.0")?;
    ensure!(ended.code == 4 && ended.out.contains("ROLLING BACK: "), "{ended:?}");
    house.only("1.0.0")?;
    manifest.canary = manifest.canary.replace("then roll back", "then pause");
    house.write(&manifest)?;
    let ended = house.deploy("2.0.0")?;
    ensure!(ended.code == 9 && ended.out.contains("paused by policy"), "{ended:?}");
    let aborted = house.run(&["release", "abort", "--reason", "enough"])?;
    ensure!(aborted.code == 0, "{aborted:?}");
    ensure!(house.settled()?["said"] == "enough");
    house.only("1.0.0")?;

    // A metric that says nothing is none that passes, whatever the traffic.
    manifest.canary.push_str("[[canary.metric]]\nname = \"orders\"\nquery = 'x{v=\"$version\"}'\nworse = \"-5 %\"\n");
    manifest.canary = manifest.canary.replace("then pause", "then roll back");
    house.write(&manifest)?;
    let askers = Askers::start(house.server.address, 6);
    let ended = house.deploy("2.0.0")?;
    askers.stop()?;
    ensure!(ended.code == 4 && ended.out.contains("no Prometheus is named"), "{ended:?}");
    control.terminate()
}
