//! `signalbox edge`: the data plane, a process of its own.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use ipnet::IpNet;
use signalbox_core::clock::SystemClock;
use signalbox_core::setting::{Size, network};
use signalbox_edge::routes::Routes;
use signalbox_edge::settings::{AccessLog, EdgeSettings, TlsSettings};
use signalbox_edge::{Listening, Start};

use super::Common;

#[derive(Debug, Args)]
pub struct Edge {
    #[command(flatten)]
    common: Common,
    /// Address and port (default: 127.0.0.1:8080).
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Address and port of TLS, with the certificate of --tls-certificate.
    #[arg(long, value_name = "ADDR", requires_all = ["tls_certificate", "tls_key"])]
    tls_listen: Option<SocketAddr>,
    /// The certificate chain in PEM form; a renewed one is taken over without a restart.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Its key in PEM form.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// An arm: http://host:port=WEIGHT. May be given several times; replaces the routes on disk.
    #[arg(long, value_name = "URL=WEIGHT")]
    upstream: Vec<String>,
    /// Take the listening sockets of the edge that runs on this data directory; it drains and ends.
    #[arg(long)]
    upgrade: bool,
    /// A network of proxies whose forwarding headers are believed. May be given several times.
    #[arg(long, value_name = "NETWORK", value_parser = network)]
    trusted_proxy: Vec<IpNet>,
    /// Event loops (default: one per core).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Where the access log goes: a file, - for standard output, or off (default: DIR/edge/access.log).
    #[arg(long, value_name = "FILE")]
    access_log: Option<String>,
    /// Open connections; one source may hold a quarter of them, a declared proxy all.
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    connections: u32,
    /// Open connections of one source.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    connections_per_source: Option<u32>,
    /// The largest body of a request, for example "64 MiB".
    #[arg(long, value_name = "SIZE", default_value = "1 GiB")]
    max_body: Size,
}

impl Edge {
    pub fn run(self) -> anyhow::Result<()> {
        let settings = self.common.settings(self.listen, false)?;
        signalbox_telemetry::logs::start(&settings.logs);
        let mut edge = EdgeSettings::new(settings.server.data.join("edge"), settings.server.listen);
        if let (Some(certificate), Some(key)) = (self.tls_certificate, self.tls_key) {
            let listen = self.tls_listen.unwrap_or(settings.tls.listen);
            edge.tls = Some(TlsSettings { listen, certificate, key });
        }
        if let Some(threads) = self.threads {
            edge.threads = threads.into();
        }
        match self.access_log.as_deref() {
            None => (),
            Some("off") => edge.access_log = AccessLog::Off,
            Some("-") => edge.access_log = AccessLog::Stdout,
            Some(file) => edge.access_log = AccessLog::File(file.into()),
        }
        edge.trusted_proxies =
            if self.trusted_proxy.is_empty() { settings.server.trusted_proxies.clone() } else { self.trusted_proxy };
        edge.limits.connections = self.connections as usize;
        let share = self.connections_per_source.unwrap_or(self.connections.div_ceil(4));
        edge.limits.connections_per_source = share as usize;
        edge.limits.body_bytes = self.max_body.0;
        let routes = match self.upstream.as_slice() {
            [] => None,
            upstreams => Some(Routes::of_upstreams(upstreams).context("--upstream")?),
        };
        let socket = edge.admin_socket();
        let start = Start { upgrade: self.upgrade, routes };
        signalbox_edge::run(edge, start, Arc::new(SystemClock), |listening| tell(listening, &socket))?;
        Ok(())
    }
}

fn tell(listening: Listening, socket: &std::path::Path) {
    let mut lines = vec![format!("generation {}, admin {}", listening.generation, socket.display())];
    lines.extend(listening.encrypted.map(|address| format!("serving https://{address}")));
    lines.extend(listening.plain.map(|address| format!("listening on http://{address}")));
    for text in lines {
        // Whoever started us may have closed the pipe; the edge goes on.
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}
