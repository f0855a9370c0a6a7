//! Signalbox itself as the service: its store is saved, restored into a sandbox and migrated without a command of the manifest.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use signalbox_e2e::control::{Askers, ControlHouse};
use signalbox_e2e::installation::Installation;
use signalbox_e2e::{environment, process};

/// `smoke-ok` decides whether the suite passes; what staging says of itself is kept.
const SMOKE: &str = "test -e smoke-ok && curl -sf http://127.0.0.1:{port}/health && echo && \
                     for process in $$ $(pgrep -f -- '--data {data}'); do readlink /proc/$process/ns/net; done";

fn manifest(sandbox: &str) -> Result<String> {
    let binary = environment::binary()?;
    Ok(format!(
        r#"profile = "fast"

[service]
name      = "signalbox"
kind      = "engage"
run       = ["{}", "serve", "--listen", "127.0.0.1:{{port}}", "--limits", "off", "--data", "{{data}}"]
instances = 1
ports     = "{{ports}}"
drain     = "5s"
health    = {{ path = "/health", interval = "200ms", startup = "60s" }}

[canary]
steps        = [50, 100]
hold         = "2s"
min_requests = 30
bake         = "1s"
insufficient = "hold 60s, then roll back"
[[canary.metric]]
name  = "errors"
worse = "+1 points"

[staging]
{sandbox}
smoke = [["sh", "-c", '''{SMOKE}''']]
load  = {{ peak = 2, factor = 5 }}

[readiness]
threshold = 30
{{evidence}}
"#,
        binary.display()
    ))
}

fn said(journal: &[Value], words: &str) -> bool {
    journal.iter().any(|record| record["said"].as_str().is_some_and(|said| said.contains(words)))
}

fn check<'r>(report: &'r Value, id: &str) -> Result<&'r Value> {
    let rows = report["rows"].as_array().context("no rows")?.iter();
    let mut checks = rows.flat_map(|row| row["checks"].as_array().into_iter().flatten());
    checks.find(|check| check["id"] == id).with_context(|| format!("no {id}"))
}

fn readiness(house: &ControlHouse, version: &str) -> Result<Value> {
    let ended = house.run(&["release", "readiness", version, "--output", "json"])?;
    serde_json::from_str(&ended.out).with_context(|| format!("{ended:?}"))
}

/// What the suite said in a release.
fn smoke(house: &ControlHouse, number: u32) -> Result<String> {
    Ok(std::fs::read_to_string(house.edge.data.join(format!("control/services/signalbox/{number}/smoke.log")))?)
}

#[test]
fn each_release_proves_its_snapshot_in_a_sandbox() -> Result<()> {
    let _alone = environment::alone()?;
    let house = ControlHouse::new(crate::SERVICE)?;
    let control = house.control(&[])?;
    house.write_text(&manifest("")?)?;
    std::fs::write(house.folder().join("smoke-ok"), "")?;
    house.promote("1.0.0")?;
    ensure!(said(&house.journal()?, "there is no store yet"), "a first release has nothing to save");

    // What is recorded before the second release is in its snapshot.
    let installation = Installation::to_be(house.edge.data.clone(), None)?;
    let link = installation.mint_opens(1)?.remove(0);
    for _ in 0..20 {
        let answer = house.server.get(&link.path)?;
        ensure!(answer.header("x-event-id").is_some(), "{answer:?}");
    }
    let askers = Askers::start_at(house.server.address, 2, Box::leak(link.path.clone().into_boxed_str()));
    let second = house.promote("2.0.0");
    let asked = askers.stop()?;
    let second = second?;
    ensure!(asked.failed.is_empty(), "{asked:?} {second:?}");
    let journal = house.journal()?;
    for words in [
        "none between is missing",
        "the chain of the audit log holds",
        "held, with keys of its own",
        "1 of 1 passed, output in smoke.log",
        "requests/s, p50",
        "the schema is up to date",
    ] {
        ensure!(said(&journal, words), "nobody said {words:?}: {journal:?}");
    }
    let folder = house.edge.data.join("control/services/signalbox/2");
    ensure!(
        !smoke(&house, 1)?.contains("held") && smoke(&house, 2)?.contains("\"held\":true"),
        "the copy says what it is"
    );
    ensure!(!folder.join("copy").exists(), "the copy is removed");
    let networks: BTreeSet<String> =
        smoke(&house, 2)?.lines().filter(|line| line.starts_with("net:[")).map(str::to_owned).collect();
    ensure!(networks.len() == 2, "staging has a network of its own: {networks:?}");
    // Beside a projector that catches up on a busy machine a command may find the store locked for a while.
    let stored = process::wait_for(Duration::from_secs(120), "the count of events", || installation.count())?;
    ensure!(stored as u64 >= asked.answered, "{stored} of {}", asked.answered);

    // What was measured is evidence: of the database, of the restore, and of the baseline of the version before.
    let report = readiness(&house, "2.0.1")?;
    for (id, words) in [
        ("database.reachable", "answered in"),
        ("database.backup", "last verified backup"),
        ("database.drill", "last drill passed"),
        ("monitoring.healthy", "healthy"),
        ("monitoring.metrics", "no metric without data"),
    ] {
        let found = check(&report, id)?;
        ensure!(found["judgement"] == "pass" && found["said"].to_string().contains(words), "{found}");
        ensure!(found["source"]["command"].as_str().is_some_and(|command| !command.is_empty()), "{found}");
    }
    // Nobody looked at these, and nothing is a pass without evidence.
    for id in ["git.clean", "git.tag", "automation.smoke", "automation.rollback", "performance.load"] {
        ensure!(check(&report, id)?["judgement"] == "no_evidence", "{}", check(&report, id)?);
    }

    // A suite that fails ends it before anybody sees the version; the snapshot and what was measured stay.
    std::fs::remove_file(house.folder().join("smoke-ok"))?;
    let third = house.deploy("3.0.0")?;
    ensure!(third.code == 4 && third.out.contains("0 of 1 passed"), "{third:?}");
    house.only("2.0.0")?;
    let report = readiness(&house, "3.0.0")?;
    let smoke = check(&report, "automation.smoke")?;
    ensure!(smoke["judgement"] == "fail" && smoke["said"] == "0 of 1 passed", "{smoke}");
    let snapshot = house.edge.data.join("control/services/signalbox/3/backup");
    let verified = house.run(&["snapshot", "verify", snapshot.to_str().context("a path")?])?;
    ensure!(verified.code == 0, "{verified:?}");

    // Where the store would be production's in staging too, nothing is tried.
    let fixed = manifest("")?.replace("\"{data}\"", &format!("\"{}\"", house.edge.data.display()));
    std::fs::write(house.folder().join("smoke-ok"), "")?;
    house.write_text(&fixed)?;
    let fourth = house.deploy("4.0.0")?;
    ensure!(fourth.code == 4 && fourth.out.contains("write --data {data}"), "{fourth:?}");
    house.only("2.0.0")?;

    // A way back is measured by its own journal.
    house.write_text(&manifest("")?)?;
    let back = house.run(&["rollback", "--watch", "--timeout", "300s"])?;
    ensure!(back.code == 0, "{back:?}");
    house.only("1.0.0")?;
    let report = readiness(&house, "5.0.0")?;
    let rollback = check(&report, "automation.rollback")?;
    ensure!(rollback["judgement"] == "pass" && rollback["said"].to_string().contains("passed in"), "{rollback}");
    control.terminate()
}
