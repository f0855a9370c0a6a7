//! The tour of `signalbox demo`: a good version, one that loses clicks, and one whose controller is killed.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use signalbox_e2e::environment;

#[test]
fn the_tour_loses_nothing_and_leaves_nothing() -> Result<()> {
    let _alone = environment::alone()?;
    let folder = environment::scratch("tour")?;
    let mut command = Command::new(environment::binary()?);
    command.args(["demo", "--no-hold", "--recipients", "300", "--listen", "127.0.0.1:0", "--output", "json"]);
    command.current_dir(folder.path()).env_remove("DATABASE_URL").env("TMPDIR", folder.path());
    let ran = command.output()?;
    let said = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "{}: {said} {}", ran.status, String::from_utf8_lossy(&ran.stdout));
    let told: Value = serde_json::from_slice(&ran.stdout)?;
    let releases = told["releases"]["releases"].as_array().context("no releases")?;
    let states: Vec<_> = releases.iter().map(|one| (&one["version"], &one["state"])).collect();
    let wanted = [("1.1.0", "promoted"), ("1.2.0", "rolled_back"), ("1.3.0", "promoted")];
    ensure!(
        states.len() == 3
            && states
                .iter()
                .zip(wanted)
                .all(|(one, wanted)| (one.0.as_str(), one.1.as_str()) == (Some(wanted.0), Some(wanted.1))),
        "{told}"
    );
    ensure!(releases[1]["said"].as_str().is_some_and(|said| said.contains("recording")), "{told}");
    ensure!(releases[1]["routed_back_in_ms"].as_u64().is_some_and(|millis| millis < 1_000), "{told}");
    let (requests, events) = (&told["releases"]["requests"], &told["releases"]["events"]);
    ensure!(
        requests["balances"] == json!(true) && requests["broken"] == 0 && requests["answered_by_edge"] == 0,
        "{told}"
    );
    ensure!(requests["accepted"].as_u64() > Some(5_000), "{told}");
    ensure!(events["lost"] == 0 && events["pretended"].as_u64() > Some(0), "{told}");
    let left: Vec<_> = std::fs::read_dir(folder.path())?.collect::<Result<_, _>>()?;
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}
