//! The processes of the demo's releases: an edge, a controller, and the instances that it starts.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use signalbox_core::clock::SystemClock;
use signalbox_core::setting::Period;
use signalbox_edge::admin::Client;
use signalbox_edge::admin::wire::Receipt;
use signalbox_release::driver::Driver as _;
use signalbox_release::driver::process::{ProcessDriver, ShimProgram};
use signalbox_release::model::value::Digest;

use crate::server;
use crate::settings::environment;

/// The service that is released, as the manifest calls it.
const SERVICE: &str = "signalbox";
/// Whoever is told to end has so long.
const GRACE: Duration = Duration::from_secs(5);

/// What must be said to every process.
const SETTINGS: &str = "[server]\ntrusted_proxies = [\"127.0.0.0/8\", \"::1/128\"]\n\n[access]\nread_only = true\n";

/// An edge and a controller over one data directory.
pub struct Plant {
    program: PathBuf,
    folder: PathBuf,
    data: PathBuf,
    sha256: Digest,
    /// Where the edge listens.
    pub address: SocketAddr,
    edge: Child,
    control: Option<Child>,
}

impl Plant {
    /// Starts both; nothing is released yet.
    pub fn start(folder: &Path, data: &Path, listen: Option<SocketAddr>) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program cannot find itself")?;
        std::fs::write(folder.join("signalbox.toml"), SETTINGS)?;
        // Every version is this program: its artifact has a name of its own, and a checksum.
        let artifact = folder.join("signalbox");
        std::fs::copy(&program, &artifact)?;
        let sha256 = Digest::of(&std::fs::read(&artifact)?);
        let wanted = match listen {
            Some(address) => address,
            // A free port where the usual one is taken.
            None => server::bind(([127, 0, 0, 1], 8080).into())
                .or_else(|_| server::bind(([127, 0, 0, 1], 0).into()))?
                .local_addr()?,
        };
        let mut edge = command(&program, folder);
        edge.args(["edge", "--access-log", "off", "--trusted-proxy", "127.0.0.0/8", "--trusted-proxy", "::1/128"]);
        edge.arg("--data").arg(data).arg("--listen").arg(wanted.to_string());
        let (edge, said) = started(edge, &folder.join("edge.log"), "listening on http://")?;
        let (folder, data, address) = (folder.to_owned(), data.to_owned(), said.parse()?);
        let mut this = Self { program, folder, data, sha256, address, edge, control: None };
        this.start_control()?;
        Ok(this)
    }

    /// Starts a controller where none runs.
    pub fn start_control(&mut self) -> anyhow::Result<()> {
        let mut control = command(&self.program, &self.folder);
        control.args(["control", "--listen", "127.0.0.1:0", "--data"]).arg(&self.data);
        let (control, _) = started(control, &self.folder.join("control.log"), "listening on http://")?;
        self.control = Some(control);
        Ok(())
    }

    /// Kills the controller, as a power failure would.
    pub fn kill_control(&mut self) -> anyhow::Result<()> {
        if let Some(mut control) = self.control.take() {
            control.kill()?;
            control.wait()?;
        }
        Ok(())
    }

    /// Writes the manifest that a version is released by; `fault` is what is wrong with it.
    pub fn write_manifest(&self, fault: Option<&str>) -> anyhow::Result<()> {
        let mut run = vec!["./signalbox".to_owned(), "engage".into()];
        let settings = self.folder.join("signalbox.toml").display().to_string();
        run.extend(["--config", &settings, "--data", "{data}", "--listen", "127.0.0.1:{port}"].map(str::to_owned));
        if let Some(fault) = fault {
            run.extend(["--allow-faults", "--fault", fault].map(str::to_owned));
        }
        let run = toml::Value::from(run);
        let text = include_str!("release.toml").replace("\"RUN\"", &run.to_string());
        let text = text.replace("SHA256", &self.sha256.to_string());
        Ok(std::fs::write(self.folder.join("release.toml"), text)?)
    }

    /// Deploys a version and tells every line of its progress; with what it ended.
    pub fn deploy(
        &mut self,
        version: &str,
        mut each: impl FnMut(&mut Self, &Value) -> anyhow::Result<()>,
    ) -> anyhow::Result<Value> {
        let mut command = command(&self.program, &self.folder);
        command.args(["deploy", version, "--watch", "--output", "json", "--data"]).arg(&self.data);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let lines = child.stdout.take().context("no output")?;
        let mut last = Value::Null;
        for line in BufReader::new(lines).lines() {
            last = serde_json::from_str(&line?)?;
            each(self, &last)?;
        }
        let mut said = String::new();
        child.stderr.take().context("no errors")?.read_to_string(&mut said)?;
        child.wait()?;
        if last["exit"].is_null() {
            bail!("the release of {version} ended without a word: {last} {said}");
        }
        Ok(last)
    }

    /// What became of every request.
    pub fn receipt(&self) -> anyhow::Result<Receipt> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(Client::new(&self.data.join("edge/edge.sock")).receipt())?)
    }

    /// Ends everything: controller, instances, edge.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.end()
    }

    fn end(&mut self) -> anyhow::Result<()> {
        if let Some(control) = self.control.take() {
            terminate(control)?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let driver = ProcessDriver::open(
                &self.data,
                SERVICE.parse().map_err(anyhow::Error::msg)?,
                ShimProgram::default(),
                Arc::new(SystemClock),
            )?;
            for instance in driver.list().await? {
                driver.stop(&instance.id, Period(GRACE)).await?;
            }
            anyhow::Ok(())
        })?;
        if self.edge.try_wait()?.is_none() {
            signal(&self.edge);
            self.edge.wait()?;
        }
        Ok(())
    }
}

impl Drop for Plant {
    fn drop(&mut self) {
        // After `stop` there is nothing left to end.
        if let Err(error) = self.end() {
            tracing::warn!("the processes of the demo could not be ended: {error:#}");
        }
    }
}

/// This program in that folder, with nothing of the surroundings but where programs are.
fn command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    let kept = ["PATH", "HOME", "TMPDIR"];
    command.current_dir(folder).env_clear();
    command.envs(environment().into_iter().filter(|(name, _)| kept.contains(&name.as_str())));
    command.env("LOG_LEVEL", "warn").stdin(Stdio::null());
    command
}

/// Starts a program whose output says where it listens; returns that.
fn started(mut command: Command, log: &Path, words: &str) -> anyhow::Result<(Child, String)> {
    let log_file = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
    let mut child = command.stdout(Stdio::piped()).stderr(log_file).spawn()?;
    let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    for line in lines.map_while(Result::ok) {
        if let Some(said) = line.strip_prefix(words) {
            return Ok((child, said.to_owned()));
        }
    }
    let status = child.wait()?;
    bail!("{status}: {}", std::fs::read_to_string(log).unwrap_or_default());
}

fn signal(child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    // It may have ended by itself.
    let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
}

fn terminate(mut child: Child) -> anyhow::Result<()> {
    if child.try_wait()?.is_none() {
        signal(&child);
    }
    child.wait()?;
    Ok(())
}
