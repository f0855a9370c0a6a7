//! `signalbox engage`: one of several instances behind the edge.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use signalbox_core::setting::listen_address;
use signalbox_store::Faults;
use signalbox_tracking::intake::IntakeFaults;

use super::Common;
use crate::fault::{self, Fault};
use crate::installation::{Installation, Schema};
use crate::server::{self, Part, Server};
use crate::settings;

#[derive(Debug, Args)]
pub struct Engage {
    #[command(flatten)]
    common: Common,
    /// Address and port (default: 127.0.0.1:8080).
    #[arg(long, value_name = "ADDR", value_parser = listen_address)]
    listen: Option<SocketAddr>,
    /// Allow --fault. Never in production.
    #[arg(long, hide = true)]
    allow_faults: bool,
    /// What is wrong with this version: drop-clicks=30%, errors=2%, delay=600ms, crash-after=5s, never-healthy, leak=50MB/s,
    /// hang-on-term, wrong-body.
    #[arg(long, hide = true, requires = "allow_faults")]
    fault: Vec<Fault>,
}

impl Engage {
    pub fn run(self) -> anyhow::Result<()> {
        let mut settings = self.common.settings(self.listen, false)?;
        signalbox_telemetry::logs::start(&settings.logs);
        // TLS ends at the edge; instances would fight for its port.
        (settings.tls.certificate, settings.tls.key) = (PathBuf::new(), PathBuf::new());
        settings.acme.domains.clear();
        let version = settings::instance_version(&settings::environment());
        let version = version.unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned());
        let listener = server::bind(settings.server.listen)?;
        let (address, health) = (listener.local_addr()?, settings.server.health_path.clone());
        let installation = Installation::open(settings, Schema::Runnable, Faults::default(), true)?;
        let faults = IntakeFaults { drop_clicks: fault::lost_clicks(&self.fault), ..IntakeFaults::default() };
        let part = Part { faults, instance: Some(version) };
        if self.fault.is_empty() {
            return Server::start(installation, listener, part)?.run_until_stopped();
        }
        tracing::warn!(faults = ?self.fault, "this instance has faults on purpose");
        fault::begin(&self.fault);
        let server = if fault::change_answers(&self.fault) {
            let server = Server::start(installation, server::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?, part)?;
            fault::proxy(&self.fault, listener, server.address(), &health)?;
            tracing::warn!(%address, "answers of this instance are changed on purpose");
            server
        } else {
            Server::start(installation, listener, part)?
        };
        if self.fault.contains(&Fault::HangOnTerm) {
            let _deaf = server.interrupted()?;
            loop {
                std::thread::park();
            }
        }
        server.run_until_stopped()
    }
}
