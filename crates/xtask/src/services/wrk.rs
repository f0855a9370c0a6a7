//! wrk, driven by `bench/tokens.lua`: a closed loop.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use rustix::process::Signal;

use super::service::Service;
use crate::environment;
use crate::guard::Guard;

const SCRIPT: &str = include_str!("../../bench/tokens.lua");

pub(crate) struct Wrk {
    guard: Arc<Guard>,
    program: PathBuf,
    script: PathBuf,
    paths: PathBuf,
    agents: PathBuf,
    output: PathBuf,
    threads: usize,
}

/// What `tokens.lua` prints.
#[derive(Deserialize, Serialize, Clone, Copy, Debug)]
pub(crate) struct Flood {
    pub(crate) requests: u64,
    pub(crate) duration_us: u64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) p99_9_us: u64,
    pub(crate) max_us: u64,
    pub(crate) status_errors: u64,
    pub(crate) socket_errors: u64,
}

impl Wrk {
    /// Writes its script and lists into `folder`.
    pub(crate) fn prepare(guard: &Arc<Guard>, folder: &Path, paths: &[String], agents: &[String]) -> Result<Self> {
        let wrk = Self {
            guard: Arc::clone(guard),
            program: environment::program("wrk").context("wrk is not installed")?,
            script: folder.join("tokens.lua"),
            paths: folder.join("paths"),
            agents: folder.join("agents"),
            output: folder.join("wrk.log"),
            threads: std::thread::available_parallelism().map_or(1, |cores| cores.get().min(2)),
        };
        fs::write(&wrk.script, SCRIPT)?;
        fs::write(&wrk.paths, paths.join("\n"))?;
        fs::write(&wrk.agents, agents.join("\n"))?;
        Ok(wrk)
    }

    pub(crate) fn flood(&self, target: SocketAddr, connections: usize, length: Duration) -> Result<Flood> {
        let mut command = Command::new(&self.program);
        command
            .args(["--threads", &self.threads.to_string(), "--connections", &connections.to_string()])
            .args(["--duration", &format!("{}s", length.as_secs()), "--timeout", "10s"])
            .arg("--script")
            .arg(&self.script)
            .arg(format!("http://{target}/"))
            .arg("--")
            .args([&self.paths, &self.agents]);
        let status = Service::start(&self.guard, "wrk", &mut command, Signal::TERM, Some(&self.output))?.wait()?;
        let printed = fs::read_to_string(&self.output)?;
        if !status.success() {
            bail!("wrk failed ({status}): {printed}");
        }
        let json = printed.lines().rev().find(|line| line.starts_with('{'));
        let flood: Flood = serde_json::from_str(json.context("wrk printed no figures")?)?;
        if flood.requests == 0 {
            bail!("{target} answered nothing to wrk: {printed}");
        }
        Ok(flood)
    }
}

impl Flood {
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / (self.duration_us as f64 / 1e6)
    }
}
