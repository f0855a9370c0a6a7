//! A running `signalbox serve`.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::client::{Answer, Client};
use crate::process;

/// It must say that it listens within this; how soon exactly is a matter of the tests.
const START_LIMIT: Duration = Duration::from_secs(30);

pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// Where it serves TLS, if it does.
    pub tls_address: Option<SocketAddr>,
    said: File,
    lines: std::sync::Mutex<mpsc::Receiver<String>>,
}

impl Server {
    /// Starts `command` and waits until it says where it listens.
    pub fn start(command: &mut Command) -> Result<Self> {
        let said = tempfile::tempfile().context("no temporary file")?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(said.try_clone()?);
        let started = Instant::now();
        let mut child = command.spawn().context("cannot start signalbox")?;
        let stdout = child.stdout.take().context("signalbox has no stdout")?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(std::io::Result::ok) {
                // Nobody reads any more once the address is known.
                let _ = sender.send(line);
            }
        });
        let lines = std::sync::Mutex::new(lines);
        let mut server = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), tls_address: None, said, lines };
        loop {
            let left = START_LIMIT.saturating_sub(started.elapsed());
            let Some(line) = server.next_line(left) else {
                bail!("signalbox did not say that it listens; it said:\n{}", server.log());
            };
            if let Some((_, address)) = line.split_once("serving https://") {
                server.tls_address = Some(address.trim().parse().with_context(|| format!("the address in {line:?}"))?);
            }
            if let Some((_, address)) = line.split_once("listening on http://") {
                server.address = address.trim().parse().with_context(|| format!("the address in {line:?}"))?;
                return Ok(server);
            }
        }
    }

    /// The next line that it prints, if one comes within `limit`.
    pub fn next_line(&self, limit: Duration) -> Option<String> {
        self.lines.lock().ok()?.recv_timeout(limit).ok()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn client(&self) -> Result<Client> {
        Client::connect(self.address).with_context(|| format!("cannot connect to {}", self.address))
    }

    /// One `GET` on a connection of its own.
    pub fn get(&self, path: &str) -> Result<Answer> {
        Ok(self.client()?.get(path)?)
    }

    /// One `POST` of API events on a connection of its own.
    pub fn post_events(&self, token: &str, body: &str) -> Result<Answer> {
        let headers = [("Authorization", format!("Bearer {token}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        Ok(self.client()?.request("POST", "/api/v1/events", &headers, body.as_bytes())?)
    }

    /// `kill -9`.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends `signal` and waits for the end.
    pub fn stop(mut self, signal: Signal, limit: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        process::signal(self.pid(), signal);
        while start.elapsed() < limit {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        bail!("signalbox still runs {limit:?} after {signal:?}; it said:\n{}", self.log());
    }

    /// SIGTERM; anything but exit code 0 soon after is an error.
    pub fn terminate(self) -> Result<()> {
        let said = self.said.try_clone()?;
        let status = self.stop(Signal::TERM, Duration::from_secs(15))?;
        if !status.success() {
            bail!("signalbox ended with {status} after SIGTERM; it said:\n{}", ends(&said));
        }
        Ok(())
    }

    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// The most memory that it ever had, in bytes.
    pub fn peak_memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1024)
    }

    /// Everything that it said on stderr so far.
    pub fn said(&self) -> Result<String> {
        let mut bytes = vec![0; usize::try_from(self.said.metadata()?.len())?];
        self.said.read_exact_at(&mut bytes, 0)?;
        String::from_utf8(bytes).context("the log is not UTF-8")
    }

    /// The first and the last lines that it said on stderr.
    pub fn log(&self) -> String {
        ends(&self.said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both ends of the file, read without moving the place at which the server writes.
fn ends(said: &File) -> String {
    const LINES: usize = 12;
    let mut bytes = vec![0; said.metadata().map_or(0, |meta| meta.len()) as usize];
    if let Err(error) = said.read_exact_at(&mut bytes, 0) {
        return error.to_string();
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut lines: Vec<&str> = text.lines().collect();
    if lines.len() > 2 * LINES {
        lines.splice(LINES..lines.len() - LINES, ["…"]);
    }
    lines.join("\n")
}
