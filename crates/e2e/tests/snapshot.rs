//! Snapshots under load: what was acknowledged before one began is in it, nothing is in it that was not sent, and whoever
//! is killed on the way leaves nothing that could be taken for a whole one.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use signalbox_e2e::cluster::Cluster;
use signalbox_e2e::environment::{self, alone, random, rounds};
use signalbox_e2e::installation::Installation;
use signalbox_e2e::ledger::Ledger;
use signalbox_e2e::load::{Load, Targets, USUAL, first_recorded};

/// An installation, and room beside it.
struct House {
    original: Installation,
    cluster: Option<Cluster>,
    folder: tempfile::TempDir,
    copies: u32,
}

impl House {
    fn sqlite() -> Result<Self> {
        let folder = environment::scratch("snapshot")?;
        let original = Installation::at(folder.path().join("data"))?;
        Ok(Self { original, cluster: None, folder, copies: 0 })
    }

    fn postgres() -> Result<Self> {
        let folder = environment::scratch("snapshot")?;
        let cluster = Cluster::create()?;
        let original = Installation::at(folder.path().join("data"))?.on_postgres(cluster.url())?;
        Ok(Self { original, cluster: Some(cluster), folder, copies: 0 })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn create(&self, name: &str) -> Result<Value> {
        let file = self.file(name);
        let said = self.original.run(&["snapshot", "create", text(&file)?, "--output", "json"])?;
        Ok(serde_json::from_str(&said)?)
    }

    /// A place for a copy.
    fn place(&mut self) -> Result<Installation> {
        self.copies += 1;
        let url =
            self.cluster.as_ref().map(|cluster| cluster.database(&format!("copy_{}", self.copies))).transpose()?;
        Installation::to_be(self.file(&format!("copy-{}", self.copies)), url)
    }

    fn restore(&mut self, name: &str) -> Result<Installation> {
        let place = self.place()?;
        place.run(&["snapshot", "restore", text(&self.file(name))?, "--new-keys"])?;
        Ok(place)
    }

    /// What lies in the folder beside the installation.
    fn beside(&self) -> Result<Vec<String>> {
        let names = std::fs::read_dir(self.folder.path())?;
        names.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

fn under_load(mut house: House, rounds: u32) -> Result<()> {
    let targets = Targets::of(&house.original)?;
    let mut before = Ledger::default();
    for round in 0..rounds {
        let server = house.original.serve()?;
        first_recorded(&server, &targets, &mut before)?;
        let load = Load::start(server.address, &targets, USUAL);
        std::thread::sleep(Duration::from_millis(50 + random(400)));
        before.merge(load.stop()?);
        // From here on what is acknowledged may be in it, what was before must.
        let load = Load::start(server.address, &targets, USUAL);
        std::thread::sleep(Duration::from_millis(random(300)));
        let name = format!("{round}.snapshot");
        let made = house.create(&name)?;
        let during = if round % 2 == 1 {
            server.kill()?;
            load.stop()?
        } else {
            let during = load.stop()?;
            server.terminate()?;
            during
        };
        let copy = house.restore(&name)?;
        let stored = copy.export()?;
        let lost = before.balance(&stored).lost;
        ensure!(lost.is_empty(), "acknowledged before the snapshot and not in it: {lost:?}");
        before.merge(during);
        let balance = before.balance(&stored);
        ensure!(balance.unknown.is_empty() && balance.doubled.is_empty() && balance.partial.is_empty(), "{balance}");
        let manifest = &made["manifest"];
        eprintln!(
            "{round}: {} events, cursor {}, {} waiting",
            stored.len(),
            manifest["seq"],
            manifest["log"]["waiting"]
        );
        std::fs::remove_file(house.file(&name))?;
    }
    let balance = before.balance(&house.original.export()?);
    ensure!(balance.is_even(), "{balance}");
    Ok(())
}

#[test]
fn under_load_on_sqlite_nothing_acknowledged_is_missing() -> Result<()> {
    let _alone = alone()?;
    under_load(House::sqlite()?, rounds(6, 100))
}

#[test]
fn under_load_on_postgres_nothing_acknowledged_is_missing() -> Result<()> {
    let _alone = alone()?;
    under_load(House::postgres()?, rounds(4, 50))
}

fn recorded(house: &House) -> Result<()> {
    let targets = Targets::of(&house.original)?;
    let server = house.original.serve()?;
    first_recorded(&server, &targets, &mut Ledger::default())?;
    let load = Load::start(server.address, &targets, USUAL);
    std::thread::sleep(Duration::from_millis(500));
    load.stop()?;
    server.terminate()
}

/// Runs a command and kills it after a while; false when it came to its end before.
fn killed(command: &mut std::process::Command, after: Duration) -> Result<bool> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    std::thread::sleep(after);
    child.kill()?;
    let status = child.wait()?;
    ensure!(status.success() || status.code().is_none(), "it ended with {status}");
    Ok(!status.success())
}

/// Whoever is killed while it takes or restores a snapshot leaves no half one.
fn killed_on_the_way(mut house: House, rounds: u32) -> Result<()> {
    recorded(&house)?;
    let begun = std::time::Instant::now();
    house.create("whole")?;
    let usual = u64::try_from(begun.elapsed().as_millis())?;
    let whole = text(&house.file("whole"))?.to_owned();
    let events = house.original.export()?.len();
    let (mut create, mut restore) = (0, 0);
    for round in 0..rounds {
        let cut = house.file("cut");
        create += u32::from(killed(
            &mut house.original.command(&["snapshot", "create", text(&cut)?]),
            Duration::from_millis(random(usual)),
        )?);
        if cut.exists() {
            house.original.run(&["snapshot", "verify", text(&cut)?])?;
            std::fs::remove_file(&cut)?;
        }
        let place = house.place()?;
        let again = ["snapshot", "restore", &whole, "--new-keys"];
        restore += u32::from(killed(&mut place.command(&again), Duration::from_millis(random(usual)))?);
        // There is all of it or nothing; nothing may be taken for a fresh installation in silence.
        match place.export() {
            Ok(stored) => ensure!(stored.len() == events, "round {round}: {} of {events}", stored.len()),
            Err(_) => {
                let said = place.command(&["events", "count"]).output()?;
                let said = String::from_utf8_lossy(&said.stderr).into_owned();
                let clear = ["there is no installation", "keyring.json is missing"];
                ensure!(clear.iter().any(|words| said.contains(words)), "round {round}: {said}");
                if said.contains(clear[0]) {
                    place.run(&again)?;
                    ensure!(place.export()?.len() == events, "round {round}");
                }
            }
        }
    }
    eprintln!("{rounds} rounds: {create} × create and {restore} × restore were killed on the way");
    ensure!(create > 0 && restore > 0, "nobody was killed on the way: nothing was tried");
    house.create("cut")?;
    let left: Vec<String> = house.beside()?.into_iter().filter(|name| name == ".cut.new").collect();
    ensure!(left.is_empty(), "what a dead one left is still there: {left:?}");
    Ok(())
}

#[test]
fn killed_on_the_way_on_sqlite() -> Result<()> {
    let _alone = alone()?;
    killed_on_the_way(House::sqlite()?, rounds(8, 100))
}

#[test]
fn killed_on_the_way_on_postgres() -> Result<()> {
    let _alone = alone()?;
    killed_on_the_way(House::postgres()?, rounds(5, 50))
}

fn refusals(mut house: House) -> Result<()> {
    recorded(&house)?;
    house.create("one")?;
    let one = house.file("one");
    let one = text(&one)?.to_owned();
    let fails = |place: &Installation, words: &[&str], told: &str| -> Result<()> {
        let output = place.command(words).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(!output.status.success() && said.contains(told), "{words:?} should say {told:?}: {said}");
        Ok(())
    };
    fails(&house.original, &["snapshot", "create", &one], "is there already")?;
    fails(&house.original, &["snapshot", "restore", &one, "--new-keys"], "is not empty")?;
    fails(&house.original, &["snapshot", "restore", &one], "--new-keys")?;
    let said = house.original.run(&["snapshot", "verify", &one])?;
    for words in ["by SHA-256", "none between is missing", "the chain of the audit log holds"] {
        ensure!(said.contains(words), "{said}");
    }
    let verified: Value =
        serde_json::from_str(&house.original.run(&["snapshot", "verify", &one, "--output", "json"])?)?;
    ensure!(verified["tables"]["event"].as_i64() > Some(0), "{verified}");

    // One byte in the middle of a part, and a file that ends early.
    let bytes = std::fs::read(&one)?;
    for (name, changed) in [
        ("changed", {
            let mut changed = bytes.clone();
            let middle = changed.len() / 2;
            changed[middle] ^= 0x40;
            changed
        }),
        ("short", bytes[..bytes.len() - 1].to_vec()),
        ("empty", Vec::new()),
        ("other", b"PK\x03\x04 and so on".to_vec()),
    ] {
        let file = house.file(name);
        std::fs::write(&file, changed)?;
        fails(&house.original, &["snapshot", "verify", text(&file)?], "error: ")?;
        let place = house.place()?;
        fails(&place, &["snapshot", "restore", text(&file)?, "--new-keys"], "error: ")?;
        ensure!(!place.data.exists(), "a place that was refused is left as it was");
    }

    // A copy says what it is; with the keys of the original its links are valid, with others they are not.
    let links = house.original.mint_opens(1)?;
    let mine = text(&house.original.data.join("keys"))?.to_owned();
    for (words, valid, held) in [
        (vec!["--new-keys"], false, true),
        (vec!["--keys", &mine], true, true),
        (vec!["--keys", &mine, "--live"], true, false),
    ] {
        let place = house.place()?;
        place.run(&[&["snapshot", "restore", &one], words.as_slice()].concat())?;
        let server = place.serve()?;
        let recorded = server.get(&links[0].path)?.header("x-event-id").is_some();
        ensure!(recorded == valid, "{words:?}");
        let health: Value = serde_json::from_slice(&server.get("/health")?.body)?;
        ensure!((health["held"] == true) == held && health["status"] != "fail", "{health}");
        ensure!(server.said()?.contains("nothing goes out of it") == held);
        server.terminate()?;
        let doctor = place.run(&["doctor"])?;
        ensure!(!doctor.contains('✗'), "{doctor}");
        place.run(&["rebuild", "--dry-run"])?;
    }
    Ok(())
}

#[test]
fn what_is_refused_and_what_a_copy_is_on_sqlite() -> Result<()> {
    refusals(House::sqlite()?)
}

#[test]
fn what_is_refused_and_what_a_copy_is_on_postgres() -> Result<()> {
    refusals(House::postgres()?)
}
