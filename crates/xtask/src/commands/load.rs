use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::load::agents::agents;
use crate::load::requests::{Requests, lines};
use crate::load::run::{PATIENCE, Plan};

/// Ask a server for pixels and links, and measure its answers
///
/// Without --rate every connection asks again when it is answered. With it, requests leave at a constant rate and
/// latency counts from the moment a request was due, so that a slow answer is not hidden by what it held up.
#[derive(Args)]
pub(crate) struct Load {
    /// Host and port
    #[arg(long, value_name = "ADDR")]
    target: String,
    /// A file with one path per line, as `signalbox link mint` prints them
    #[arg(long, value_name = "FILE")]
    paths: PathBuf,
    /// A file with one user agent per line, instead of a built-in list
    #[arg(long, value_name = "FILE")]
    agents: Option<PathBuf>,
    #[arg(long, value_name = "N", default_value_t = 64)]
    connections: usize,
    #[arg(long, value_name = "S", default_value_t = 8.0)]
    seconds: f64,
    /// Requests per second, whatever the answers do
    #[arg(long, value_name = "R")]
    rate: Option<f64>,
    /// Come from that many addresses 127.0.x.y
    #[arg(long, value_name = "N", default_value_t = 0)]
    sources: usize,
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// Append every acknowledged x-event-id to this file as it arrives
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

impl Load {
    pub(crate) fn run(self) -> Result<()> {
        let target = resolve(&self.target)?;
        let agents = self.agents.as_deref().map_or_else(|| Ok(agents()), lines)?;
        let plan = Plan {
            target,
            requests: Requests::new(&self.target, &lines(&self.paths)?, &agents)?,
            connections: self.connections,
            threads: self.threads,
            duration: Duration::try_from_secs_f64(self.seconds).context("--seconds")?,
            rate: self.rate,
            sources: self.sources,
            patience: PATIENCE,
            ids: self.ids,
        };
        let report = plan.run()?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            println!("{report}");
        }
        if report.answered == 0 {
            bail!("{target} answered nothing");
        }
        Ok(())
    }
}

fn resolve(target: &str) -> Result<SocketAddr> {
    let mut addresses = target.to_socket_addrs().with_context(|| format!("--target {target}: expected HOST:PORT"))?;
    addresses.next().with_context(|| format!("--target {target} has no address"))
}
