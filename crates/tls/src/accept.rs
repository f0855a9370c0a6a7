//! Accepting TLS connections: handshakes are bounded in number and in time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::metrics::TlsMetrics;

/// A handshake must be done within this.
const PATIENCE: Duration = Duration::from_secs(10);
/// While all places are taken, new connections wait this long in the backlog; then handshakes older than this make room.
const SQUEEZE: Duration = Duration::from_secs(1);

/// A connection whose handshake is done.
pub struct Accepted {
    pub stream: TlsStream<TcpStream>,
    pub peer: SocketAddr,
    /// The client chose HTTP/2.
    pub http2: bool,
}

/// What accepting needs.
pub struct Acceptor {
    pub config: Arc<ServerConfig>,
    /// Handshakes at once.
    pub handshakes: usize,
    pub metrics: TlsMetrics,
}

impl Acceptor {
    /// Accepts until it is dropped. `serve` gets each connection whose handshake is done.
    pub async fn run(self, listener: TcpListener, serve: impl Fn(Accepted) + Send + Sync + 'static) {
        let places = Arc::new(Semaphore::new(self.handshakes));
        let (squeeze, squeezed) = watch::channel(());
        let serve = Arc::new(serve);
        let acceptor = TlsAcceptor::from(self.config);
        loop {
            let place = match tokio::time::timeout(SQUEEZE, Arc::clone(&places).acquire_owned()).await {
                Ok(Ok(place)) => place,
                Ok(Err(_)) => return,
                Err(_) => {
                    let _ = squeeze.send(());
                    continue;
                }
            };
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a TLS connection could not be accepted; it is tried again");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let _ = stream.set_nodelay(true);
            let handshake = acceptor.accept(stream);
            let (metrics, serve) = (self.metrics.clone(), Arc::clone(&serve));
            let evicted = evicted(squeezed.clone(), Instant::now());
            tokio::spawn(async move {
                // The place is free again however this task ends.
                let _place = place;
                let done = tokio::select! {
                    done = tokio::time::timeout(PATIENCE, handshake) => done,
                    () = evicted => return metrics.failed_handshakes.inc(),
                };
                match done {
                    Ok(Ok(stream)) => {
                        metrics.handshakes.inc();
                        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                        serve(Accepted { stream, peer, http2 });
                    }
                    Ok(Err(error)) => {
                        metrics.failed_handshakes.inc();
                        tracing::debug!(%error, client.address = %peer.ip(), "a TLS handshake failed");
                    }
                    Err(_) => {
                        metrics.failed_handshakes.inc();
                        tracing::debug!(client.address = %peer.ip(), "a TLS handshake took too long");
                    }
                }
            });
        }
    }
}

/// Comes when others need the place and this handshake takes longer than a client needs.
async fn evicted(mut squeezed: watch::Receiver<()>, since: Instant) {
    while squeezed.changed().await.is_ok() {
        if since.elapsed() >= SQUEEZE {
            return;
        }
    }
    std::future::pending().await
}
