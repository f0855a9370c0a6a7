//! `kill -9` at random instants under load, round after round on the same data: what was acknowledged is stored, what is
//! stored was sent, and the server is ready again soon. A server that acknowledges too early must be caught.

use std::time::Duration;

use anyhow::{Result, ensure};
use signalbox_e2e::cluster::Cluster;
use signalbox_e2e::environment::{alone, random, rounds};
use signalbox_e2e::installation::Installation;
use signalbox_e2e::ledger::Ledger;
use signalbox_e2e::load::{Load, Targets, USUAL, first_recorded};
use signalbox_e2e::timing::{READY, Time, Times, Watch};

/// A server is started, loaded and killed; how long it took until it recorded.
fn kill_under_load(
    installation: &Installation,
    targets: &Targets,
    ledger: &mut Ledger,
    arguments: &[&str],
) -> Result<Time> {
    let watch = Watch::start()?;
    let server = installation.serve_with(&[&["--limits", "off"], arguments].concat())?;
    first_recorded(&server, targets, ledger)?;
    let ready = watch.stop()?;
    let load = Load::start(server.address, targets, USUAL);
    std::thread::sleep(Duration::from_millis(50 + random(600)));
    server.kill()?;
    ledger.merge(load.stop()?);
    Ok(ready)
}

fn survive(installation: &Installation, rounds: u32) -> Result<()> {
    let targets = Targets::of(installation)?;
    let (mut ledger, mut ready) = (Ledger::default(), Times::default());
    for _ in 0..rounds {
        ready.add(kill_under_load(installation, &targets, &mut ledger, &[])?);
    }
    let balance = ledger.balance(&installation.export()?);
    eprintln!("{rounds} × kill -9: {balance}; ready after {ready}");
    ensure!(balance.is_even(), "{balance}");
    ensure!(ledger.wrong.is_empty(), "wrong answers: {:?}", ledger.wrong);
    ready.ensure_within(READY, "starting again")
}

#[test]
fn killed_on_sqlite_nothing_acknowledged_is_lost() -> Result<()> {
    let _alone = alone()?;
    survive(&Installation::sqlite()?, rounds(8, 300))
}

#[test]
fn killed_on_postgres_nothing_acknowledged_is_lost() -> Result<()> {
    let _alone = alone()?;
    let cluster = Cluster::create()?;
    survive(&Installation::sqlite()?.on_postgres(cluster.url())?, rounds(4, 300))
}

#[test]
fn postgres_killed_below_a_running_server_nothing_acknowledged_is_lost() -> Result<()> {
    let _alone = alone()?;
    let mut cluster = Cluster::create()?;
    let installation = Installation::sqlite()?.on_postgres(cluster.url())?;
    let targets = Targets::of(&installation)?;
    let (mut ledger, mut ready) = (Ledger::default(), Times::default());
    let server = installation.serve()?;
    let rounds = rounds(3, 40);
    for _ in 0..rounds {
        first_recorded(&server, &targets, &mut ledger)?;
        let load = Load::start(server.address, &targets, USUAL);
        std::thread::sleep(Duration::from_millis(50 + random(600)));
        cluster.kill()?;
        std::thread::sleep(Duration::from_millis(random(300)));
        cluster.start()?;
        let watch = Watch::start()?;
        first_recorded(&server, &targets, &mut ledger)?;
        ready.add(watch.stop()?);
        ledger.merge(load.stop()?);
    }
    server.terminate()?;
    let balance = ledger.balance(&installation.export()?);
    eprintln!("{rounds} × kill -9 of PostgreSQL: {balance}; recording again after {ready}");
    ensure!(balance.is_even(), "{balance}");
    ensure!(ledger.wrong.is_empty() && ledger.cut_off.is_empty(), "{:?} {:?}", ledger.wrong, ledger.cut_off);
    ready.ensure_within(READY, "recording again")
}

/// A backup put back in part, or a log deleted by hand: the server may refuse to start, but what it acknowledges counts.
#[test]
fn with_a_log_older_than_the_database_nothing_acknowledged_is_lost() -> Result<()> {
    let installation = Installation::sqlite()?;
    let targets = Targets::of(&installation)?;
    let mut ledger = Ledger::default();
    for phase in ["before", "after"] {
        let server = match installation.serve() {
            Err(error) if phase == "after" && format!("{error:#}").contains("intake.db") => return Ok(()),
            started => started?,
        };
        for _ in 0..30 {
            first_recorded(&server, &targets, &mut ledger)?;
        }
        server.terminate()?;
        let balance = ledger.balance(&installation.export()?);
        ensure!(balance.is_even(), "{phase} the log was lost: {balance}");
        for name in ["intake.db", "intake.db-wal", "intake.db-shm"] {
            let file = installation.data.join(name);
            if file.exists() {
                std::fs::remove_file(file)?;
            }
        }
    }
    Ok(())
}

/// The negative control: these tests notice what they are there to notice.
#[test]
fn acknowledging_before_the_commit_is_caught() -> Result<()> {
    let _alone = alone()?;
    let installation = Installation::sqlite()?;
    let targets = Targets::of(&installation)?;
    let mut ledger = Ledger::default();
    const TRIES: u32 = 60;
    for round in 1..=TRIES {
        kill_under_load(&installation, &targets, &mut ledger, &["--allow-faults", "--fault", "ack-early"])?;
        let balance = ledger.balance(&installation.export()?);
        if !balance.lost.is_empty() {
            eprintln!("caught in round {round}: {balance}");
            return Ok(());
        }
    }
    anyhow::bail!("{TRIES} rounds with a server that acknowledges before it commits, and nothing was lost")
}
