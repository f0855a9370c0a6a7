//! A program that runs until we stop it, with its output in a log file.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::guard::{GRACE, Guard, Order};
use crate::process;

pub(crate) struct Service {
    name: &'static str,
    child: Child,
    signal: Signal,
    /// `None` when it writes to our terminal.
    log: Option<PathBuf>,
    guard: Arc<Guard>,
    stopped: bool,
}

impl Service {
    /// Starts it in a process group of its own, stopped by `signal`.
    pub(crate) fn start(
        guard: &Arc<Guard>,
        name: &'static str,
        command: &mut Command,
        signal: Signal,
        log: Option<&Path>,
    ) -> Result<Self> {
        if let Some(log) = log {
            let file = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
            command.stderr(file.try_clone()?).stdout(file);
        }
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", process::shown(command)))?;
        let service =
            Self { name, child, signal, log: log.map(Path::to_owned), guard: Arc::clone(guard), stopped: false };
        guard.order(&service.order());
        Ok(service)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready` finds nothing amiss; an error with the end of its log when it dies before that or takes too
    /// long.
    pub(crate) fn wait_until(&mut self, limit: Duration, mut ready: impl FnMut() -> Result<()>) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended at its start ({status}){}", self.name, self.end_of_log());
            }
            match ready() {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    bail!("{} is not ready after {} s: {error:#}{}", self.name, limit.as_secs(), self.end_of_log());
                }
                Err(_) => {}
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for it to end by itself.
    pub(crate) fn wait(mut self) -> Result<ExitStatus> {
        let status = self.child.wait()?;
        self.forget();
        Ok(status)
    }

    /// Asks it to end, and kills it if it does not; says how it ended.
    pub(crate) fn stop(mut self) -> Result<ExitStatus> {
        self.end()
    }

    fn end(&mut self) -> Result<ExitStatus> {
        let group = self.group();
        if self.child.try_wait()?.is_none() {
            kill_process_group(group, self.signal).with_context(|| format!("cannot stop {}", self.name))?;
        }
        let deadline = Instant::now() + GRACE;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                eprintln!("warning: {} does not stop; killed", self.name);
                kill_process_group(group, Signal::KILL).ok();
                break self.child.wait()?;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        self.forget();
        Ok(status)
    }

    fn forget(&mut self) {
        self.stopped = true;
        self.guard.withdraw(&self.order());
    }

    fn group(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn order(&self) -> Order {
        Order::Stop { group: self.group().as_raw_nonzero().get(), signal: self.signal.as_raw() }
    }

    fn end_of_log(&self) -> String {
        let Some(text) = self.log.as_ref().and_then(|log| std::fs::read(log).ok()) else { return String::new() };
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        format!("; it said:\n{}", lines[lines.len().saturating_sub(15)..].join("\n"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if !self.stopped
            && let Err(error) = self.end()
        {
            eprintln!("warning: {error:#}");
        }
    }
}
