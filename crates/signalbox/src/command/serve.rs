//! `signalbox serve`

use std::net::SocketAddr;

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde_json::json;
use signalbox_core::setting::listen_address;
use signalbox_store::Faults;
use signalbox_tracking::intake::IntakeFaults;

use super::Common;
use crate::installation::{Installation, Schema};
use crate::output::line;
use crate::server::{self, Part, Server};

#[derive(Debug, Args)]
pub struct Serve {
    #[command(flatten)]
    common: Common,
    /// Address and port (default: 127.0.0.1:8080).
    #[arg(long, value_name = "ADDR", value_parser = listen_address)]
    listen: Option<SocketAddr>,
    /// Limits per source; off is for benchmarks only.
    #[arg(long, value_enum, default_value_t = Switch::On)]
    limits: Switch,
    /// Print every route and who may use it, and stop.
    #[arg(long, hide = true)]
    print_routes: bool,
    /// Allow --fault. Never in production.
    #[arg(long, hide = true)]
    allow_faults: bool,
    /// A fault that the crash tests must notice.
    #[arg(long, hide = true, value_enum)]
    fault: Vec<Fault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Fault {
    /// Commit without syncing.
    SyncNormal,
    /// Answer before the commit.
    AckEarly,
}

impl Serve {
    pub fn run(self) -> anyhow::Result<()> {
        if !self.fault.is_empty() && !self.allow_faults {
            bail!("--fault breaks durability on purpose; it needs --allow-faults");
        }
        let settings = self.common.settings(self.listen, self.limits == Switch::Off)?;
        signalbox_telemetry::logs::start(&settings.logs);
        if !settings.limits.enabled {
            eprintln!("WARNING: limits are off: every source may send as much as it wants. For benchmarks only.");
        }
        let listener = server::bind(settings.server.listen)?;
        let faults = Faults { sync_normal: self.fault.contains(&Fault::SyncNormal) };
        let intake_faults =
            IntakeFaults { acknowledge_early: self.fault.contains(&Fault::AckEarly), ..IntakeFaults::default() };
        let installation = Installation::open(settings, Schema::Migrate, faults, true)?;
        let server = Server::start(installation, listener, Part { faults: intake_faults, instance: None })?;
        if self.print_routes {
            let rows = server
                .table()
                .iter()
                .map(|row| json!({"method": row.method.as_str(), "path": row.path, "access": row.access.to_string()}));
            let table = serde_json::Value::Array(rows.collect());
            server.stop();
            return line(&table.to_string());
        }
        server.run_until_stopped()
    }
}
