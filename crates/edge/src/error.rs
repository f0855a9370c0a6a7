//! Why the edge cannot run.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::routes::RoutesError;

/// Told to the operator; nothing of it is fatal to an edge that runs already.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}: {source}", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("an edge runs in {} already; `--upgrade` takes its sockets over", .0.display())]
    Running(PathBuf),
    #[error("no edge to take over in {}: {source}; start without --upgrade", path.display())]
    NothingToTakeOver { path: PathBuf, source: std::io::Error },
    #[error("the running edge did not hand over: {0}")]
    HandOver(String),
    #[error("routes: {0}")]
    Routes(#[from] RoutesError),
    #[error("the certificate cannot be used: {0}")]
    Tls(#[from] signalbox_tls::certificate::TlsError),
    #[error("{0}")]
    Metrics(#[from] prometheus::Error),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl EdgeError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
