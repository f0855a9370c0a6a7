//! Two who want something at the same time, or twice.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use signalbox_e2e::control::{Askers, ControlHouse};
use signalbox_e2e::process;

use crate::{SERVICE, quick};

/// Waits until the release that runs is in that state.
fn until(house: &ControlHouse, state: &str) -> Result<()> {
    process::wait_for(Duration::from_secs(120), &format!("it is not {state}"), || {
        let newest = house.overview()?;
        ensure!(newest["state"] == state, "{newest}");
        Ok(())
    })
}

#[test]
fn one_controller_leads_and_a_lock_never_outlives_it() -> Result<()> {
    let house = ControlHouse::new(SERVICE)?;
    house.write(&quick())?;
    let first = house.control(&[])?;
    house.promote("1.0.0")?;
    let refused = |what: &str| -> Result<()> {
        let second = house.run(&["control", "--listen", "127.0.0.1:0"])?;
        let named = second.err.contains(&format!("process {}", first.pid()));
        ensure!(second.code == 7 && second.err.contains("another controller leads") && named, "{what}: {second:?}");
        Ok(())
    };
    refused("it leads")?;
    // One that hangs still has the lock: nobody knows what it is about to do.
    process::signal(first.pid(), Signal::STOP);
    refused("it is stopped")?;
    process::signal(first.pid(), Signal::CONT);
    let epoch = house.overview()?["epoch"].as_u64().context("no epoch")?;
    first.kill()?;
    // The file is still there, with its name in it.
    let lock = std::fs::read_to_string(house.edge.data.join("control/lock"))?;
    ensure!(lock.contains(&format!("epoch {epoch}")), "{lock}");
    let second = house.control(&[])?;
    ensure!(house.overview()?["epoch"].as_u64() > Some(epoch), "each lead is above the one before");
    house.only("1.0.0")?;
    house.promote_under_load("2.0.0")?;
    second.terminate()
}

#[test]
fn a_third_version_waits_for_the_second_and_what_was_left_is_cleared() -> Result<()> {
    let house = ControlHouse::new(SERVICE)?;
    let mut manifest = quick();
    house.write(&manifest)?;
    let control = house.control(&[])?;
    house.promote("1.0.0")?;
    manifest.canary = manifest.canary.replace("hold = \"2s\"", "hold = \"300s\"");
    house.write(&manifest)?;
    let askers = Askers::start(house.server.address, 4);
    ensure!(house.run(&["deploy", "2.0.0"])?.code == 0);
    until(&house, "holding")?;
    let third = house.run(&["deploy", "3.0.0"])?;
    ensure!(third.code == 7 && third.err.contains("shop-2 runs, one at a time"), "{third:?}");
    let again = house.run(&["release", "retry"])?;
    ensure!(again.code == 7, "{again:?}");
    // To where it comes from: that is this release taken back.
    ensure!(house.run(&["rollback", "1.0.0", "--reason", "the third first"])?.code == 0);
    let twice = house.run(&["release", "abort"])?;
    ensure!(twice.code == 10, "{twice:?}");
    ensure!(house.settled()?["said"] == "the third first");
    house.write(&quick())?;
    house.promote("3.0.0")?;
    house.only("3.0.0")?;
    let asked = askers.stop()?;
    ensure!(asked.failed.is_empty(), "{asked:?}");
    control.terminate()
}

#[test]
fn a_way_back_is_not_taken_back_and_is_open_whatever_the_window_says() -> Result<()> {
    let house = ControlHouse::new(SERVICE)?;
    house.write(&quick())?;
    let control = house.control(&[])?;
    house.promote("1.0.0")?;
    house.promote_under_load("2.0.0")?;
    let mut closed = quick();
    closed.more = "[[windows.freeze]]\nfrom = \"2020-01-01\"\nto = \"2199-01-01\"\nreason = \"holidays\"\n".into();
    house.write(&closed)?;
    let shut = house.run(&["deploy", "3.0.0", "--watch", "--timeout", "300s"])?;
    ensure!(shut.code == 8 && shut.out.contains("holidays"), "{shut:?}");
    ensure!(house.run(&["release", "abort"])?.code == 0);
    house.settled()?;
    ensure!(house.run(&["release", "lock", "--reason", "an audit"])?.code == 0);
    let askers = Askers::start(house.server.address, 4);
    ensure!(house.run(&["rollback"])?.code == 0);
    let twice = house.run(&["rollback"])?;
    ensure!(twice.code == 10, "{twice:?}");
    let newest = house.settled()?;
    ensure!(newest["state"] == "promoted" && newest["to"] == "1.0.0", "{newest}");
    house.only("1.0.0")?;
    // In a hurry once more: it never leads to where one came from.
    let again = house.run(&["rollback"])?;
    ensure!(again.code == 10 && again.err.contains("nothing was promoted before 1.0.0"), "{again:?}");
    let same = house.run(&["rollback", "1.0.0"])?;
    ensure!(same.code == 10 && same.err.contains("serves already"), "{same:?}");
    let unknown = house.run(&["rollback", "7.0.0"])?;
    ensure!(unknown.code == 10 && unknown.err.contains("never promoted"), "{unknown:?}");
    let named = house.run(&["rollback", "2.0.0", "--watch", "--timeout", "300s"])?;
    ensure!(named.code == 0, "{named:?}");
    house.only("2.0.0")?;
    let asked = askers.stop()?;
    ensure!(asked.failed.is_empty(), "{asked:?}");
    control.terminate()
}
