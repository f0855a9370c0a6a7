//! One release after the other, forward and back, while everything that a service can be asked is asked of it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use signalbox_e2e::control::ControlHouse;
use signalbox_e2e::mixed::{Mix, Mixed};
use signalbox_e2e::{environment, process};

use crate::{SERVICE, quick};

/// A way back, by hand or by itself, may take so long until all requests are on the good version.
const ROUTED_BACK: Duration = Duration::from_secs(1);

/// Waits until all weight is on a version, as the edge tells it, and says when that was.
fn routed_to(house: &ControlHouse, version: &str) -> Result<Instant> {
    let limit = Instant::now() + Duration::from_secs(60);
    loop {
        let routes = house.edge.ask("GET", "/routes", &Value::Null)?;
        let arms = routes["arms"].as_array().context("no arms")?;
        let alone = |arm: &Value| (arm["version"] == version) == (arm["weight"].as_u64() > Some(0));
        if !arms.is_empty() && arms.iter().all(alone) {
            return Ok(Instant::now());
        }
        ensure!(Instant::now() < limit, "{routes}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn told(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share).ceil() as usize];
    println!("{what}: p50 {:?}, p99 {:?}, longest {:?} of {}", at(0.5), at(0.99), at(1.0), times.len());
    at(0.99)
}

#[test]
fn releases_and_ways_back_under_mixed_traffic_lose_nothing() -> Result<()> {
    let _alone = environment::alone()?;
    let rounds = environment::rounds(2, 100);
    // A debug build beside all other tests is not asked as much.
    let kept = f64::from(environment::rounds(800, 4_300));
    let mix = Mix { kept, connections: 16, fresh: 400.0, uploads: 300.0, sockets: 10, streams: 10 };
    let house = ControlHouse::new(SERVICE)?;
    let control = house.control(&[])?;
    let mut manifest = quick();
    manifest.canary = manifest.canary.replace("[20, 50, 100]", "[50, 100]").replace("bake = \"2s\"", "bake = \"1s\"");
    manifest.canary.push_str("[[canary.metric]]\nname = \"latency\"\nworse = \"+400 %\"\n");
    house.write(&manifest)?;
    house.promote("1.0.0")?;
    let mixed = Mixed::start(house.server.address, mix);
    let (mut back, mut refused) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let version = format!("2.0.{round}");
        house.promote(&version)?;
        let asked = Instant::now();
        let routed = std::thread::scope(|scope| {
            let routed = scope.spawn(|| routed_to(&house, "1.0.0"));
            let ended = house.run(&["rollback", "--watch", "--timeout", "300s"])?;
            ensure!(ended.code == 0, "{version}: {ended:?}");
            routed.join().ok().context("it panicked")?
        })?;
        back.push(routed - asked);
        house.only("1.0.0")?;
        if round % 10 == 0 {
            let bad = format!("3.0.{round}");
            house.fault(&bad, "slow 600")?;
            let ended = house.deploy(&bad)?;
            ensure!(ended.code == 4, "{bad}: {ended:?}");
            let newest = house.newest()?;
            let millis = newest["routed_back_in_ms"].as_u64().with_context(|| newest.to_string())?;
            refused.push(Duration::from_millis(millis));
            house.only("1.0.0")?;
        }
        if round % 10 == 9 {
            println!("{} releases and ways back", round + 1);
        }
    }
    let tally = mixed.stop()?;
    println!(
        "{rounds} releases, {rounds} ways back: {} requests ({:.0} a second, {} with a body), {} connections, {} echoes, {} events, \
         {} sockets and streams handed over, {} failed",
        tally.requests,
        tally.per_second(),
        tally.uploads,
        tally.connections,
        tally.echoes,
        tally.events,
        tally.handed_over,
        tally.failed.len()
    );
    ensure!(
        tally.failed.is_empty(),
        "{} failed: {:?}",
        tally.failed.len(),
        &tally.failed[..tally.failed.len().min(10)]
    );
    ensure!(tally.handed_over > u64::from(rounds), "{tally:?}");
    let by_hand = told("`signalbox rollback` until all requests are on the good version", back);
    let by_itself = told("verdict until none is on the bad one", refused);
    ensure!(by_hand < ROUTED_BACK && by_itself < ROUTED_BACK, "{by_hand:?}, {by_itself:?}");

    // Every request that the clients sent is in the receipt of the edge, and in no other way than they saw it.
    let receipt = process::wait_for(Duration::from_secs(30), "requests are open", || {
        let receipt = house.edge.receipt()?;
        let arms = receipt["arms"].as_array().context("no arms")?;
        ensure!(arms.iter().all(|arm| arm["open"] == 0), "{receipt}");
        Ok(receipt)
    })?;
    let sum = |pointer: &str| -> u64 {
        let arms = receipt["arms"].as_array().into_iter().flatten();
        arms.filter_map(|arm| arm.pointer(pointer).and_then(Value::as_u64)).sum()
    };
    ensure!(sum("/answered/s2xx") >= tally.requests, "{receipt}");
    ensure!(
        sum("/broken") == 0 && sum("/answered/s5xx") == 0 && sum("/answered_by_edge/bad_gateway") == 0,
        "{receipt}"
    );
    control.terminate()
}
