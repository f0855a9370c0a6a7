use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use signalbox_e2e::control::{Askers, ControlHouse};
use signalbox_e2e::{environment, process};

use crate::{SERVICE, STAGED, quick};

#[test]
fn a_good_version_is_promoted_without_a_failed_request() -> Result<()> {
    let _alone = environment::alone()?;
    let house = ControlHouse::new(SERVICE)?;
    let control = house.control(&[])?;
    let mut manifest = quick();
    manifest.more = STAGED.into();
    house.write(&manifest)?;
    house.promote("1.0.0")?;
    ensure!(house.server.get("/cart")?.header("x-version") == Some("1.0.0"));
    let again = house.deploy("1.0.0")?;
    ensure!(again.code == 0 && again.out.contains("nothing to do"), "{again:?}");
    let askers = Askers::start(house.server.address, 4);
    process::wait_for(Duration::from_secs(120), "no traffic is seen", || {
        let overview = house.overview()?;
        ensure!(overview["requests_per_second"].as_f64() > Some(1.0), "{overview}");
        Ok(())
    })?;
    let shown = house.run(&["deploy", "2.0.0", "--dry-run"])?;
    ensure!(shown.code == 2 && shown.out.contains("6 production deploy"), "{shown:?}");
    let drifted = house.run(&["deploy", "2.0.0", "--plan", "00000000"])?;
    ensure!(drifted.code == 11, "{drifted:?}");
    let promoted = house.promote("2.0.0")?;
    house.only("2.0.0")?;
    let asked = askers.stop()?;
    ensure!(asked.failed.is_empty() && asked.answered > 1_000, "{asked:?}: {promoted:?}");
    let receipt = house.edge.receipt()?;
    let accepted = |version: &str| {
        signalbox_e2e::edge::arm(&receipt, version).and_then(|arm| arm["accepted"].as_u64()).unwrap_or(0)
    };
    ensure!(accepted("1.0.0") + accepted("2.0.0") > asked.answered, "{receipt}");
    ensure!(accepted("2.0.0") > 100, "{receipt}");

    // What was shown was done: weights rise, each judged, in this order.
    let journal = house.journal()?;
    let confirmed = journal.iter().filter(|record| record["event"] == "confirm").count();
    ensure!(confirmed > 15 && journal.last().is_some_and(|last| last["outcome"] == "promoted"), "{journal:?}");

    // The way back, after it was promoted.
    let askers = Askers::start(house.server.address, 2);
    let back = house.run(&["rollback", "--watch", "--timeout", "300s"])?;
    ensure!(back.code == 0, "{back:?}");
    house.only("1.0.0")?;
    let asked = askers.stop()?;
    ensure!(asked.failed.is_empty(), "{asked:?}");
    let newest = house.newest()?;
    ensure!(newest["kind"] == json!("rollback") && newest["to"] == json!("1.0.0"), "{newest}");
    control.terminate()
}

#[test]
fn without_control_traffic_flows_and_a_dead_instance_comes_back() -> Result<()> {
    let house = ControlHouse::new(SERVICE)?;
    let control = house.control(&[])?;
    house.write(&quick())?;
    house.fault("1.0.0", "crash-after 30")?;
    house.promote("1.0.0")?;
    control.kill()?;
    for _ in 0..30 {
        ensure!(house.server.get("/cart")?.status == 200);
    }
    // This one ends it; its shim starts it again, and nobody else is needed for that.
    ensure!(house.server.get("/cart")?.status == 502);
    let answers = || -> Result<()> {
        let answer = house.server.get("/cart")?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(())
    };
    process::wait_for(Duration::from_secs(120), "the instance is not back", answers)?;
    let control = house.control(&[])?;
    house.only("1.0.0")?;
    control.terminate()?;
    answers()
}
