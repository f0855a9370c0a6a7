//! Serving one connection, HTTP/1.1 or HTTP/2, plain or encrypted; and how many there may be.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use rustc_hash::FxHashMap;
use signalbox_core::address::{TrustedProxies, source_key};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;
use tower::ServiceExt as _;

pub use crate::stream::Unreadable;
use crate::stream::Watched;

/// A head that is not whole within this is a slow attack, not a client.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// An HTTP/2 connection without requests is kept this long.
const IDLE_PATIENCE: Duration = Duration::from_secs(75);
const MOST_HEAD: usize = 64 * 1024;
/// HTTP/2: a head after decompression, and requests at once on one connection.
const MOST_HEADER_LIST: u32 = 32 * 1024;
const MOST_STREAMS: u32 = 100;

/// How a connection came.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub peer: SocketAddr,
    pub encrypted: bool,
    pub http2: bool,
}

/// An extension of requests that came over TLS to this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encrypted;

/// The connections of the shell, counted in all and per source.
pub struct Connections {
    most: usize,
    most_per_source: usize,
    proxies: Arc<TrustedProxies>,
    unreadable: Unreadable,
    open: Mutex<FxHashMap<u128, usize>>,
    total: AtomicUsize,
    /// Gone once the process stops.
    graceful: Mutex<Option<GracefulShutdown>>,
    /// Requests that are being answered.
    busy: Arc<AtomicUsize>,
}

/// One of them; given back when it is dropped.
pub struct Seat {
    connections: Arc<Connections>,
    source: Option<u128>,
}

impl Connections {
    /// At most `most` at once. One source may hold a quarter of them, a declared proxy all. Where `unreadable` has an
    /// answer, it is given over HTTP/1 instead of 400, 414 or 431; over HTTP/2 such a request is a broken stream and has no answer.
    pub fn new(most: usize, proxies: Arc<TrustedProxies>, unreadable: Unreadable) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_per_source: most.div_ceil(4),
            proxies,
            unreadable,
            open: Mutex::default(),
            total: AtomicUsize::new(0),
            graceful: Mutex::new(Some(GracefulShutdown::new())),
            busy: Arc::default(),
        })
    }

    /// A place for a connection of `peer`, if there is one.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Seat> {
        let source = (!self.proxies.contains(peer)).then(|| source_key(peer));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if self.total.load(Ordering::Relaxed) >= self.most {
            return None;
        }
        if let Some(source) = source {
            let held = open.entry(source).or_insert(0);
            if *held >= self.most_per_source {
                return None;
            }
            *held += 1;
        }
        self.total.fetch_add(1, Ordering::Relaxed);
        Some(Seat { connections: Arc::clone(self), source })
    }

    /// Connections at this moment.
    pub fn count(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    /// Lets requests in flight finish and ends the connections. A client in the middle of asking is not waited for,
    /// only one that is being answered. False when some needed longer than `grace`.
    pub async fn finish(&self, grace: Duration) -> bool {
        let Some(graceful) = self.graceful.lock().unwrap_or_else(PoisonError::into_inner).take() else { return true };
        let quiet = async {
            let mut calm = 0;
            while calm < 5 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                calm = if self.busy.load(Ordering::SeqCst) == 0 { calm + 1 } else { 0 };
            }
        };
        tokio::select! {
            () = graceful.shutdown() => true,
            () = quiet => true,
            () = tokio::time::sleep(grace) => false,
        }
    }

    /// Serves a connection, of which `head` was read already, in a task of its own until it ends.
    pub fn serve<S>(self: &Arc<Self>, seat: Seat, stream: S, arrival: Arrival, head: Vec<u8>, router: Router)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let unreadable: Unreadable = if arrival.http2 { |_| None } else { self.unreadable };
        let io = TokioIo::new(Watched::new(head, stream, unreadable));
        let (alive, seen) = watch::channel(Activity { busy: 0, since: Instant::now(), asked: false });
        let (alive, busy) = (Arc::new(alive), Arc::clone(&self.busy));
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(arrival.peer);
            if arrival.encrypted {
                request.extensions_mut().insert(Encrypted);
            }
            let answer = router.clone().oneshot(request.map(Body::new));
            let (counted, active) = (Counted::begin(&busy), Active::begin(&alive));
            async move {
                let _counted = counted;
                let response = answer.await.unwrap_or_else(|never| match never {});
                // Until its last byte the connection is not idle.
                Ok::<_, Infallible>(response.map(|body| Answer { body, _active: active }))
            }
        });
        if arrival.http2 {
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_header_list_size(MOST_HEADER_LIST)
                .max_concurrent_streams(MOST_STREAMS)
                .max_send_buf_size(MOST_HEAD)
                .keep_alive_interval(HEAD_PATIENCE / 2)
                .keep_alive_timeout(HEAD_PATIENCE / 2)
                .serve_connection(io, service);
            self.watch(seat, connection, Some(seen));
        } else {
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_PATIENCE)
                .max_buf_size(MOST_HEAD)
                .serve_connection(io, service);
            self.watch(seat, connection, None);
        }
    }

    fn watch<C>(&self, seat: Seat, connection: C, seen: Option<watch::Receiver<Activity>>)
    where
        C: GracefulConnection<Error = hyper::Error> + Send + 'static,
    {
        let graceful = self.graceful.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(connection) = graceful.as_ref().map(|graceful| graceful.watch(connection)) else { return };
        tokio::spawn(async move {
            let _seat = seat;
            let ended = tokio::select! {
                ended = connection => ended,
                () = idle(seen) => return,
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        self.connections.total.fetch_sub(1, Ordering::Relaxed);
        let Some(source) = self.source else { return };
        if let Some(held) = open.get_mut(&source) {
            *held -= 1;
            if *held == 0 {
                open.remove(&source);
            }
        }
    }
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy)]
struct Activity {
    busy: usize,
    since: Instant,
    /// It has asked for something.
    asked: bool,
}

/// Takes a request off the count of those being answered, however it ended.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn begin(busy: &Arc<AtomicUsize>) -> Self {
        busy.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(busy))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Keeps a connection from counting as idle.
struct Active(Arc<watch::Sender<Activity>>);

impl Active {
    fn begin(alive: &Arc<watch::Sender<Activity>>) -> Self {
        alive.send_modify(|activity| {
            *activity = Activity { busy: activity.busy + 1, since: Instant::now(), asked: true };
        });
        Self(Arc::clone(alive))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.send_modify(|activity| {
            activity.busy = activity.busy.saturating_sub(1);
            activity.since = Instant::now();
        });
    }
}

struct Answer {
    body: Body,
    _active: Active,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Comes when a connection has asked for nothing for too long; HTTP/1 sees to that by itself.
async fn idle(seen: Option<watch::Receiver<Activity>>) {
    let Some(mut seen) = seen else { return std::future::pending().await };
    loop {
        let activity = *seen.borrow_and_update();
        let patience = if activity.asked { IDLE_PATIENCE } else { HEAD_PATIENCE };
        let changed = if activity.busy > 0 {
            seen.changed().await
        } else {
            match tokio::time::timeout_at(activity.since + patience, seen.changed()).await {
                Ok(changed) => changed,
                Err(_) => return,
            }
        };
        if changed.is_err() {
            return std::future::pending().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_bounded_in_all_and_per_source() {
        let proxies = Arc::new(TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]));
        let connections = Connections::new(8, proxies, |_| None);
        let enter = |peer: &str| connections.enter(peer.parse().unwrap());
        let held = [enter("192.0.2.1"), enter("192.0.2.1")];
        assert!(held.iter().all(Option::is_some));
        assert!(enter("192.0.2.1").is_none(), "one source has a quarter");
        let others: Vec<_> = (0..6).map(|_| enter("10.0.0.1")).collect();
        assert!(others.iter().all(Option::is_some), "a declared proxy has what is left");
        assert!(enter("192.0.2.2").is_none(), "all places are taken");
        drop((held, others));
        assert_eq!(connections.count(), 0);
        assert!(enter("192.0.2.1").is_some());
        assert!(connections.open.lock().unwrap().is_empty(), "nothing is remembered about sources that left");
    }
}
