//! `signalbox shim`: stands over one instance of a service. Control starts it, people do not.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Subcommand;
use signalbox_core::clock::SystemClock;
use signalbox_release::shim;

#[derive(Debug, Subcommand)]
pub enum Shim {
    /// Stand over the instance of a folder.
    Run { folder: PathBuf },
    /// Take on limits and become the service.
    Exec {
        /// Dies with that process.
        #[arg(long)]
        shim: u32,
        #[arg(long)]
        data_bytes: Option<u64>,
        #[arg(long)]
        files: Option<u64>,
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Carry connections into a sandbox.
    Relay {
        /// Dies with that process.
        #[arg(long)]
        shim: u32,
        #[arg(long)]
        port: u16,
        socket: PathBuf,
    },
}

impl Shim {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Run { folder } => {
                shim::run(&folder, Arc::new(SystemClock)).with_context(|| folder.display().to_string())
            }
            Self::Exec { shim, data_bytes, files, command } => {
                Err(shim::exec(shim, data_bytes, files, &command)).context("the service cannot be run")
            }
            Self::Relay { shim, port, socket } => shim::relay(shim, port, &socket).context("sandbox"),
        }
    }
}
