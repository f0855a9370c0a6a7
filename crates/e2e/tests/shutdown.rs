//! SIGTERM answers what is in flight, stores what was acknowledged, exits with 0, and waits for nobody who is idle.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use signalbox_e2e::client::{Client, request};
use signalbox_e2e::environment::{alone, random, rounds};
use signalbox_e2e::installation::Installation;
use signalbox_e2e::ledger::Ledger;
use signalbox_e2e::load::{Load, Targets, USUAL, first_recorded};
use signalbox_e2e::strace::Fault;
use signalbox_e2e::timing::{READY, Times, Watch};

/// Nobody asks for anything that takes longer.
const SOON: Duration = Duration::from_secs(3);
const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn under_load_every_answer_is_whole_and_stored() -> Result<()> {
    let _alone = alone()?;
    let installation = Installation::sqlite()?;
    let targets = Targets::of(&installation)?;
    let (mut ledger, mut ready, mut stopped) = (Ledger::default(), Times::default(), Times::default());
    let rounds = rounds(5, 60);
    for round in 0..rounds {
        let watch = Watch::start()?;
        let server = installation.serve()?;
        first_recorded(&server, &targets, &mut ledger)?;
        ready.add(watch.stop()?);
        let load = Load::start(server.address, &targets, USUAL);
        std::thread::sleep(Duration::from_millis(100 + random(500)));
        let signal = if round % 2 == 0 { Signal::TERM } else { Signal::INT };
        let watch = Watch::start()?;
        let status = server.stop(signal, LIMIT)?;
        stopped.add(watch.stop()?);
        ledger.merge(load.stop()?);
        ensure!(status.code() == Some(0), "{status} after {signal:?}");
    }
    let balance = ledger.balance(&installation.export()?);
    eprintln!("{rounds} × SIGTERM or SIGINT: {balance}; stopped after {stopped}; ready after {ready}");
    ensure!(ledger.cut_off.is_empty(), "answers are cut off: {:?}", ledger.cut_off);
    ensure!(ledger.wrong.is_empty(), "wrong answers: {:?}", ledger.wrong);
    ensure!(balance.is_even(), "{balance}");
    stopped.ensure_within(SOON, "stopping")?;
    ready.ensure_within(READY, "starting again")
}

#[test]
fn idle_connections_do_not_delay_the_end() -> Result<()> {
    let installation = Installation::sqlite()?;
    let pixel = installation.mint_opens(1)?.remove(0).path;
    let server = installation.serve()?;
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut fast = server.client()?;
        ensure!(fast.get(&pixel)?.event_id().is_some());
        let mut shell = server.client()?;
        ensure!(shell.get("/health")?.status == 200);
        let mut unfinished = server.client()?;
        unfinished.send(b"GET /o/abc.gif HTTP/1.1\r\nHost: t.exam")?;
        let mut unfinished_api = server.client()?;
        unfinished_api.send(b"GET /health HTTP/1.1\r\nHost: t.exam")?;
        clients.extend([fast, shell, unfinished, unfinished_api, server.client()?]);
    }
    let watch = Watch::start()?;
    let status = server.stop(Signal::TERM, LIMIT)?;
    ensure!(status.code() == Some(0), "{status}");
    watch.stop()?.ensure_within(SOON, "stopping with 250 idle connections")?;
    ensure!(clients.iter_mut().all(|client| client.closes_within(SOON)), "a connection outlived the server");
    Ok(())
}

#[test]
fn an_open_live_page_does_not_delay_the_end() -> Result<()> {
    let installation = Installation::sqlite()?;
    let server = installation.serve()?;
    let authorization = format!("Bearer {}", installation.token()?);
    let mut watcher = server.client()?;
    watcher.send(&request("GET", "/api/v1/live", &[("Authorization", &authorization)], b""))?;
    // Its first totals come soon; then it only listens.
    ensure!(!watcher.closes_within(Duration::from_secs(1)), "the live stream ended by itself");
    let watch = Watch::start()?;
    let status = server.stop(Signal::TERM, LIMIT)?;
    ensure!(status.code() == Some(0), "{status}");
    watch.stop()?.ensure_within(SOON, "stopping with an open live page")
}

#[test]
fn a_hit_that_waits_for_its_commit_is_answered() -> Result<()> {
    let installation = Installation::sqlite()?;
    let targets = Targets::of(&installation)?;
    let server = installation.serve()?;
    first_recorded(&server, &targets, &mut Ledger::default())?;
    let mut waiting: Vec<Client> = (0..8).map(|_| server.client()).collect::<Result<_>>()?;
    let slow = Fault::inject(server.pid(), "fsync,fdatasync:delay_enter=600000")?;
    for client in &mut waiting {
        client.send(&request("GET", &targets.pixel().path, &[], b""))?;
    }
    std::thread::sleep(Duration::from_millis(200));
    let status = server.stop(Signal::TERM, LIMIT)?;
    drop(slow);
    ensure!(status.code() == Some(0), "{status}");
    let stored = installation.export()?;
    for client in &mut waiting {
        let answer = client.receive(true)?;
        let id = answer.event_id().context("the answer does not say that the hit was recorded")?;
        ensure!(stored.iter().any(|event| event.id == id), "{id} was acknowledged and is not stored");
    }
    Ok(())
}
