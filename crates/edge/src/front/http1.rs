//! A connection that speaks HTTP/1. While it waits for a request it holds no buffer.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::converse::exchange;
use super::{http2, prepare::prepare};
use crate::buffer::{Buffer, Io, Work};
use crate::deadline::Deadline;
use crate::http1::answer;
use crate::http1::forward::Peer;
use crate::http1::request::Refusal;
use crate::seats::Seat;
use crate::ticket::log_refusal;
use crate::worker::Worker;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// After a refusal what the client still sends is read for so long, so that it can read the refusal.
const LAST_WORDS: Duration = Duration::from_secs(1);
const MOST_LAST_WORDS: usize = 256 * 1024;

/// What comes after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Again,
    Close,
    /// Close when the client has read what it was told.
    Linger,
    Http2,
}

pub(crate) async fn serve<S: Io>(worker: Rc<Worker>, mut io: S, peer: Peer, seat: Option<Seat>) {
    let deadline = worker.deadlines.open();
    let mut first = true;
    while let Some(mut work) = first_bytes(&worker, &mut io, &deadline, first).await {
        let next = loop {
            let next = request(&worker, &mut io, &peer, &deadline, &mut work, first).await;
            first = false;
            if next != Next::Again || work.input.is_empty() {
                break next;
            }
            work.forget_request();
        };
        match next {
            Next::Again => worker.works.give_back(work),
            Next::Close => return worker.works.give_back(work),
            Next::Linger => {
                linger(&mut io, &deadline, &mut work).await;
                return worker.works.give_back(work);
            }
            Next::Http2 => {
                let begun = Buffer::of(work.input.bytes());
                worker.works.give_back(work);
                drop(deadline);
                Box::pin(http2::serve(worker, io, begun, peer)).await;
                drop(seat);
                return;
            }
        }
    }
}

/// Waits for the first bytes of a request; none when the connection ends.
async fn first_bytes<S: Io>(worker: &Rc<Worker>, io: &mut S, deadline: &Deadline, first: bool) -> Option<Box<Work>> {
    deadline.set(if first { worker.shared.limits.head } else { worker.idle_patience() });
    deadline.set_idle(true);
    let work = poll_fn(|context| {
        let mut work = worker.works.take();
        match work.input.poll_fill(io, context) {
            Poll::Ready(Ok(count)) if count > 0 => Poll::Ready(Some(work)),
            Poll::Ready(_) => {
                worker.works.give_back(work);
                Poll::Ready(None)
            }
            Poll::Pending => {
                worker.works.give_back(work);
                if deadline.passed(context) { Poll::Ready(None) } else { Poll::Pending }
            }
        }
    });
    let work = work.await;
    deadline.set_idle(false);
    work
}

/// One request, of which something is in `work.input`.
async fn request<S: Io>(
    worker: &Rc<Worker>,
    io: &mut S,
    peer: &Peer,
    deadline: &Deadline,
    work: &mut Work,
    first: bool,
) -> Next {
    deadline.set(worker.shared.limits.head);
    loop {
        if first && work.input.bytes().starts_with(&PREFACE[..4]) {
            let there = work.input.bytes();
            if there.starts_with(PREFACE) {
                return Next::Http2;
            }
            if there.len() >= PREFACE.len() {
                return Next::Close;
            }
        } else {
            match prepare(worker, peer, work) {
                Ok(Some(request)) => return exchange(worker, io, deadline, work, request).await,
                Ok(None) => (),
                Err(refusal) => return refuse(worker, io, peer, deadline, work, refusal).await,
            }
        }
        if !work.input.make_room(worker.shared.limits.head_bytes) {
            let line_ends = work.input.bytes().contains(&b'\n');
            let refusal = if line_ends { Refusal::TooLarge } else { Refusal::TooLong };
            return refuse(worker, io, peer, deadline, work, refusal).await;
        }
        let read = poll_fn(|context| match work.input.poll_fill(io, context) {
            Poll::Ready(read) => Poll::Ready(Some(read)),
            Poll::Pending if deadline.passed(context) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        match read.await {
            Some(Ok(count)) if count > 0 => (),
            Some(_) => return Next::Close,
            None => return refuse(worker, io, peer, deadline, work, Refusal::TimedOut).await,
        }
    }
}

/// Answers what is not passed on. The connection ends: where the next request begins is not certain.
async fn refuse<S: Io>(
    worker: &Rc<Worker>,
    io: &mut S,
    peer: &Peer,
    deadline: &Deadline,
    work: &mut Work,
    refusal: Refusal,
) -> Next {
    worker.shared.refused.inc();
    work.to_client.clear();
    let id = worker.ids.id();
    answer::own(&mut work.to_client.bytes, refusal.status(), id.bytes(), false, false);
    log_refusal(worker, peer, refusal.status(), &id, "HTTP/1.1");
    if send(io, deadline, work, worker.shared.limits.write).await { Next::Linger } else { Next::Close }
}

/// Sends what is there for the client; false when it does not take it.
pub(crate) async fn send<S: Io>(io: &mut S, deadline: &Deadline, work: &mut Work, patience: Duration) -> bool {
    deadline.set(patience);
    let sent = poll_fn(|context| {
        let mut moved = false;
        match work.to_client.poll_send(io, context, &mut moved) {
            Poll::Ready(sent) => return Poll::Ready(sent.is_ok()),
            Poll::Pending if moved => deadline.set(patience),
            Poll::Pending => (),
        }
        if deadline.passed(context) { Poll::Ready(false) } else { Poll::Pending }
    });
    sent.await
}

/// Says that nothing more comes, and reads what still does: closing at once would take our last answer back.
async fn linger<S: Io>(io: &mut S, deadline: &Deadline, work: &mut Work) {
    deadline.set(LAST_WORDS);
    let (mut shut, mut dropped) = (false, 0);
    poll_fn(|context| {
        if !shut {
            match std::pin::Pin::new(&mut *io).poll_shutdown(context) {
                Poll::Ready(Ok(())) => shut = true,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => (),
            }
        }
        loop {
            work.input.clear();
            match work.input.poll_fill(io, context) {
                Poll::Ready(Ok(count)) if count > 0 && dropped < MOST_LAST_WORDS => dropped += count,
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        if deadline.passed(context) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
