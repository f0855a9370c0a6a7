//! What every request passes: its id, its client's address, its limit, the security headers, the log line.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use signalbox_core::address::TrustedProxies;
use signalbox_core::clock::Clock;
use signalbox_core::id::{EventId, IdMaker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower::ServiceExt as _;

use crate::limit::{Door, Limiter};
use crate::reply::Refusal;

/// What the shell needs to know.
#[derive(Clone)]
pub struct Shell {
    pub proxies: Arc<TrustedProxies>,
    pub limiter: Arc<Limiter>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<IdMaker>,
}

/// The address behind a request, and the id under which it is logged.
#[derive(Debug, Clone)]
pub struct Origin {
    pub client: IpAddr,
    pub request_id: String,
    /// Whether a declared proxy sent the request, so that its request id is believed.
    pub trusted: bool,
}

/// Pages may load our own files and nothing else.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const SECURITY_HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CSP),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=()"),
];

impl Shell {
    /// Wraps `router` into everything that a request passes.
    pub fn wrap(&self, router: Router) -> Router {
        router.fallback(|| async { Refusal::not_found() }).layer(from_fn_with_state(self.clone(), pass))
    }
}

async fn pass(State(shell): State<Shell>, mut request: Request, next: Next) -> Response {
    let now = shell.clock.now();
    let peer = request.extensions().get::<SocketAddr>().map_or(IpAddr::from([0, 0, 0, 0]), SocketAddr::ip);
    let text = |value: &HeaderValue| value.to_str().unwrap_or("?").to_owned();
    let trusted = shell.proxies.contains(peer);
    let forwarded: Vec<_> = request.headers().get_all("x-forwarded-for").iter().map(text).collect();
    let client = shell.proxies.client(peer, forwarded.iter().map(String::as_str));
    let given = request.headers().get("x-request-id").filter(|_| trusted).map(text).filter(|id| id.len() <= 64);
    let request_id = given.unwrap_or_else(|| EventId(shell.ids.next_at(now)).to_string().replacen("evt", "req", 1));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    // Hits have a limit of their own, inside their handlers.
    let is_hit = path.starts_with("/o/") || path.starts_with("/c/");
    request.extensions_mut().insert(Origin { client, request_id: request_id.clone(), trusted });
    let mut response = if is_hit || shell.limiter.admit(Door::Api, client, now) {
        next.run(request).await
    } else {
        let mut refusal = Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-requests",
            "Too many requests",
            "Slow down and try again.",
        );
        refusal.0.retry_after = Some(1);
        refusal.into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert("x-request-id", value);
    }
    let (status, micros) = (response.status().as_u16(), shell.clock.now().0 - now.0);
    if status >= 500 {
        tracing::warn!(request.id = request_id, http.method = %method, http.path = path, http.status = status, duration_us = micros, "request");
    } else {
        tracing::debug!(request.id = request_id, http.method = %method, http.path = path, http.status = status, duration_us = micros, "request");
    }
    response
}

/// Serves one connection, of which `head` was read already, until it ends or `graceful` says so. `busy` counts
/// the requests that are being answered.
pub async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    head: Vec<u8>,
    router: Router,
    graceful: &GracefulShutdown,
    busy: &Arc<AtomicUsize>,
) {
    let io = TokioIo::new(Rewound { head: Bytes::from(head), stream });
    let busy = Arc::clone(busy);
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let answer = router.clone().oneshot(request.map(Body::new));
        let busy = Arc::clone(&busy);
        async move {
            busy.fetch_add(1, Ordering::SeqCst);
            let _done = Done(busy);
            Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {}))
        }
    });
    // A head that is not whole within this is a slow attack, not a client.
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(10))
        .max_buf_size(64 * 1024)
        .serve_connection(io, service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
    });
}

/// Takes a request off the count, however it ended.
struct Done(Arc<AtomicUsize>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A stream whose first bytes were read by somebody else.
struct Rewound {
    head: Bytes,
    stream: TcpStream,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.head.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let count = self.head.len().min(buffer.remaining());
        buffer.put_slice(&self.head.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
