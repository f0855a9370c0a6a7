use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use signalbox_e2e::cluster::Cluster;
use signalbox_e2e::environment::alone;
use signalbox_e2e::installation::Installation;
use signalbox_e2e::ledger::Ledger;
use signalbox_e2e::load::{Clients, Load, Targets, first_recorded};
use signalbox_e2e::process::wait_for;
use signalbox_e2e::server::Server;

/// For each of several instances.
const SOME: Clients = Clients { pixels: 3, clicks: 2, api: 1, batch: 10 };
/// A machine that is busy may be slow to see that a lease has ended.
const LIMIT: Duration = Duration::from_secs(60);

/// Which of them projects, as they say themselves; whoever said so last.
fn projecting(servers: &[Server]) -> Result<usize> {
    let says = |server: &Server| -> Result<bool> {
        let said = server.said()?;
        let last = said.lines().rfind(|line| line.contains("instance projects from now on"));
        Ok(last.is_some_and(|line| line.contains("this instance")))
    };
    for (place, server) in servers.iter().enumerate() {
        if says(server)? {
            return Ok(place);
        }
    }
    bail!("nobody projects")
}

/// The version of whoever holds the lease of the single jobs must have projected everything that was acknowledged.
fn survive(installation: &Installation) -> Result<()> {
    installation.run(&["migrate"])?;
    let targets = Targets::of(installation)?;
    let mut ledger = Ledger::default();
    let mut servers = ["1.0.0", "1.0.0", "2.0.0"]
        .into_iter()
        .map(|version| installation.engage(version, &[]))
        .collect::<Result<Vec<_>>>()?;
    for server in &servers {
        first_recorded(server, &targets, &mut ledger)?;
    }
    let mut loads: Vec<Load> = servers.iter().map(|server| Load::start(server.address, &targets, SOME)).collect();
    // The one that projects, then another.
    for _ in 0..2 {
        let place = wait_for(LIMIT, "an instance projects", || projecting(&servers))?;
        let before = installation.count()?;
        wait_for(LIMIT, "events are projected", || {
            let now = installation.count()?;
            ensure!(now > before, "{now} events");
            Ok(())
        })?;
        servers.remove(place).kill()?;
        ledger.merge(loads.remove(place).stop()?);
    }
    let last = servers.pop().context("one is left")?;
    wait_for(LIMIT, "the last one projects", || projecting(std::slice::from_ref(&last)))?;
    ledger.merge(loads.remove(0).stop()?);
    last.terminate()?;
    let balance = ledger.balance(&installation.export()?);
    eprintln!("three instances, two killed: {balance}");
    ensure!(balance.is_even() && balance.acknowledged > 1_000, "{balance}");
    ensure!(ledger.wrong.is_empty(), "wrong answers: {:?}", ledger.wrong);
    let checked = installation.run(&["rebuild", "--dry-run"])?;
    ensure!(checked.contains("equals the live one"), "{checked}");
    Ok(())
}

#[test]
fn three_instances_on_sqlite_of_which_two_are_killed_lose_nothing() -> Result<()> {
    let _alone = alone()?;
    survive(&Installation::sqlite()?)
}

#[test]
fn three_instances_on_postgres_of_which_two_are_killed_lose_nothing() -> Result<()> {
    let _alone = alone()?;
    let cluster = Cluster::create()?;
    survive(&Installation::sqlite()?.on_postgres(cluster.url())?)
}

#[test]
fn an_instance_says_its_version_and_needs_an_installation() -> Result<()> {
    let installation = Installation::sqlite()?;
    let refused = installation.engage("1.0.0", &[]).err().context("it must not start without an installation")?;
    ensure!(format!("{refused:#}").contains("signalbox migrate"), "{refused:#}");
    installation.run(&["migrate"])?;
    let server = installation.engage("7.1.0", &[])?;
    let health = server.get("/health")?;
    ensure!(health.status == 200 && health.text().contains("\"version\":\"7.1.0\""), "{health:?}");
    server.terminate()
}

/// `serve` and instances share a store safely: nobody is shut out, nothing is counted twice.
#[test]
fn a_server_and_an_instance_share_a_store() -> Result<()> {
    let _alone = alone()?;
    let installation = Installation::sqlite()?;
    let serve = installation.serve()?;
    let targets = Targets::of(&installation)?;
    let instance = installation.engage("2.0.0", &[])?;
    let loads = [&serve, &instance].map(|server| Load::start(server.address, &targets, SOME));
    let mut ledger = Ledger::default();
    wait_for(LIMIT, "events are projected", || {
        let count = installation.count()?;
        ensure!(count > 2_000, "{count} events");
        Ok(())
    })?;
    for load in loads {
        ledger.merge(load.stop()?);
    }
    serve.terminate()?;
    instance.terminate()?;
    let balance = ledger.balance(&installation.export()?);
    ensure!(balance.is_even() && ledger.wrong.is_empty(), "{balance}: {:?}", ledger.wrong);
    Ok(())
}
