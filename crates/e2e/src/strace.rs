//! Faults in system calls of a running process, by strace.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::{environment, process};

/// The same command with these system calls failing from its start on.
pub fn under_fault(command: &Command, fault: &str) -> Result<Command> {
    let mut traced = Command::new(environment::program("strace", "strace")?);
    traced.args(arguments(fault)?);
    Ok(process::below(traced, command))
}

fn arguments(fault: &str) -> Result<Vec<String>> {
    let (calls, _) = fault.split_once(':').context("a fault is CALLS:WHAT")?;
    let words = ["-f", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e", &format!("inject={fault}")];
    Ok(words.map(str::to_owned).to_vec())
}

/// The fault lasts as long as this lives.
pub struct Fault {
    strace: Child,
}

impl Fault {
    /// From now on these system calls of all threads of the process behave as told, for example
    /// `fsync,fdatasync:error=EIO`.
    pub fn inject(pid: u32, fault: &str) -> Result<Self> {
        Self::inject_all(&[pid], fault)
    }

    /// The same for several processes, and for what they start.
    pub fn inject_all(pids: &[u32], fault: &str) -> Result<Self> {
        Self::attach(pids, &arguments(fault)?)
    }

    /// The same for calls on one file.
    pub fn inject_on(pid: u32, file: &Path, fault: &str) -> Result<Self> {
        let mut words = arguments(fault)?;
        words.extend(["-P".to_owned(), file.display().to_string()]);
        Self::attach(&[pid], &words)
    }

    fn attach(pids: &[u32], words: &[String]) -> Result<Self> {
        environment::require_root()?;
        let mut command = Command::new(environment::program("strace", "strace")?);
        command.args(words);
        for pid in pids {
            command.args(["-p", &pid.to_string()]);
        }
        let mut strace = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().context("cannot start strace")?;
        let stderr = strace.stderr.take().context("strace has no stderr")?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(std::io::Result::ok) {
                let _ = sender.send(line);
            }
        });
        // Made before waiting, so that an early return ends strace too.
        let fault = Self { strace };
        let mut attached = 0;
        while attached < pids.len() {
            match lines.recv_timeout(Duration::from_secs(10)) {
                // One that has ended meanwhile needs no fault.
                Ok(line) if line.contains("attached") || line.contains("No such process") => attached += 1,
                Ok(line) if line.contains("attach:") => bail!("{line}; may this container trace processes?"),
                Ok(_) => (),
                Err(_) => bail!("strace did not attach to {pids:?}"),
            }
        }
        Ok(fault)
    }

    /// Ends the fault; the process goes on.
    pub fn end(mut self) -> Result<()> {
        self.detach().context("strace")
    }

    fn detach(&mut self) -> std::io::Result<()> {
        if self.strace.try_wait()?.is_none() {
            process::signal(self.strace.id(), Signal::INT);
            self.strace.wait()?;
        }
        Ok(())
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        if let Err(error) = self.detach() {
            eprintln!("warning: strace: {error}");
        }
    }
}
