//! Scripts in a real browser: Debian's Chromium, driven by npm's playwright-core. They lie in `tests/browser/`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::Value;

use crate::{environment, process};

/// Each step of a script has a limit of its own, far below; this is for a browser that hangs.
const LIMIT: Duration = Duration::from_secs(900);
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");

/// Runs `tests/browser/NAME` (for example `mail.mjs`) with these variables in its environment, and returns the JSON
/// that it hands back. A script that fails, or hangs, is an error with what it said.
pub fn run_script(name: &str, environment: &[(&str, &str)]) -> Result<Value> {
    let script = Path::new(SCRIPTS).join(name);
    if !script.is_file() {
        bail!("there is no browser script {}", script.display());
    }
    let folder = environment::scratch("browser")?;
    let (printed, said) = (folder.path().join("stdout"), folder.path().join("stderr"));
    let mut command = Command::new(environment::program("node", "nodejs")?);
    command.arg(&script).current_dir(folder.path()).stdin(Stdio::null());
    command.stdout(std::fs::File::create(&printed)?).stderr(std::fs::File::create(&said)?);
    command.env("PLAYWRIGHT_CORE", playwright()?);
    command.env("CHROMIUM", environment::program("chromium", "chromium")?);
    // The browser keeps its temporary profile and its cache where they go away with the folder.
    command.env("TMPDIR", folder.path()).env("HOME", folder.path()).env_remove("XDG_CACHE_HOME");
    command.envs(environment.iter().copied());
    let mut child = command.spawn().context("cannot start node")?;
    let ended = process::wait_for(LIMIT, name, || child.try_wait()?.context("it still runs"));
    let said = || std::fs::read_to_string(&said).unwrap_or_default();
    let Ok(status) = ended else {
        // Playwright ends the browser when it is asked to stop.
        process::signal(child.id(), Signal::TERM);
        let _ = process::wait_for(Duration::from_secs(10), name, || child.try_wait()?.context("it still runs"));
        child.kill()?;
        child.wait()?;
        bail!("{name} did not end within {LIMIT:?}; it said:\n{}", said());
    };
    if !status.success() {
        bail!("{name} failed ({status}); it said:\n{}", said());
    }
    let text = std::fs::read_to_string(&printed)?;
    serde_json::from_str(&text).with_context(|| format!("{name} printed {text:?}; it said:\n{}", said()))
}

fn playwright() -> Result<PathBuf> {
    let path = environment::node_modules()?.join("playwright-core");
    if !path.is_dir() {
        bail!("{} does not exist: run `cargo xtask test`, which installs the npm packages", path.display());
    }
    Ok(path)
}
