//! Wherever the controller dies, the release ends in the same state, and nobody's request fails.

use std::time::Duration;

use anyhow::{Result, ensure};
use signalbox_e2e::control::{Askers, ControlHouse};
use signalbox_e2e::{environment, process};

use crate::{SERVICE, quick};

#[test]
fn a_controller_that_is_killed_at_a_record_goes_on() -> Result<()> {
    let _alone = environment::alone()?;
    let house = ControlHouse::new(SERVICE)?;
    let mut manifest = quick();
    manifest.canary = manifest.canary.replace("[20, 50, 100]", "[50, 100]").replace("\"2s\"", "\"1s\"");
    house.write(&manifest)?;
    let control = house.control(&[])?;
    house.promote("1.0.0")?;
    let askers = Askers::start(house.server.address, 6);
    house.promote("1.1.0")?;
    let records = house.journal()?.len();
    control.terminate()?;
    let sides = ["before", "torn", "after"];
    let all: Vec<(&str, usize)> = (1..=records).flat_map(|seq| sides.map(|side| (side, seq))).collect();
    let rounds = environment::rounds(6, u32::try_from(all.len())?) as usize;
    let mut stable = "1.1.0".to_owned();
    for round in 0..rounds {
        let (side, seq) = all[round * (all.len() - 1) / (rounds - 1)];
        let point = format!("{side}:{seq}");
        let mut control = house.control(&["--allow-faults", "--fail-at", &point])?;
        let version = format!("2.0.{round}");
        // It may die before it answers.
        let _ = house.run(&["deploy", &version])?;
        process::wait_for(Duration::from_secs(120), "the controller has not died", || {
            ensure!(!control.is_running()?, "{point}");
            Ok(())
        })?;
        let control = house.control(&[])?;
        let newest = house.settled()?;
        // What was not written was not promised.
        let began = seq > 1 || side == "after";
        if began {
            ensure!(newest["state"] == "promoted" && newest["to"] == version.as_str(), "{point}: {newest}");
            stable = version;
        }
        house.only(&stable)?;
        println!("killed {point:<10} of {records}: {stable} serves alone");
        control.terminate()?;
    }
    let asked = askers.stop()?;
    ensure!(asked.failed.is_empty() && asked.answered > 1_000, "{asked:?}");
    Ok(())
}

#[test]
fn a_controller_that_is_killed_in_the_canary_goes_back_all_the_same() -> Result<()> {
    let _alone = environment::alone()?;
    let house = ControlHouse::new(SERVICE)?;
    house.write(&quick())?;
    let control = house.control(&[])?;
    house.promote("1.0.0")?;
    house.fault("2.0.0", "errors 3")?;
    let askers = Askers::start(house.server.address, 6);
    ensure!(house.run(&["deploy", "2.0.0"])?.code == 0);
    process::wait_for(Duration::from_secs(120), "2.0.0 has no traffic", || {
        let status = house.overview()?;
        ensure!(status["state"] == "holding", "{status}");
        Ok(())
    })?;
    control.kill()?;
    let control = house.control(&[])?;
    let newest = house.settled()?;
    askers.stop()?;
    ensure!(newest["state"] == "rolled_back", "{newest}");
    house.only("1.0.0")?;
    control.terminate()
}

/// One release in which no controller writes more than one record: each of them dies before it, in the middle of it, or
/// after it.
fn through_every_record(house: &ControlHouse, version: &str) -> Result<u64> {
    let mut kills = 0;
    for seq in 1.. {
        for side in ["before", "torn", "after"] {
            let begin = || {
                if seq == 1 {
                    // It dies before it answers.
                    let _ = house.run(&["deploy", version])?;
                }
                Ok(())
            };
            if !house.control_that_dies(&format!("{side}:{seq}"), begin)? {
                return Ok(kills);
            }
            kills += 1;
        }
    }
    Ok(kills)
}

#[test]
fn a_release_whose_controller_is_killed_at_every_record_ends_as_it_would() -> Result<()> {
    let _alone = environment::alone()?;
    let house = ControlHouse::new(SERVICE)?;
    let mut manifest = quick();
    manifest.canary = manifest.canary.replace("[20, 50, 100]", "[50, 100]").replace("\"2s\"", "\"1s\"");
    house.write(&manifest)?;
    let control = house.control(&[])?;
    house.promote("1.0.0")?;
    control.terminate()?;
    let askers = Askers::start(house.server.address, 4);
    let kills = through_every_record(&house, "2.0.0")?;
    let control = house.control(&[])?;
    let newest = house.newest()?;
    ensure!(newest["state"] == "promoted" && newest["to"] == "2.0.0", "{newest}");
    house.only("2.0.0")?;
    let journal = house.journal()?;
    ensure!(kills >= 3 * (journal.len() as u64 - 1), "{kills} kills, {} records", journal.len());
    let asked = askers.stop()?;
    ensure!(asked.failed.is_empty() && asked.answered > 1_000, "{asked:?}");
    println!("{kills} kills at {} records: 2.0.0 serves alone, {} requests, 0 failed", journal.len(), asked.answered);
    control.terminate()?;

    // The way back as well.
    house.fault("3.0.0", "errors 50")?;
    let askers = Askers::start(house.server.address, 4);
    let kills = through_every_record(&house, "3.0.0")?;
    askers.stop()?;
    let control = house.control(&[])?;
    let newest = house.newest()?;
    ensure!(newest["state"] == "rolled_back" && newest["to"] == "3.0.0", "{newest}");
    house.only("2.0.0")?;
    let askers = Askers::start(house.server.address, 4);
    process::wait_for(Duration::from_secs(120), "nobody is answered", || {
        ensure!(house.overview()?["requests_per_second"].as_f64() > Some(20.0));
        Ok(())
    })?;
    let asked = askers.stop()?;
    ensure!(asked.failed.is_empty() && asked.answered > 0, "{asked:?}");
    println!("{kills} kills on the way to 3.0.0 and back: 2.0.0 serves alone");
    control.terminate()
}
