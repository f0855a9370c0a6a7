//! The HTTPS client for the ACME server: one connection per request, bounded in time and size.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::certificate::TlsError;

const PATIENCE: Duration = Duration::from_secs(30);
const MOST_BYTES: usize = 1 << 20;

#[derive(Clone)]
pub(super) struct Https(TlsConnector);

impl Https {
    /// Trusts the system's roots, and those in the PEM file `extra` beside them.
    pub(super) fn new(extra: Option<&Path>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = extra {
            let bad = |reason: String| TlsError::Bad { place: path.display().to_string(), reason };
            let more = CertificateDer::pem_file_iter(path).map_err(|error| bad(error.to_string()))?;
            for root in more {
                roots.add(root.map_err(|error| bad(error.to_string()))?).map_err(|error| bad(error.to_string()))?;
            }
        }
        if roots.is_empty() {
            let text = "no trusted certificates were found on this machine: install ca-certificates, or set acme.ca";
            return Err(TlsError::Roots(text.to_owned()));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    async fn send(self, request: Request<BodyWrapper<Bytes>>) -> io::Result<Response<Full<Bytes>>> {
        let uri = request.uri().clone();
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("{uri}: {what}"));
        if uri.scheme_str() != Some("https") {
            return Err(wrong("an ACME server is reached by https:// alone"));
        }
        let host = uri.host().ok_or_else(|| wrong("no host"))?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(|error| wrong(&error.to_string()))?;
        let stream = TcpStream::connect((bare, uri.port_u16().unwrap_or(443))).await?;
        let stream = self.0.connect(name, stream).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // Ends with the sender, or with the server.
        tokio::spawn(async move { drop(connection.await) });
        let (mut parts, body) = request.into_parts();
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        parts.headers.insert(header::HOST, authority.parse().map_err(io::Error::other)?);
        parts.uri = uri.path_and_query().map_or("/", |path| path.as_str()).parse().map_err(io::Error::other)?;
        let response = sender.send_request(Request::from_parts(parts, body)).await.map_err(io::Error::other)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MOST_BYTES).collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Response::from_parts(parts, Full::new(body)))
    }
}

impl HttpClient for Https {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let place = request.uri().to_string();
        let sending = tokio::time::timeout(PATIENCE, self.clone().send(request));
        Box::pin(async move {
            match sending.await {
                Ok(Ok(response)) => Ok(BytesResponse::from(response)),
                Ok(Err(error)) => Err(Error::Other(format!("{place}: {error}").into())),
                Err(_) => Err(Error::Other(format!("{place}: no answer within {PATIENCE:?}").into())),
            }
        })
    }
}
