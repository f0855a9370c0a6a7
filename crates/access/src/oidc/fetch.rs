//! Asking a provider: one connection per request, TLS 1.3, a time limit, a size limit, no redirects.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use axum::http::{HeaderValue, Method, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::pins::{Pin, Pinned};

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

/// Asks a provider.
#[derive(Clone)]
pub(crate) struct Fetcher {
    tls: Option<Arc<ClientConfig>>,
}

/// What this machine trusts.
pub(crate) fn native_roots() -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    // Single certificates that cannot be read do not matter as long as others can.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Arc::new(roots)
}

impl Fetcher {
    /// Trusts `roots`; where there are pins, only servers with one of those keys.
    pub(crate) fn new(roots: &Arc<RootCertStore>, pins: Vec<Pin>) -> Self {
        Self { tls: config(roots, pins).map(Arc::new) }
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

/// None without any root.
fn config(roots: &Arc<RootCertStore>, pins: Vec<Pin>) -> Option<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).ok()?;
    let trusted = WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), provider).build().ok()?;
    Some(match pins.is_empty() {
        true => builder.with_webpki_verifier(trusted).with_no_client_auth(),
        false => {
            let pinned = Arc::new(Pinned { trusted, pins });
            builder.dangerous().with_custom_certificate_verifier(pinned).with_no_client_auth()
        }
    })
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
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use sha2::{Digest as _, Sha256};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// A server over TLS that answers everything with `{}`; its address, what to trust, and the pin of its key.
    async fn provider() -> (String, Arc<RootCertStore>, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        let pin = format!("sha256/{}", STANDARD.encode(Sha256::digest(key.subject_public_key_info())));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], private).unwrap();
        let (acceptor, listener) =
            (TlsAcceptor::from(Arc::new(config)), TcpListener::bind(("127.0.0.1", 0)).await.unwrap());
        let address = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
                let _ = stream.shutdown().await;
            }
        });
        (address, Arc::new(roots), pin)
    }

    #[tokio::test]
    async fn a_pinned_provider_is_asked_only_with_its_own_key() {
        let (address, roots, own) = provider().await;
        let other = format!("sha256/{}", STANDARD.encode([7; 32]));
        let pin = |text: &String| Pin::parse(text).unwrap();
        for pins in [vec![], vec![pin(&own)], vec![pin(&other), pin(&own)]] {
            assert_eq!(Fetcher::new(&roots, pins).get(&address, None).await.unwrap(), "{}");
        }
        let refused = Fetcher::new(&roots, vec![pin(&other)]).get(&address, None).await.unwrap_err();
        assert!(refused.to_string().contains("not one of the pins"), "{refused}");
        let (_, strangers, _) = provider().await;
        let untrusted = Fetcher::new(&strangers, vec![pin(&own)]).get(&address, None).await.unwrap_err();
        assert!(matches!(untrusted, FetchError::Unreachable(..)), "a pin alone is no trust: {untrusted}");
        let nothing = Fetcher::new(&Arc::new(RootCertStore::empty()), vec![]).get(&address, None).await;
        assert!(matches!(nothing, Err(FetchError::NoRoots)));
    }

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
