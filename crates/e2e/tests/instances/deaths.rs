use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use signalbox_e2e::process;
use signalbox_release::driver::{ExitHow, Health, State};

use crate::rig::{House, LONG, until_closed};

#[test]
fn a_crash_at_start_is_tried_again_then_given_up_and_told() -> Result<()> {
    let house = House::new()?;
    let instance = house.start(&house.service(&["--fault", "crash-at-start 4"], "")?)?;
    let given_up = house.until_state(&instance.id, State::GivenUp)?;
    ensure!(given_up.restarts == 2, "three starts: {given_up:?}");
    ensure!(
        given_up.said
            == "3 starts without a healthy moment; the last ended with 4: its last line was \"this version cannot find its configuration\"",
        "{}",
        given_up.said
    );
    ensure!(house.logs(&instance.id)?.matches("err this version cannot find its configuration").count() == 3);
    ensure!(house.health(&instance.id)? == Health::Gone);
    let exit = house.stop(&instance.id, LONG)?.context("no exit")?;
    ensure!(exit.how == ExitHow::Code(4), "stopping what is dead tells how it died: {exit:?}");
    Ok(())
}

#[test]
fn a_program_that_is_not_there_is_told() -> Result<()> {
    let house = House::new()?;
    let instance = house.start(&house.service_of(&["./no-such-shop", "{port}"], "")?)?;
    let given_up = house.until_state(&instance.id, State::GivenUp)?;
    ensure!(given_up.said.contains("./no-such-shop: No such file or directory"), "{}", given_up.said);
    Ok(())
}

#[test]
fn who_crashes_once_comes_back_and_the_count_begins_anew() -> Result<()> {
    let house = House::new()?;
    let mark = house.path().join("mark");
    let instance = house.start(&house.service(&["--fault", &format!("crash-unless {}", mark.display())], "")?)?;
    let healthy = house.until_state(&instance.id, State::Healthy)?;
    ensure!(healthy.restarts == 1 && healthy.last_exit.is_some_and(|exit| exit.how == ExitHow::Code(9)));
    // Oftener than `give_up`, but healthy in between.
    for round in 2..7 {
        let (_, pid) = house.pids(&instance.id)?;
        process::signal(pid, Signal::KILL);
        let again = house.until(&instance.id, "not restarted", |instance| {
            instance.restarts == round && instance.state == State::Healthy
        })?;
        ensure!(again.last_exit.is_some_and(|exit| exit.how == ExitHow::Signal(9)));
    }
    house.stop(&instance.id, LONG)?;
    Ok(())
}

#[test]
fn who_is_never_healthy_is_given_up() -> Result<()> {
    let house = House::new()?;
    let rules = "health = { path = \"/healthz\", interval = \"20ms\", timeout = \"30s\", startup = \"400ms\" }\n\
                 restart = { first = \"10ms\", most = \"10ms\", give_up = 2 }";
    let instance = house.start(&house.service(&["--fault", "never-healthy"], rules)?)?;
    let health = house.health(&instance.id)?;
    ensure!(!health.is_well(), "{health}");
    let given_up = house.until_state(&instance.id, State::GivenUp)?;
    let wanted = "2 starts without a healthy moment; the last was ended by signal 15: not healthy within 400ms: ";
    ensure!(given_up.said.starts_with(wanted), "{}", given_up.said);
    until_closed(instance.address)
}

#[test]
fn status_200_with_the_wrong_version_is_not_healthy() -> Result<()> {
    let house = House::new()?;
    let service = env!("CARGO_BIN_EXE_signalbox-e2e-service");
    let instance = house.start(&house.service_of(&[service, "--port", "{port}", "--version", "0.9.9"], "")?)?;
    let wrong = process::wait_for(LONG, "it does not answer", || match house.health(&instance.id)? {
        Health::WrongVersion { said } => Ok(said),
        other => anyhow::bail!("{other}"),
    })?;
    ensure!(wrong == "$.version of /healthz is \"0.9.9\" instead of 1.0.0", "{wrong}");
    let listed = house.until(&instance.id, "not seen", |instance| instance.said.contains("0.9.9"))?;
    ensure!(listed.state == State::Starting && listed.failures > 0, "{listed:?}");
    house.stop(&instance.id, LONG)?;
    Ok(())
}

/// Nobody would know of a service whose shim is gone: it dies with it, and what it started is found and ended.
#[test]
fn a_killed_shim_takes_its_service_along() -> Result<()> {
    for sandboxed in [false, true] {
        let house = House::new()?;
        let service = house.service(&[], "")?;
        let instance = if sandboxed { house.start_sandboxed(&service)? } else { house.start(&service)? };
        house.until_state(&instance.id, State::Healthy)?;
        ensure!(crate::rig::ask(instance.address, "/worker")?.starts_with("exit status: 0"));
        let (shim, service) = house.pids(&instance.id)?;
        process::signal(shim, Signal::KILL);
        let gone = |pid: u32| {
            process::wait_for(LONG, "it lives", || {
                ensure!(!process::lives(pid), "{pid}");
                Ok(())
            })
        };
        gone(shim)?;
        gone(service)?;
        let lost = house.until_state(&instance.id, State::Lost)?;
        ensure!(lost.last_exit.is_some_and(|exit| exit.how == ExitHow::Unseen), "nobody saw how it ended");
        ensure!(house.health(&instance.id)? == Health::Gone);
        ensure!(marked(instance.id.as_str()).len() == 1, "the worker had no parent any more");
        ensure!(house.clean_up()?.as_slice() == std::slice::from_ref(&instance.id));
        ensure!(marked(instance.id.as_str()).is_empty(), "nothing of it is left");
        ensure!(house.list()?.is_empty());
    }
    Ok(())
}

/// A shim that is stopped answers nobody: stopping the instance ends it all the same.
#[test]
fn a_shim_that_hangs_is_ended() -> Result<()> {
    let house = House::new()?;
    let instance = house.start(&house.service(&[], "")?)?;
    house.until_state(&instance.id, State::Healthy)?;
    let (shim, service) = house.pids(&instance.id)?;
    process::signal(shim, Signal::STOP);
    let listed = house.instance(&instance.id)?;
    ensure!(listed.said.starts_with("its shim does not answer"), "{}", listed.said);
    house.stop(&instance.id, std::time::Duration::ZERO)?;
    ensure!(!process::lives(shim) && !process::lives(service));
    Ok(())
}

/// The processes with the instance's mark in their environment.
fn marked(id: &str) -> Vec<u32> {
    let mark = format!("SIGNALBOX_INSTANCE={id}");
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    pids.filter(has).filter(|pid| process::lives(*pid)).collect()
}
