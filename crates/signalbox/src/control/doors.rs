//! Two doors to one interface: TCP with a token, and a Unix socket that only the owner of the data may open.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use signalbox_core::address::TrustedProxies;
use signalbox_core::clock::SystemClock;
use signalbox_core::id::IdMaker;
use signalbox_http::Transport;
use signalbox_http::connection::{Arrival, Connections};
use signalbox_http::limit::Limiter;
use signalbox_http::shell::Shell;
use signalbox_release::control::Asker;
use tokio::net::{TcpListener, UnixListener};

/// Connections at once, per door.
const MOST: usize = 256;

/// Whoever comes from this machine and says for whom is the edge, or as good as it.
fn proxies() -> TrustedProxies {
    TrustedProxies::new(["127.0.0.0/8", "::1/128"].iter().filter_map(|network| network.parse().ok()).collect())
}

fn shell(router: Router) -> Router {
    let shell = Shell {
        proxies: Arc::new(proxies()),
        limiter: Arc::new(Limiter::new(None, Vec::new())),
        clock: Arc::new(SystemClock),
        ids: Arc::new(IdMaker::new(0)),
        transport: Arc::new(Transport::default()),
    };
    shell.wrap(router)
}

fn connections() -> Arc<Connections> {
    Connections::new(MOST, Arc::new(proxies()), |_| None)
}

/// Serves until it is dropped.
pub async fn serve_tcp(listener: TcpListener, router: Router) {
    let (router, connections) = (shell(router), connections());
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let Some(seat) = connections.enter(peer.ip()) else { continue };
        connections.serve(seat, stream, Arrival { peer, encrypted: false, http2: false }, Vec::new(), router.clone());
    }
}

/// Opens the socket for the owner alone; one that a dead controller left is replaced.
pub fn open_socket(path: &Path) -> anyhow::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).context(path.display().to_string());
        }
        _ => (),
    }
    // The folder lets nobody else in while the socket has the usual mode.
    let listener = UnixListener::bind(path).with_context(|| path.display().to_string())?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| path.display().to_string())?;
    Ok(listener)
}

/// Serves until it is dropped. Who asks is known by the system.
pub async fn serve_socket(listener: UnixListener, router: Router) {
    let (router, connections) = (shell(router), connections());
    let here = SocketAddr::from(([127, 0, 0, 1], 0));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let who = stream.peer_cred().map_or_else(|_| "the socket".to_owned(), |peer| format!("uid {}", peer.uid()));
        let Some(seat) = connections.enter(here.ip()) else { continue };
        let router = router.clone().layer(axum::Extension(Asker(who)));
        let arrival = Arrival { peer: here, encrypted: false, http2: false };
        connections.serve(seat, stream, arrival, Vec::new(), router);
    }
}
