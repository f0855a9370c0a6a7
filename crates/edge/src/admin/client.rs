//! The client of the admin interface, for control and for a new edge that talks to the old one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::wire::{Applied, Drain, Drained, Health, Receipt, Refused, Stats};
use crate::routes::Routes;

const PATIENCE: Duration = Duration::from_secs(10);
/// While one edge takes over from another it is asked again after so long.
const PAUSE: Duration = Duration::from_millis(20);
/// A field by which the edge that took over is known.
pub(crate) const SUCCESSOR: &str = "x-signalbox-successor";

/// Talks to the edge whose socket this is, over a connection per request.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    patience: Duration,
    is_successor: bool,
}

/// Why the edge did not do it.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Nobody listens.
    #[error("no edge answers at {}: {source}", socket.display())]
    Unreachable { socket: PathBuf, source: std::io::Error },
    #[error("the edge did not answer within {0:?}")]
    Late(Duration),
    /// The epoch is not above the present one.
    #[error("the edge has newer routes: {0}")]
    Superseded(String),
    #[error("the edge refused ({status}): {detail}")]
    Refused { status: u16, detail: String },
    #[error("the edge's answer cannot be read: {0}")]
    Unreadable(String),
}

impl Client {
    /// A client for the socket `edge.sock` of an edge.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned(), patience: PATIENCE, is_successor: false }
    }

    /// How long an answer may take; 10 seconds by default.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    pub(crate) fn for_successor(self) -> Self {
        Self { is_successor: true, ..self }
    }

    pub async fn health(&self) -> Result<Health, AdminError> {
        self.call(Method::GET, "/health", None::<&()>).await
    }

    pub async fn routes(&self) -> Result<Routes, AdminError> {
        self.call(Method::GET, "/routes", None::<&()>).await
    }

    /// Comes back once every thread uses them.
    pub async fn put_routes(&self, routes: &Routes) -> Result<Applied, AdminError> {
        self.call(Method::PUT, "/routes", Some(routes)).await
    }

    pub async fn stats(&self) -> Result<Stats, AdminError> {
        self.call(Method::GET, "/stats", None::<&()>).await
    }

    pub async fn receipt(&self) -> Result<Receipt, AdminError> {
        self.call(Method::GET, "/receipt", None::<&()>).await
    }

    pub async fn drain(&self, drain: &Drain) -> Result<Drained, AdminError> {
        self.call(Method::POST, "/drain", Some(drain)).await
    }

    /// It ends once what is open has ended, or after its limit.
    pub async fn shut_down(&self) -> Result<Health, AdminError> {
        self.call(Method::POST, "/shutdown", None::<&()>).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, AdminError> {
        let asking = async {
            loop {
                match self.ask(method.clone(), path, body).await {
                    Err(AdminError::Refused { status: 503, .. }) => tokio::time::sleep(PAUSE).await,
                    done => return done,
                }
            }
        };
        tokio::time::timeout(self.patience, asking).await.unwrap_or(Err(AdminError::Late(self.patience)))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, AdminError> {
        let unreachable = |source| AdminError::Unreachable { socket: self.socket.clone(), source };
        let unreadable = |error: &dyn std::fmt::Display| AdminError::Unreadable(error.to_string());
        let stream = UnixStream::connect(&self.socket).await.map_err(unreachable)?;
        let opened = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = opened.map_err(|error| unreadable(&error))?;
        let bytes = match body {
            Some(body) => serde_json::to_vec(body).map_err(|error| unreadable(&error))?,
            None => Vec::new(),
        };
        let mut request = Request::builder();
        if self.is_successor {
            request = request.header(SUCCESSOR, "1");
        }
        let request = request
            .method(method)
            .uri(path)
            .header("host", "edge")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(bytes)))
            .map_err(|error| unreadable(&error))?;
        let talking = async {
            let response = sender.send_request(request).await.map_err(|error| unreadable(&error))?;
            let status = response.status().as_u16();
            let bytes = response.into_body().collect().await.map_err(|error| unreadable(&error))?.to_bytes();
            Ok((status, bytes))
        };
        let mut talking = std::pin::pin!(talking);
        let mut connection = std::pin::pin!(connection);
        let (status, bytes) = tokio::select! {
            done = &mut talking => done?,
            _ = &mut connection => talking.await?,
        };
        if status < 300 {
            return serde_json::from_slice(&bytes).map_err(|error| unreadable(&error));
        }
        let refused: Refused = serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))?;
        Err(match status {
            409 => AdminError::Superseded(refused.detail),
            _ => AdminError::Refused { status, detail: refused.detail },
        })
    }
}
