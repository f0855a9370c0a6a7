//! The built `signalbox`: its commands on one data folder, and its server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::service::Service;
use super::{http, port};
use crate::guard::Guard;
use crate::process;

/// One installation: a data folder, and a PostgreSQL database if it has one.
pub(crate) struct Installation {
    pub(crate) binary: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) database_url: Option<String>,
}

pub(crate) struct Server {
    service: Service,
    pub(crate) address: SocketAddr,
    token: String,
}

/// Counted since the server started.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Counters {
    pub(crate) recorded: u64,
    pub(crate) unrecorded: u64,
    pub(crate) projected: u64,
}

impl Installation {
    pub(crate) fn mint_opens(&self, count: usize) -> Result<Vec<String>> {
        let count_text = count.to_string();
        let printed =
            self.output(&["link", "mint", "--kind", "open", "--count", &count_text, "--campaign", "bench"])?;
        let paths: Vec<String> = printed.lines().filter(|line| line.starts_with('/')).map(String::from).collect();
        if paths.len() != count {
            bail!("`signalbox link mint` printed {} paths instead of {count}", paths.len());
        }
        Ok(paths)
    }

    pub(crate) fn create_token(&self) -> Result<String> {
        let printed = self.output(&[
            "api-token",
            "create",
            "--name",
            "bench",
            "--scope",
            "metrics:read,reports:read,events:read,events:write",
        ])?;
        let token = printed.lines().last().map(str::trim).filter(|token| !token.is_empty());
        Ok(token.context("`signalbox api-token create` printed no token")?.to_owned())
    }

    /// The events that are stored.
    pub(crate) fn count_events(&self) -> Result<u64> {
        let printed = self.output(&["events", "count"])?;
        let number = printed.split_whitespace().last().unwrap_or_default();
        number.parse().with_context(|| format!("`signalbox events count` printed `{}`", printed.trim()))
    }

    /// Starts the server and waits until it is healthy.
    pub(crate) fn serve(&self, guard: &Arc<Guard>, limits: bool, token: &str) -> Result<(Server, Duration)> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port::free()?));
        let mut command = self.command(&["serve", "--listen", &address.to_string()]);
        if !limits {
            command.args(["--limits", "off"]);
        }
        let log = self.data.with_extension("log");
        let start = std::time::Instant::now();
        let mut service = Service::start(guard, "signalbox", &mut command, Signal::TERM, Some(&log))?;
        service.wait_until(Duration::from_secs(30), || http::get(address, "/health", None).map(drop))?;
        Ok((Server { service, address, token: token.to_owned() }, start.elapsed()))
    }

    /// Runs a command and gives what it prints.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String> {
        self.output(arguments)
    }

    fn output(&self, arguments: &[&str]) -> Result<String> {
        process::output(&mut self.command(arguments))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).arg("--data").arg(&self.data).current_dir(self.data.parent().unwrap_or(Path::new("/")));
        match &self.database_url {
            Some(url) => command.env("DATABASE_URL", url),
            None => command.env_remove("DATABASE_URL"),
        };
        command
    }
}

impl Server {
    pub(crate) fn counters(&self) -> Result<Counters> {
        let text = http::get(self.address, "/metrics", Some(&self.token))?;
        let counter = |name| -> Result<u64> {
            let value = http::metric(&text, name).with_context(|| format!("/metrics lacks {name}"))?;
            Ok(value as u64)
        };
        Ok(Counters {
            recorded: counter("signalbox_intake_events_total")?,
            unrecorded: http::metric(&text, "signalbox_intake_unrecorded_total").unwrap_or(0.0) as u64,
            projected: counter("signalbox_projector_events_total")?,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.service.pid()
    }

    /// A graceful end: what it has acknowledged is stored, and it says so by its status.
    pub(crate) fn stop(self) -> Result<()> {
        let status = self.service.stop()?;
        if !status.success() {
            bail!("signalbox did not end well after SIGTERM ({status})");
        }
        Ok(())
    }
}
