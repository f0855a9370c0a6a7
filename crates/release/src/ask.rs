//! Asking by HTTP: probes, Prometheus, webhooks. One connection per request, a time limit, a size limit, no redirects.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const MOST_BYTES: usize = 4 << 20;

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub status: u16,
    pub body: Bytes,
}

impl Answer {
    /// The body as text; what is not UTF-8 is replaced.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// `GET`. The error says what was asked and why there is no answer.
pub(crate) async fn get(address: &str, patience: Duration) -> Result<Answer, String> {
    ask(Method::GET, address, &[], Bytes::new(), patience).await
}

/// `POST` with fields of its own.
pub(crate) async fn post(
    address: &str,
    fields: &[(&str, String)],
    body: Bytes,
    patience: Duration,
) -> Result<Answer, String> {
    ask(Method::POST, address, fields, body, patience).await
}

async fn ask(
    method: Method,
    address: &str,
    fields: &[(&str, String)],
    body: Bytes,
    patience: Duration,
) -> Result<Answer, String> {
    let work = async {
        let uri: Uri = address.parse().map_err(|_| "it is not an address".to_owned())?;
        let host = uri.host().ok_or("it names no host")?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", authority)
            .header("user-agent", concat!("signalbox/", env!("CARGO_PKG_VERSION")))
            .header("connection", "close");
        for (name, value) in fields {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| error.to_string())?;
        if !secure {
            return exchange(stream, request).await;
        }
        let config = tls().ok_or("no root certificates were found on this machine; install ca-certificates")?;
        let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
        let stream = TlsConnector::from(config).connect(name, stream).await.map_err(|error| error.to_string())?;
        exchange(stream, request).await
    };
    match tokio::time::timeout(patience, work).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(why)) => Err(format!("{}: {why}", without_query(address))),
        Err(_) => Err(format!("{} did not answer within {patience:?}", without_query(address))),
    }
}

/// Queries may hold what is nobody's business.
fn without_query(address: &str) -> &str {
    address.split('?').next().unwrap_or(address)
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Answer, String> {
    let told = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(told)?;
    let talking = async {
        let answer = sender.send_request(request).await.map_err(told)?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
        let body = body.map_err(|_| "the answer broke off, or is larger than 4 MiB".to_owned())?.to_bytes();
        Ok(Answer { status, body })
    };
    let mut talking = std::pin::pin!(talking);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        done = &mut talking => done,
        _ = &mut connection => talking.await,
    }
}

/// Trusts what this machine trusts.
fn tls() -> Option<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Option<Arc<ClientConfig>>> = OnceLock::new();
    let make = || {
        let mut roots = RootCertStore::empty();
        // Single certificates that cannot be read do not matter as long as others can.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return None;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
        Some(Arc::new(builder.ok()?.with_root_certificates(roots).with_no_client_auth()))
    };
    CONFIG.get_or_init(make).clone()
}
