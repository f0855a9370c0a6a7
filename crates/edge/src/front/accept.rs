//! Accepting connections, and handing each to the thread that has the fewest.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio_rustls::TlsAcceptor;

use super::{http1, http2};
use crate::buffer::Buffer;
use crate::http1::forward::Peer;
use crate::worker::{Arrived, Order, Worker};

/// Accepts until it is aborted.
pub(crate) async fn accept(worker: Rc<Worker>, listener: std::net::TcpListener, encrypted: bool) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a listener cannot be used"),
    };
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors: what is open goes on, new ones wait in the backlog.
                tracing::warn!(%error, "a connection could not be accepted; it is tried again");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let trusted = worker.shared.proxies.contains(peer.ip());
        let Some(seat) = worker.shared.seats.enter(peer.ip(), trusted, worker.number) else { continue };
        let thread = seat.thread;
        let Ok(stream) = stream.into_std() else { continue };
        let arrived = Arrived { stream, peer, encrypted, seat };
        if thread == worker.number {
            serve(&worker, arrived);
        } else {
            // The other thread ends only when all of them do.
            let _ = worker.shared.threads[thread].send(Order::Serve(arrived));
        }
    }
}

/// Serves a connection in a task of its own.
pub(crate) fn serve(worker: &Rc<Worker>, arrived: Arrived) {
    let Arrived { stream, peer, encrypted, seat } = arrived;
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let _ = stream.set_nodelay(true);
    let peer = Peer::new(peer, &worker.shared.proxies, encrypted);
    if encrypted {
        let worker = Rc::clone(worker);
        spawn_local(async move {
            let _seat = seat;
            handshake(worker, stream, peer).await;
        });
    } else {
        spawn_local(http1::serve(Rc::clone(worker), stream, peer, Some(seat)));
    }
}

async fn handshake(worker: Rc<Worker>, stream: TcpStream, peer: Peer) {
    let Some(config) = worker.shared.tls.clone() else { return };
    let deadline = worker.deadlines.open();
    deadline.set(worker.shared.limits.head);
    let mut shaking = pin!(TlsAcceptor::from(config).accept(stream));
    let done = poll_fn(|context| match shaking.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(done.ok()),
        Poll::Pending if deadline.passed(context) => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    });
    let Some(stream) = done.await else { return worker.shared.failed_handshakes.inc() };
    drop(deadline);
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        http2::serve(worker, stream, Buffer::new(), peer).await;
    } else {
        // A TLS connection is large anyway: its future may be too.
        Box::pin(http1::serve(worker, stream, peer, None)).await;
    }
}
