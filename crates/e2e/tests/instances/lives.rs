use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use signalbox_core::setting::Period;
use signalbox_e2e::{environment, process};
use signalbox_release::driver::{Driver as _, ExitHow, Health, State, until_well};

use crate::rig::{House, LONG, ask, until_closed, version};

#[test]
fn an_instance_starts_becomes_healthy_tells_of_itself_and_stops() -> Result<()> {
    let house = House::new()?;
    let service = house.service(&[], "env = { SHOP_DATA = \"{data}\", SHOP_PORT = \"{port}\" }")?;
    let launch = house.launch(&service)?.with_env("SHOP_DATA", "mine");
    let started = house.start_as(&launch)?;
    let deadline = tokio::time::Instant::now() + LONG;
    let health = house.runtime.block_on(until_well(&house.driver, &started.id, deadline))?;
    let Health::Well { version: Some(told), .. } = &health else { anyhow::bail!("{health}") };
    ensure!(*told == version("1.0.0")?);
    let instance = house.until_state(&started.id, State::Healthy)?;
    let instance = house.until(&instance.id, "no memory", |instance| instance.memory_bytes > Some(100 << 10))?;
    ensure!(instance.restarts == 0 && instance.last_exit.is_none() && instance.started_at.is_some(), "{instance:?}");
    ensure!(house.logs(&instance.id)?.contains(&format!(" out version 1.0.0 listens on {}", instance.address.port())));
    let environment = ask(instance.address, "/environment")?;
    for wanted in [
        "\"SHOP_DATA\"=\"mine\"".to_owned(),
        format!("\"SHOP_PORT\"=\"{}\"", instance.address.port()),
        format!("\"SIGNALBOX_INSTANCE\"=\"{}\"", instance.id),
        "\"SIGNALBOX_INSTANCE_ROLE\"=\"production\"".to_owned(),
    ] {
        ensure!(environment.contains(&wanted), "{wanted} in {environment}");
    }
    ensure!(!environment.contains("CARGO") && !environment.contains("SIGNALBOX_BIN"), "nothing else: {environment}");
    let exit = house.stop(&instance.id, LONG)?.context("no exit")?;
    ensure!(exit.how == ExitHow::Signal(15) && exit.said == "asked to stop", "{exit:?}");
    until_closed(instance.address)?;
    ensure!(house.instance(&instance.id)?.state == State::Stopped);
    ensure!(house.health(&instance.id)? == Health::Gone);
    ensure!(house.clean_up()? == [instance.id.clone()] && house.list()?.is_empty());
    ensure!(house.stop(&instance.id, LONG)?.is_none(), "it is not known any more");
    Ok(())
}

#[test]
fn several_instances_have_ports_of_their_own_and_two_drivers_share_a_folder() -> Result<()> {
    let house = House::new()?;
    let mut other = House::new()?;
    other.driver = house.driver.clone();
    let launch = house.launch(&house.service(&[], "")?)?;
    let starts = std::thread::scope(|scope| -> Result<Vec<_>> {
        let both = [&house, &other].map(|house| {
            let launch = launch.clone();
            scope.spawn(move || (0..3).map(|_| house.start_as(&launch)).collect::<Result<Vec<_>>>())
        });
        Ok(both.map(|one| one.join().expect("no panic")).into_iter().collect::<Result<Vec<_>>>()?.concat())
    })?;
    let mut ports: Vec<u16> = starts.iter().map(|instance| instance.address.port()).collect();
    ports.sort_unstable();
    ports.dedup();
    ensure!(ports.len() == 6 && ports[0] >= house.first_port() && ports[5] < house.first_port() + 10, "{ports:?}");
    for instance in &starts {
        other.until_state(&instance.id, State::Healthy)?;
    }
    ensure!(house.list()?.len() == 6 && house.clean_up()?.is_empty(), "nobody cleans up what lives");
    for (number, instance) in starts.iter().enumerate() {
        let by = if number % 2 == 0 { &house } else { &other };
        by.stop(&instance.id, LONG)?;
    }
    ensure!(other.list()?.iter().all(|instance| instance.state == State::Stopped));
    Ok(())
}

/// The shim's parent and its whole session are killed, as a terminal or a service manager may do.
#[test]
fn an_instance_outlives_whoever_started_it() -> Result<()> {
    let scratch = environment::scratch("parent")?;
    let (program, parent) = (scratch.path().join("parent"), scratch.path().join("pid"));
    let text = format!(
        "#!/bin/sh\necho $$ > {}\nexec 3<&0\n{} \"$@\" <&3 &\nwait\n",
        parent.display(),
        environment::binary()?.display()
    );
    std::fs::write(&program, text)?;
    process::output(std::process::Command::new("chmod").arg("+x").arg(&program))?;
    let mut house = House::with_program(program)?;
    let instance = house.start(&house.service(&[], "")?)?;
    house.until_state(&instance.id, State::Healthy)?;
    let before = house.pids(&instance.id)?;
    let parent = std::fs::read_to_string(parent)?.trim().parse::<u32>()?;
    process::signal(parent, Signal::HUP);
    process::signal(parent, Signal::KILL);
    process::wait_for(LONG, "the parent lives", || {
        ensure!(!process::lives(parent), "{parent}");
        Ok(())
    })?;
    house.come_back()?;
    let again = house.until_state(&instance.id, State::Healthy)?;
    ensure!(again.restarts == 0 && house.pids(&instance.id)? == before && house.health(&instance.id)?.is_well());
    // Its pipes and its exit code are still in good hands.
    ensure!(signalbox_e2e::client::Client::connect(again.address)?.get("/die?7").is_err(), "it died");
    let reborn = house
        .until(&instance.id, "not restarted", |instance| instance.restarts == 1 && instance.state == State::Healthy)?;
    ensure!(reborn.last_exit.as_ref().is_some_and(|exit| exit.how == ExitHow::Code(7)), "{reborn:?}");
    ensure!(house.logs(&instance.id)?.matches("out version 1.0.0 listens on").count() == 2);
    house.stop(&instance.id, LONG)?;
    Ok(())
}

#[test]
fn who_hangs_on_sigterm_is_killed_when_its_time_is_over() -> Result<()> {
    let house = House::new()?;
    let service = env!("CARGO_BIN_EXE_signalbox-e2e-service");
    let deaf = format!("trap '' TERM; exec {service} --port {{port}}");
    let instance = house.start(&house.service_of(&["/bin/sh", "-c", &deaf], "")?)?;
    house.until_state(&instance.id, State::Healthy)?;
    let exit = house.stop(&instance.id, Duration::from_millis(300))?.context("no exit")?;
    ensure!(exit.how == ExitHow::Signal(9), "{exit:?}");
    ensure!(exit.said == "asked to stop; SIGTERM did not end it in time", "{exit:?}");
    until_closed(instance.address)
}

#[test]
fn what_the_service_started_ends_with_it() -> Result<()> {
    let house = House::new()?;
    let instance = house.start(&house.service(&[], "")?)?;
    house.until_state(&instance.id, State::Healthy)?;
    ensure!(ask(instance.address, "/worker")?.starts_with("exit status: 0"));
    let (shim, _) = house.pids(&instance.id)?;
    let worker = || {
        process::children(shim)
            .into_iter()
            .find(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words.starts_with(b"sleep\0")))
    };
    let worker = process::wait_for(LONG, "no worker", || worker().context("the shim adopts it"))?;
    ensure!(ask(instance.address, "/die?3").is_err());
    process::wait_for(LONG, "the worker lives", || {
        ensure!(!process::lives(worker), "{worker}");
        Ok(())
    })?;
    house
        .until(&instance.id, "not restarted", |instance| instance.restarts == 1 && instance.state == State::Healthy)?;
    house.runtime.block_on(house.driver.stop(&instance.id, Period(LONG)))?;
    Ok(())
}
