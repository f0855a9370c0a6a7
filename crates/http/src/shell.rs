//! What every request passes: its id, its client's address, its limit, the security headers, the log line.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use signalbox_core::address::TrustedProxies;
use signalbox_core::clock::Clock;
use signalbox_core::id::{EventId, IdMaker};

use crate::connection::Encrypted;
pub use crate::headers::Nonce;
use crate::headers::complete;
use crate::limit::{Door, Fault, Limits};
use crate::plain;
use crate::problem_page;
use crate::reply::Refusal;
use crate::room::bounded;
use crate::secure::Transport;

/// What the shell needs to know.
#[derive(Clone)]
pub struct Shell {
    pub proxies: Arc<TrustedProxies>,
    pub limiter: Arc<dyn Limits>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<IdMaker>,
    pub transport: Arc<Transport>,
}

/// The address behind a request, and the id under which it is logged.
#[derive(Debug, Clone)]
pub struct Origin {
    pub client: IpAddr,
    pub request_id: String,
    /// Whether a declared proxy sent the request, so that its request id is believed.
    pub trusted: bool,
    /// Whether nobody on the way can read it: TLS here or at a declared proxy, or it never left this machine.
    pub secure: bool,
}

impl Shell {
    /// Wraps `router` into everything that a request passes.
    pub fn wrap(&self, router: Router) -> Router {
        router
            .fallback(|| async { Refusal::not_found() })
            .method_not_allowed_fallback(plain::method_not_allowed)
            .layer(from_fn(plain::as_problem))
            .layer(from_fn_with_state(self.clone(), pass))
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
    let reads_pages = problem_page::is_wanted(request.headers(), &path);
    // The last line is the nearest proxy's: it may have added one to what it was sent.
    let forwarded_proto = request.headers().get_all("x-forwarded-proto").iter().next_back().filter(|_| trusted);
    let encrypted = request.extensions().get::<Encrypted>().is_some()
        || forwarded_proto.is_some_and(|proto| last(proto) == b"https");
    // A proxy that names a client of this machine has not let anybody else see it either.
    let here = client.is_loopback() && (forwarded_proto.is_none() || !forwarded.is_empty());
    let secure = encrypted || here;
    // Hits have a limit of their own, inside their handlers.
    let is_hit = is_hit(&path);
    let nonce = if is_hit { None } else { Nonce::make() };
    request.extensions_mut().insert(Origin { client, request_id: request_id.clone(), trusted, secure });
    if let Some(nonce) = &nonce {
        request.extensions_mut().insert(nonce.clone());
    }
    let admitted = if is_hit { Ok(()) } else { shell.limiter.admit(Door::Api, client, now) };
    let redirect = if encrypted { None } else { shell.transport.redirect(&request) };
    let mut response = match (admitted, redirect) {
        (Err(wait), _) => too_many(wait),
        (Ok(()), Some(redirect)) => redirect,
        (Ok(()), None) => bounded(request, next).await,
    };
    if !is_hit && let Some(fault) = Fault::of(response.status()) {
        shell.limiter.blame(fault, client, now);
    }
    if reads_pages {
        response = problem_page::for_people(response, &path, &request_id);
    }
    let headers = response.headers_mut();
    complete(headers, nonce.as_ref(), is_hit);
    if encrypted && let Some(value) = shell.transport.hsts() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
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

/// Whether a path is a pixel's or a link's.
pub(crate) fn is_hit(path: &str) -> bool {
    path.starts_with("/o/") || path.starts_with("/c/")
}

fn too_many(wait: Duration) -> Response {
    let seconds = u32::try_from(wait.as_micros().div_ceil(1_000_000)).unwrap_or(u32::MAX).max(1);
    let detail = format!("Slow down and try again in {seconds} s.");
    let mut refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", detail);
    refusal.0.retry_after = Some(seconds);
    refusal.into_response()
}

/// What the nearest proxy has said: proxies may append to what they were sent.
fn last(value: &HeaderValue) -> Vec<u8> {
    let last = value.as_bytes().rsplit(|byte| *byte == b',').next().unwrap_or_default();
    last.trim_ascii().to_ascii_lowercase()
}
