//! How the edge behaves, whatever the routes are.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

/// Everything that is fixed while it runs.
#[derive(Debug, Clone)]
pub struct EdgeSettings {
    /// Where routes, receipts, sockets and the access log lie.
    pub folder: PathBuf,
    pub listen: SocketAddr,
    pub tls: Option<TlsSettings>,
    /// Event loops, each a thread.
    pub threads: usize,
    pub access_log: AccessLog,
    /// Networks of proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    pub limits: Limits,
}

/// The encrypted listener.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    pub listen: SocketAddr,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Where the lines of the access log go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    Off,
    Stdout,
    File(PathBuf),
}

/// What one client may cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections in all.
    pub connections: usize,
    /// Connections of one source; a declared proxy is no source.
    pub connections_per_source: usize,
    /// The head of a request, and its headers.
    pub head_bytes: usize,
    /// The body of a request.
    pub body_bytes: u64,
    /// A head must be whole within this; a handshake too.
    pub head: Duration,
    /// Each KiB of a body must come within this.
    pub body: Duration,
    /// A connection without requests is kept this long.
    pub idle: Duration,
    /// A client must take some of its answer within this.
    pub write: Duration,
    /// WebSockets and event streams may be silent this long.
    pub stream_idle: Duration,
    /// An upstream connection without requests is kept this long.
    pub upstream_idle: Duration,
    /// HTTP/2: requests at once on one connection.
    pub streams: u32,
    /// After a hand-over or SIGTERM: streams and uploads may take this long.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 50_000,
            connections_per_source: 12_500,
            head_bytes: 32 * 1024,
            body_bytes: 1 << 30,
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            write: Duration::from_secs(30),
            stream_idle: Duration::from_secs(3600),
            upstream_idle: Duration::from_secs(4),
            streams: 100,
            drain: Duration::from_secs(30),
        }
    }
}

impl EdgeSettings {
    /// Defaults for a folder and an address.
    pub fn new(folder: PathBuf, listen: SocketAddr) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let access_log = AccessLog::File(folder.join("access.log"));
        Self { folder, listen, tls: None, threads, access_log, trusted_proxies: Vec::new(), limits: Limits::default() }
    }

    /// The socket of the admin interface.
    pub fn admin_socket(&self) -> PathBuf {
        self.folder.join("edge.sock")
    }

    /// The socket that a new edge takes the listeners from.
    pub fn handover_socket(&self) -> PathBuf {
        self.folder.join("handover.sock")
    }
}
