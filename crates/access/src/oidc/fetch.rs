//! Asking a provider: one connection per request, TLS 1.3, a time limit, a size limit, no redirects.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use axum::http::{HeaderValue, Method, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// For the whole of a request: name, connection, answer.
const LIMIT: Duration = Duration::from_secs(8);
const MOST_BYTES: usize = 256 * 1024;

/// Why a provider did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("{0} {1}")]
    Address(String, &'static str),
    #[error("{0} did not answer within 8 s")]
    TooSlow(String),
    #[error("{0} cannot be reached: {1}")]
    Unreachable(String, String),
    #[error("{0} answered with status {1}: {2}")]
    Status(String, u16, String),
    #[error("{0} answered with more than 256 KiB, or its answer broke off")]
    Body(String),
    #[error("no root certificates were found on this machine; install ca-certificates")]
    NoRoots,
}

/// An address that may be asked: https, or http on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    uri: Uri,
    secure: bool,
    host: String,
    port: u16,
}

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let uri: Uri = text.parse().map_err(|_| "is not a web address")?;
        let host = uri.host().ok_or("has no host")?.trim_start_matches('[').trim_end_matches(']').to_owned();
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("must not hold a user name");
        }
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1") => false,
            _ => return Err("must begin with https:// (http:// only for this machine)"),
        };
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Ok(Self { uri, secure, host, port })
    }
}

/// Asks providers.
#[derive(Clone)]
pub(crate) struct Fetcher {
    tls: Option<Arc<ClientConfig>>,
}

impl Fetcher {
    /// Trusts what this machine trusts.
    pub(crate) fn new() -> Self {
        let mut roots = RootCertStore::empty();
        // Single certificates that cannot be read do not matter as long as others can.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Self { tls: None };
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .ok()
            .map(|builder| Arc::new(builder.with_root_certificates(roots).with_no_client_auth()));
        Self { tls: config }
    }

    /// `GET`, with an access token where one is given.
    pub(crate) async fn get(&self, address: &str, token: Option<&str>) -> Result<Bytes, FetchError> {
        let bearer = token.map(|token| format!("Bearer {token}"));
        self.ask(Method::GET, address, bearer.as_deref(), None).await
    }

    /// `POST` of a form.
    pub(crate) async fn post(
        &self,
        address: &str,
        authorization: Option<&str>,
        form: String,
    ) -> Result<Bytes, FetchError> {
        self.ask(Method::POST, address, authorization, Some(form)).await
    }

    async fn ask(
        &self,
        method: Method,
        address: &str,
        authorization: Option<&str>,
        form: Option<String>,
    ) -> Result<Bytes, FetchError> {
        let parsed = Address::parse(address).map_err(|reason| FetchError::Address(address.to_owned(), reason))?;
        let unreachable =
            |error: &dyn std::fmt::Display| FetchError::Unreachable(address.to_owned(), error.to_string());
        let request = request(method, &parsed, authorization, form).map_err(|error| unreachable(&error))?;
        let work = async {
            let stream = TcpStream::connect((parsed.host.as_str(), parsed.port)).await.map_err(|e| unreachable(&e))?;
            if !parsed.secure {
                return exchange(stream, request, address).await;
            }
            let tls = TlsConnector::from(self.tls.clone().ok_or(FetchError::NoRoots)?);
            let name = ServerName::try_from(parsed.host.clone()).map_err(|e| unreachable(&e))?;
            let stream = tls.connect(name, stream).await.map_err(|e| unreachable(&e))?;
            exchange(stream, request, address).await
        };
        tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| Err(FetchError::TooSlow(address.to_owned())))
    }
}

fn request(
    method: Method,
    address: &Address,
    authorization: Option<&str>,
    form: Option<String>,
) -> Result<hyper::Request<Full<Bytes>>, axum::http::Error> {
    let path = address.uri.path_and_query().map_or("/", |path| path.as_str());
    let host = address.uri.authority().map_or("", |authority| authority.as_str());
    let mut request = hyper::Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, host)
        .header(USER_AGENT, concat!("signalbox/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "application/json");
    if let Some(authorization) = authorization {
        let mut value = HeaderValue::from_str(authorization)?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    if form.is_some() {
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    request.body(Full::new(Bytes::from(form.unwrap_or_default())))
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: hyper::Request<Full<Bytes>>,
    address: &str,
) -> Result<Bytes, FetchError> {
    let unreachable = |error: hyper::Error| FetchError::Unreachable(address.to_owned(), error.to_string());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(unreachable)?;
    let connection = tokio::spawn(connection);
    let answer = async {
        let answer = sender.send_request(request).await.map_err(unreachable)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
        let body = body.map_err(|_| FetchError::Body(address.to_owned()))?.to_bytes();
        if status.is_success() {
            return Ok(body);
        }
        Err(FetchError::Status(address.to_owned(), status.as_u16(), error_word(&body)))
    }
    .await;
    connection.abort();
    answer
}

/// The OAuth error code in a refusal. Nothing else of the body is kept: it might hold what was sent.
fn error_word(body: &[u8]) -> String {
    let value: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let word = value.as_ref().and_then(|value| value["error"].as_str()).unwrap_or("no error code");
    word.chars().filter(|letter| !letter.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_or_this_machine_is_asked() {
        for good in ["https://id.example", "https://id.example:8443/realms/x", "http://127.0.0.1:9/x", "http://[::1]:9"]
        {
            assert!(Address::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://id.example",
            "http://127.0.0.1.example",
            "ftp://x",
            "/x",
            "",
            "https://a@id.example",
            "file:///etc",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
