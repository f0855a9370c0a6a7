use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use signalbox_e2e::process;
use signalbox_release::driver::{Driver as _, DriverError, State};

use crate::rig::{House, LONG};

#[test]
fn a_port_that_is_taken_is_passed_over_and_no_port_is_told() -> Result<()> {
    let house = House::new()?;
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, house.first_port()))?;
    let everywhere = TcpListener::bind((Ipv4Addr::UNSPECIFIED, house.first_port() + 1))?;
    let service = house.service(&[], "")?;
    let instance = house.start(&service)?;
    ensure!(instance.address.port() == house.first_port() + 2, "{instance:?}");
    house.until_state(&instance.id, State::Healthy)?;
    let others: Vec<_> =
        (3..10).map(|more| TcpListener::bind((Ipv4Addr::LOCALHOST, house.first_port() + more))).collect();
    let refused = house.runtime.block_on(house.driver.start(&house.launch(&service)?));
    ensure!(matches!(refused, Err(DriverError::NoPort { .. })), "{refused:?}");
    drop((first, everywhere, others));
    house.stop(&instance.id, LONG)?;
    Ok(())
}

/// Somebody takes the port while the instance is being restarted, and answers with the right version: that is not this
/// instance.
#[test]
fn who_was_faster_on_the_port_is_not_taken_for_the_instance() -> Result<()> {
    let house = House::new()?;
    let slow = format!("sleep 3600 & wait; exec {}", env!("CARGO_BIN_EXE_signalbox-e2e-service"));
    // It never listens; somebody else does.
    let instance = house.start(&house.service_of(&["/bin/sh", "-c", &slow, "{port}"], "")?)?;
    let port = instance.address.port().to_string();
    let mut stranger = Command::new(env!("CARGO_BIN_EXE_signalbox-e2e-service"))
        .args(["--port", &port, "--version", "1.0.0"])
        .stdout(std::process::Stdio::null())
        .spawn()?;
    let seen = house.until(&instance.id, "not seen", |instance| instance.said.contains("somebody else"));
    let health = house.health(&instance.id)?;
    stranger.kill()?;
    stranger.wait()?;
    ensure!(seen?.state == State::Starting);
    ensure!(!health.is_well() && health.to_string() == format!("somebody else answers on port {port}"), "{health}");
    house.stop(&instance.id, LONG)?;
    Ok(())
}

/// The numbers of shim and service are somebody else's now, after a loss of power for example.
#[test]
fn a_number_that_is_used_again_hits_nobody() -> Result<()> {
    let house = House::new()?;
    let instance = house.start(&house.service(&[], "")?)?;
    house.until_state(&instance.id, State::Healthy)?;
    let file = house.instance_folder(&instance.id).join("status.json");
    let mut status: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
    let (shim, _) = house.pids(&instance.id)?;
    process::signal(shim, rustix::process::Signal::KILL);
    process::wait_for(LONG, "the shim lives", || {
        ensure!(!process::lives(shim), "{shim}");
        Ok(())
    })?;
    let mut innocent = Command::new("sleep").arg("3600").spawn()?;
    for who in ["shim", "process"] {
        status[who]["pid"] = innocent.id().into();
    }
    std::fs::write(&file, status.to_string())?;
    ensure!(house.instance(&instance.id)?.state == State::Lost, "its lock is free, whatever the number says");
    house.stop(&instance.id, std::time::Duration::ZERO)?;
    ensure!(house.clean_up()?.as_slice() == std::slice::from_ref(&instance.id));
    ensure!(innocent.try_wait().context("sleep")?.is_none(), "it goes on");
    innocent.kill()?;
    innocent.wait()?;
    Ok(())
}

/// A second shim over the same folder is refused; the first one does not notice.
#[test]
fn two_shims_never_stand_over_one_instance() -> Result<()> {
    let house = House::new()?;
    let instance = house.start(&house.service(&[], "")?)?;
    house.until_state(&instance.id, State::Healthy)?;
    let mut second = Command::new(signalbox_e2e::environment::binary()?);
    let refused = process::output(second.args(["shim", "run"]).arg(house.instance_folder(&instance.id)));
    let said = refused.err().context("it was let in")?.to_string();
    ensure!(said.contains("another shim stands over this instance"), "{said}");
    ensure!(house.health(&instance.id)?.is_well() && house.instance(&instance.id)?.restarts == 0);
    house.stop(&instance.id, LONG)?;
    Ok(())
}
