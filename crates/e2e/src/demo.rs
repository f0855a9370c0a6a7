//! A running `signalbox demo`: an installation with a history, for suites that look at pages.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::{environment, process};

const START_LIMIT: Duration = Duration::from_secs(60);

pub struct Demo {
    child: Child,
    /// `http://` and the address.
    pub server: String,
    /// The path of the link that signs its owner in, once.
    pub link: String,
}

impl Demo {
    /// Starts it with few recipients, and waits until its story is told.
    pub fn start() -> Result<Self> {
        let mut command = Command::new(environment::binary()?);
        command.args(["demo", "--without-releases", "--listen", "127.0.0.1:0", "--recipients", "200"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().context("cannot start the demo")?;
        let stdout = child.stdout.take().context("the demo has no stdout")?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(std::io::Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut demo = Self { child, server: String::new(), link: String::new() };
        let started = Instant::now();
        loop {
            let Ok(line) = lines.recv_timeout(START_LIMIT.saturating_sub(started.elapsed())) else {
                bail!("the demo did not say that its pages stay up");
            };
            if let Some((_, rest)) = line.split_once("pages      http://") {
                let (address, path) = rest.trim().split_once('/').context("no path behind the address")?;
                (demo.server, demo.link) = (format!("http://{address}"), format!("/{path}"));
            }
            if line.contains("Pages stay up") {
                return Ok(demo);
            }
        }
    }

    /// Ends it, and sees that it ends well.
    pub fn stop(mut self) -> Result<()> {
        process::signal(self.child.id(), Signal::TERM);
        let status = process::wait_for(Duration::from_secs(15), "the end of the demo", || {
            self.child.try_wait()?.context("it still runs")
        })?;
        if !status.success() {
            bail!("the demo ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            process::signal(self.child.id(), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}
