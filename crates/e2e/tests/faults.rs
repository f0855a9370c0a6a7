//! Storage that fails: a sync that fails, one that takes seconds, a disk that is full. Nothing is acknowledged that is
//! not stored, recipients never notice, callers of the API are told, and the server heals where it can.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use signalbox_e2e::cluster::Cluster;
use signalbox_e2e::disk::Small;
use signalbox_e2e::environment::{alone, rounds};
use signalbox_e2e::installation::{DESTINATION, Installation};
use signalbox_e2e::ledger::Ledger;
use signalbox_e2e::load::{Clients, Load, Targets, USUAL, body, first_recorded};
use signalbox_e2e::process::{output, wait_for};
use signalbox_e2e::server::Server;
use signalbox_e2e::strace::{Fault, under_fault};
use signalbox_e2e::timing::{READY, Time, Watch};

const MOST_MEMORY: u64 = 200 << 20;
const SYNCS: &str = "fsync,fdatasync";

/// One pixel, one click and one API event, as their senders see them while nothing can be stored.
fn ask_in_vain(server: &Server, targets: &Targets, ledger: &mut Ledger) -> Result<()> {
    let (pixel, click) = (targets.pixel(), targets.click());
    ledger.send_hit(pixel);
    ledger.send_hit(click);
    let answer = server.get(&pixel.path)?;
    ensure!(answer.status == 200 && answer.body.len() == 43, "a pixel got {answer:?}");
    ensure!(answer.event_id().is_none(), "a pixel was acknowledged: {answer:?}");
    let answer = server.get(&click.path)?;
    ensure!(answer.status == 302 && answer.header("location") == Some(DESTINATION), "a click got {answer:?}");
    ensure!(answer.event_id().is_none(), "a click was acknowledged: {answer:?}");
    let (name, ids) = targets.batch(20);
    ledger.send_batch(&name, &ids);
    let answer = server.post_events(targets.token(), &body(&ids))?;
    ensure!(answer.status == 503, "an API batch got {} {}", answer.status, answer.text());
    ensure!(answer.header("retry-after").is_some(), "503 without Retry-After: {answer:?}");
    Ok(())
}

fn health(server: &Server) -> Result<u16> {
    Ok(server.get("/health")?.status)
}

/// Records by hits and by the API again, and says so on `/health`.
fn all_is_well(server: &Server, targets: &Targets, ledger: &mut Ledger) -> Result<()> {
    first_recorded(server, targets, ledger)?;
    let (name, ids) = targets.batch(20);
    ledger.send_batch(&name, &ids);
    let answer = server.post_events(targets.token(), &body(&ids))?;
    ensure!(answer.status == 200, "an API batch got {} {}", answer.status, answer.text());
    ledger.acknowledge_batch(&ids);
    wait_for(READY, "/health with 200", || {
        let answer = server.get("/health")?;
        if answer.status == 200 { Ok(()) } else { bail!("{} {}", answer.status, answer.text()) }
    })
}

/// Records again by itself, and soon.
fn heals(server: &Server, targets: &Targets, ledger: &mut Ledger) -> Result<Time> {
    let watch = Watch::start()?;
    first_recorded(server, targets, ledger)?;
    let healed = watch.stop()?;
    healed.ensure_within(READY, "recording again")?;
    Ok(healed)
}

fn settle(installation: &Installation, ledger: &Ledger, what: &str) -> Result<()> {
    let balance = ledger.balance(&installation.export()?);
    eprintln!("{what}: {balance}; {} unrecorded, {} refused", ledger.unrecorded, ledger.refused);
    ensure!(balance.is_even(), "{balance}");
    ensure!(ledger.wrong.is_empty(), "wrong answers: {:?}", ledger.wrong);
    ensure!(ledger.cut_off.is_empty(), "answers are cut off: {:?}", ledger.cut_off);
    Ok(())
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_until_a_fresh_start() -> Result<()> {
    let _alone = alone()?;
    let installation = Installation::sqlite()?;
    let (targets, mut ledger) = (Targets::of(&installation)?, Ledger::default());
    let server = installation.serve()?;
    all_is_well(&server, &targets, &mut ledger)?;
    let load = Load::start(server.address, &targets, USUAL);
    std::thread::sleep(Duration::from_millis(300));
    let fault = Fault::inject(server.pid(), &format!("{SYNCS}:error=EIO"))?;
    std::thread::sleep(Duration::from_millis(700));
    ledger.merge(load.stop()?);
    for _ in 0..10 {
        ask_in_vain(&server, &targets, &mut ledger)?;
    }
    ensure!(health(&server)? == 503, "/health does not tell that nothing is recorded");
    // The disk works again, but the pages whose sync failed may be gone: only a new process may trust it.
    fault.end()?;
    std::thread::sleep(Duration::from_secs(1));
    for _ in 0..10 {
        ask_in_vain(&server, &targets, &mut ledger)?;
    }
    ensure!(health(&server)? == 503, "/health does not ask for a new process");
    server.kill()?;
    let watch = Watch::start()?;
    let server = installation.serve()?;
    all_is_well(&server, &targets, &mut ledger)?;
    watch.stop()?.ensure_within(READY, "a fresh start")?;
    server.terminate()?;
    settle(&installation, &ledger, "failed sync")
}

/// PostgreSQL gives itself up then; a server that outlives it acknowledges nothing and heals when it is back.
#[test]
fn while_postgres_cannot_sync_nothing_is_acknowledged() -> Result<()> {
    let _alone = alone()?;
    let mut cluster = Cluster::create()?;
    let installation = Installation::sqlite()?.on_postgres(cluster.url())?;
    let (targets, mut ledger) = (Targets::of(&installation)?, Ledger::default());
    let server = installation.serve()?;
    all_is_well(&server, &targets, &mut ledger)?;
    let load = Load::start(server.address, &targets, USUAL);
    std::thread::sleep(Duration::from_millis(300));
    let fault = Fault::inject_all(&cluster.pids(), &format!("{SYNCS}:error=EIO"))?;
    std::thread::sleep(Duration::from_secs(1));
    ledger.merge(load.stop()?);
    for _ in 0..5 {
        ask_in_vain(&server, &targets, &mut ledger)?;
    }
    ensure!(health(&server)? == 503, "/health does not tell that nothing is recorded");
    fault.end()?;
    cluster.kill()?;
    cluster.start()?;
    heals(&server, &targets, &mut ledger)?;
    all_is_well(&server, &targets, &mut ledger)?;
    server.terminate()?;
    settle(&installation, &ledger, "PostgreSQL's failed sync")
}

#[test]
fn a_server_that_cannot_sync_does_not_start() -> Result<()> {
    let installation = Installation::sqlite()?;
    let targets = Targets::of(&installation)?;
    let server = installation.serve()?;
    first_recorded(&server, &targets, &mut Ledger::default())?;
    server.kill()?;
    let serve = installation.command(&["serve", "--listen", "127.0.0.1:0"]);
    let error = match output(&mut under_fault(&serve, &format!("{SYNCS}:error=EIO"))?) {
        Ok(said) => bail!("it ended without an error and said {said:?}"),
        Err(error) => format!("{error:#}"),
    };
    ensure!(error.contains("exit status: 1") && error.contains("error: "), "{error}");
    Ok(())
}

#[test]
fn a_full_disk_refuses_and_heals_by_itself() -> Result<()> {
    let _alone = alone()?;
    // /health wants 64 MiB free before it calls a disk well, and each write-ahead log may take as much.
    let small = Small::create(400 << 20)?;
    let installation = Installation::at(small.path().join("data"))?;
    let (targets, mut ledger) = (Targets::of(&installation)?, Ledger::default());
    let server = installation.serve()?;
    for round in 0..rounds(3, 20) {
        let spare_pages = u64::from(round * round);
        all_is_well(&server, &targets, &mut ledger)?;
        let clients = Clients { pixels: 4, clicks: 2, api: 1, batch: 50 };
        let load = Load::start(server.address, &targets, clients);
        std::thread::sleep(Duration::from_millis(100));
        small.fill(spare_pages * 4096)?;
        let mut met = load.stop()?;
        // What still fits into the pages that the database has already may be recorded; in the end nothing does.
        wait_for(Duration::from_secs(20), "a full disk", || {
            let load = Load::start(server.address, &targets, clients);
            std::thread::sleep(Duration::from_millis(300));
            met.merge(load.stop()?);
            ensure!(met.unrecorded > 0 && met.refused > 0, "everything is still recorded");
            Ok(())
        })?;
        ledger.merge(met);
        ensure!(health(&server)? == 503, "/health does not tell that the disk is full");
        let reports = server.client()?.request(
            "GET",
            "/api/v1/events?limit=1",
            &[("Authorization", &format!("Bearer {}", targets.token()))],
            b"",
        )?;
        ensure!(reports.status == 200, "reading on a full disk got {} {}", reports.status, reports.text());
        small.free()?;
        heals(&server, &targets, &mut ledger)
            .with_context(|| format!("after the disk was full but for {spare_pages} pages"))?;
        all_is_well(&server, &targets, &mut ledger)?;
    }
    server.terminate()?;
    settle(&installation, &ledger, "full disk")
}

#[test]
fn space_that_runs_out_in_the_middle_of_commits_leaves_no_part_of_a_batch() -> Result<()> {
    let _alone = alone()?;
    let installation = Installation::sqlite()?;
    let (targets, mut ledger) = (Targets::of(&installation)?, Ledger::default());
    let server = installation.serve()?;
    all_is_well(&server, &targets, &mut ledger)?;
    let load = Load::start(server.address, &targets, Clients { pixels: 4, clicks: 2, api: 4, batch: 500 });
    // Of a commit's several writes a later one fails, another time the first.
    let fault = Fault::inject(server.pid(), "pwrite64:error=ENOSPC:when=7+5")?;
    std::thread::sleep(Duration::from_secs(3));
    fault.end()?;
    heals(&server, &targets, &mut ledger)?;
    ledger.merge(load.stop()?);
    all_is_well(&server, &targets, &mut ledger)?;
    ensure!(ledger.refused > 0, "no write has failed: this proves nothing");
    server.terminate()?;
    settle(&installation, &ledger, "full in the middle of commits")
}

/// The last pages of a disk may go to the log itself and be missing for the index beside it.
#[test]
fn space_that_runs_out_for_the_index_of_the_log_heals_too() -> Result<()> {
    let installation = Installation::sqlite()?;
    let (targets, mut ledger) = (Targets::of(&installation)?, Ledger::default());
    let server = installation.serve()?;
    all_is_well(&server, &targets, &mut ledger)?;
    let fault = Fault::inject_on(server.pid(), &installation.data.join("intake.db-shm"), "pwrite64:error=ENOSPC")?;
    // The index grows with every 16 MiB of the log.
    wait_for(Duration::from_secs(30), "a refusal", || {
        let (name, ids) = targets.batch(10_000);
        ledger.send_batch(&name, &ids);
        match server.post_events(targets.token(), &body(&ids))?.status {
            200 => {
                ledger.acknowledge_batch(&ids);
                bail!("everything is still recorded")
            }
            _ => Ok(()),
        }
    })?;
    fault.end()?;
    heals(&server, &targets, &mut ledger)?;
    all_is_well(&server, &targets, &mut ledger)?;
    server.terminate()?;
    settle(&installation, &ledger, "full for the index")
}

#[test]
fn slow_syncs_cost_events_but_neither_patience_nor_memory() -> Result<()> {
    let _alone = alone()?;
    let installation = Installation::sqlite()?;
    let (targets, mut ledger) = (Targets::of(&installation)?, Ledger::default());
    let server = installation.serve()?;
    all_is_well(&server, &targets, &mut ledger)?;
    let fault = Fault::inject(server.pid(), &format!("{SYNCS}:delay_enter=4000000"))?;
    let load = Load::start(server.address, &targets, Clients { pixels: 64, clicks: 16, api: 24, batch: 4000 });
    std::thread::sleep(Duration::from_secs(1));
    let mut slowest = Duration::ZERO;
    for _ in 0..6 {
        let asked = Instant::now();
        let link = targets.pixel();
        ledger.send_hit(link);
        let answer = server.get(&link.path)?;
        slowest = slowest.max(asked.elapsed());
        ensure!(answer.status == 200 && answer.body.len() == 43, "a pixel got {answer:?}");
        if let Some(id) = answer.event_id() {
            ledger.acknowledge_hit(link, id);
        }
    }
    fault.end()?;
    let healed = heals(&server, &targets, &mut ledger)?;
    ledger.merge(load.stop()?);
    all_is_well(&server, &targets, &mut ledger)?;
    let peak = server.peak_memory()?;
    eprintln!("slowest pixel {slowest:?}, peak {} MiB, recording again after {healed}", peak >> 20);
    ensure!(slowest < Duration::from_secs(3), "a pixel waited {slowest:?} for a slow disk");
    ensure!(ledger.unrecorded > 0 && ledger.refused > 0, "nothing was refused: this proves nothing");
    ensure!(peak < MOST_MEMORY, "{} MiB of memory while the disk was slow", peak >> 20);
    server.terminate()?;
    settle(&installation, &ledger, "slow syncs")
}

/// Many large batches at once, each as large as one may be.
#[test]
fn large_batches_on_a_slow_disk_do_not_fill_the_memory() -> Result<()> {
    let _alone = alone()?;
    let installation = Installation::sqlite()?;
    let (targets, mut ledger) = (Targets::of(&installation)?, Ledger::default());
    let server = installation.serve()?;
    all_is_well(&server, &targets, &mut ledger)?;
    let padding = "y".repeat(1500);
    let batches = (0..32).map(|_| {
        let (name, ids) = targets.batch(9_000);
        ledger.send_batch(&name, &ids);
        let events = ids.iter().map(|id| {
            format!("{{\"kind\":\"custom\",\"name\":\"e2e\",\"id\":\"{id}\",\"properties\":{{\"padding\":\"{padding}\"}}}}\n")
        });
        (ids.clone(), events.collect::<String>())
    });
    let batches: Vec<_> = batches.collect();
    let (asked, token) = (&server, targets.token());
    let fault = Fault::inject(server.pid(), &format!("{SYNCS}:delay_enter=3000000"))?;
    let answers = std::thread::scope(|scope| {
        let senders: Vec<_> = batches
            .iter()
            .map(|(ids, body)| scope.spawn(move || asked.post_events(token, body).map(|answer| (ids, answer.status))))
            .collect();
        senders.into_iter().map(|sender| sender.join().expect("a sender does not panic")).collect::<Vec<_>>()
    });
    fault.end()?;
    let peak = server.peak_memory()?;
    for answer in answers {
        match answer? {
            (ids, 200) => ledger.acknowledge_batch(ids),
            (_, status) => ensure!(status == 503, "a batch got {status}"),
        }
    }
    heals(&server, &targets, &mut ledger)?;
    all_is_well(&server, &targets, &mut ledger)?;
    server.terminate()?;
    settle(&installation, &ledger, "large batches")?;
    eprintln!("peak {} MiB", peak >> 20);
    ensure!(peak < MOST_MEMORY, "{} MiB of memory for 32 batches of 14 MiB", peak >> 20);
    Ok(())
}
