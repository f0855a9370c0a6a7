//! Power failures under load: the file system drops everything that was not synced. What was acknowledged is there
//! when the power is back. Stores that do not sync must be caught.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use signalbox_e2e::client::request;
use signalbox_e2e::cluster::Cluster;
use signalbox_e2e::disk::Disk;
use signalbox_e2e::environment::{alone, random, rounds};
use signalbox_e2e::installation::Installation;
use signalbox_e2e::ledger::Ledger;
use signalbox_e2e::load::{Load, Targets, USUAL, first_recorded};
use signalbox_e2e::strace::Fault;
use signalbox_e2e::timing::{READY, Times, Watch};

const DISK_BYTES: u64 = 2 << 30;

/// Everything lies on the disk that loses power: data directory, keys, and PostgreSQL's cluster if there is one.
struct Machine {
    // Fields are dropped in order: PostgreSQL ends before its disk goes.
    cluster: Option<Cluster>,
    installation: Installation,
    disk: Disk,
    targets: Targets,
    ledger: Ledger,
    ready: Times,
}

impl Machine {
    fn sqlite() -> Result<Self> {
        let disk = Disk::create(DISK_BYTES)?;
        let installation = Installation::at(disk.path().join("data"))?;
        Self::new(None, installation, disk)
    }

    fn postgres(settings: &[&str]) -> Result<Self> {
        let disk = Disk::create(DISK_BYTES)?;
        let cluster = Cluster::create_at(&disk.path(), settings)?;
        let installation = Installation::at(disk.path().join("data"))?.on_postgres(cluster.url())?;
        Self::new(Some(cluster), installation, disk)
    }

    fn new(cluster: Option<Cluster>, installation: Installation, disk: Disk) -> Result<Self> {
        let targets = Targets::of(&installation)?;
        disk.sync()?;
        Ok(Self { cluster, installation, disk, targets, ledger: Ledger::default(), ready: Times::default() })
    }

    /// Serves under load until the power fails at a random instant; then the power is back.
    fn lose_power(&mut self, arguments: &[&str]) -> Result<()> {
        let watch = Watch::start()?;
        let server = self.installation.serve_with(&[&["--limits", "off"], arguments].concat())?;
        first_recorded(&server, &self.targets, &mut self.ledger)?;
        self.ready.add(watch.stop()?);
        let mut load = Load::start(server.address, &self.targets, USUAL);
        // Mostly soon; now and then late, or after a pause in which the housekeeping of the store has had its turn.
        let (longest, pause) = [(900, 0), (900, 0), (900, 0), (4000, 0), (900, 1500)][random(5) as usize];
        std::thread::sleep(Duration::from_millis(50 + random(longest)));
        if pause > 0 {
            self.ledger.merge(load.stop()?);
            std::thread::sleep(Duration::from_millis(random(pause)));
            load = Load::start(server.address, &self.targets, USUAL);
            std::thread::sleep(Duration::from_millis(random(100)));
        }
        // An fsync that is under way while ext4 shuts down may return without an error though its transaction was thrown
        // away (seen on Linux 6.18). With real power no answer gets out any more, so none counts from here on.
        load.deafen();
        self.disk.cut_power()?;
        // Nothing reaches the disk any more, but the processes do not know yet.
        std::thread::sleep(Duration::from_millis(random(100)));
        let said = server.log();
        server.kill()?;
        self.ledger.merge(load.stop()?);
        ensure!(
            self.ledger.wrong.is_empty(),
            "wrong answers: {:?}; the server said:\n{said}",
            self.ledger.wrong.first()
        );
        if let Some(cluster) = &mut self.cluster {
            cluster.kill()?;
        }
        self.disk.restore()?;
        self.cluster.as_mut().map_or(Ok(()), Cluster::start)
    }

    fn survive(mut self, rounds: u32) -> Result<()> {
        for _ in 0..rounds {
            self.lose_power(&[])?;
        }
        let balance = self.ledger.balance(&self.installation.export()?);
        eprintln!("{rounds} × power loss: {balance}; ready after {}", self.ready);
        ensure!(balance.is_even(), "{balance}");
        self.ready.ensure_within(READY, "starting again")?;
        self.installation.run(&["doctor"])?;
        if let Some(mut cluster) = self.cluster.take() {
            cluster.kill()?;
        }
        self.disk.check()
    }

    /// Rounds until something acknowledged is lost.
    fn must_lose(mut self, arguments: &[&str]) -> Result<()> {
        const TRIES: u32 = 20;
        for round in 1..=TRIES {
            self.lose_power(arguments)?;
            let balance = self.ledger.balance(&self.installation.export()?);
            if !balance.lost.is_empty() {
                eprintln!("caught in round {round}: {balance}");
                return Ok(());
            }
        }
        bail!("{TRIES} power failures of a store that does not sync, and nothing was lost")
    }
}

#[test]
fn power_lost_on_sqlite_nothing_acknowledged_is_lost() -> Result<()> {
    let _alone = alone()?;
    Machine::sqlite()?.survive(rounds(3, 50))
}

#[test]
fn power_lost_on_postgres_nothing_acknowledged_is_lost() -> Result<()> {
    let _alone = alone()?;
    Machine::postgres(&[])?.survive(rounds(2, 50))
}

/// Whoever runs PostgreSQL may have chosen speed for everything else in it.
#[test]
fn power_lost_on_postgres_with_lazy_commits_nothing_acknowledged_is_lost() -> Result<()> {
    let _alone = alone()?;
    Machine::postgres(&["synchronous_commit=off"])?.survive(rounds(2, 10))
}

/// A command that reads what a killed server had written and not yet synced must not count it before it is safe: what
/// comes after a power failure would otherwise be taken for known.
#[test]
fn what_was_read_before_it_was_synced_hides_nothing_later() -> Result<()> {
    let _alone = alone()?;
    let mut machine = Machine::sqlite()?;
    let (server, targets) = (machine.installation.serve()?, machine.targets.clone());
    first_recorded(&server, &targets, &mut machine.ledger)?;
    let slow = Fault::inject(server.pid(), "fdatasync,fsync:delay_enter=3000000")?;
    let link = targets.pixel();
    for _ in 0..20 {
        machine.ledger.send_hit(link);
        server.client()?.send(&request("GET", &link.path, &[], b""))?;
    }
    std::thread::sleep(Duration::from_secs(1));
    server.kill()?;
    drop(slow);
    let before = machine.installation.count()?;
    machine.disk.cut_power()?;
    machine.disk.restore()?;
    let server = machine.installation.serve()?;
    for _ in 0..30 {
        first_recorded(&server, &targets, &mut machine.ledger)?;
    }
    server.terminate()?;
    let balance = machine.ledger.balance(&machine.installation.export()?);
    ensure!(balance.is_even(), "{before} events were read before the power failed; afterwards: {balance}");
    Ok(())
}

/// The negative controls: these tests notice what they are there to notice.
#[test]
fn sqlite_without_syncs_is_caught() -> Result<()> {
    let _alone = alone()?;
    Machine::sqlite()?.must_lose(&["--allow-faults", "--fault", "sync-normal"])
}

#[test]
fn postgres_without_syncs_is_caught() -> Result<()> {
    let _alone = alone()?;
    Machine::postgres(&["fsync=off"])?.must_lose(&[])
}
