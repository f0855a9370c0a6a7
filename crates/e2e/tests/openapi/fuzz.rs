//! schemathesis makes requests from the document, good ones and bad ones, and judges every answer.

use std::process::Command;

use anyhow::{Result, bail};
use signalbox_e2e::environment;

use crate::rig::Rig;

/// The stream of live events has no end; its refusals are in `refusals.rs`, its messages in `answers.rs`.
const ENDLESS: &str = "watch";

#[test]
fn schemathesis_finds_nothing_when_signed_in() -> Result<()> {
    let rig = Rig::with_events()?;
    let bearer = format!("Authorization: Bearer {}", rig.token);
    let usual = ["--header", &bearer, "--exclude-operation-id", ENDLESS];
    run(&rig, &[&usual[..], &["--phases", "examples,coverage,fuzzing"]].concat(), environment::rounds(8, 300))?;
    // What follows from answers would revoke the very token that asks.
    run(
        &rig,
        &[&usual[..], &["--phases", "stateful", "--exclude-method", "DELETE"]].concat(),
        environment::rounds(8, 100),
    )
}

#[test]
fn schemathesis_finds_nothing_when_not_signed_in() -> Result<()> {
    run(&Rig::with_events()?, &["--phases", "examples,coverage,fuzzing"], environment::rounds(4, 100))
}

fn run(rig: &Rig, arguments: &[&str], examples: u32) -> Result<()> {
    let folder = environment::scratch("schemathesis")?;
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi/schemathesis.toml");
    let hooks = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi/hooks.py");
    let mut command = Command::new(environment::schemathesis()?);
    command
        .args(["--config-file", config, "run", &format!("http://{}/api/openapi.json", rig.server.address)])
        .args(["--checks", "all", "--max-examples", &examples.to_string(), "--continue-on-failure"])
        // The machine may be busy; how fast answers are is measured elsewhere.
        .args(["--request-timeout", "30", "--suppress-health-check", "too_slow,filter_too_much"])
        .args(arguments)
        .env("SCHEMATHESIS_HOOKS", hooks)
        .current_dir(folder.path());
    if examples < 50 {
        command.args(["--seed", "1"]);
    }
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("schemathesis found something:\n{said}\nthe server said:\n{}", rig.server.log());
    }
    print!("{said}");
    Ok(())
}
