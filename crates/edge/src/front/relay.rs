//! Moving bodies: the request's to the upstream, the answer's to the client, both at once where both are under way.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;

use super::converse::Answering;
use super::http1::Next;
use super::prepare::Request;
use super::tunnel::tunnel;
use crate::buffer::{Io, ROOM, Work};
use crate::deadline::Deadline;
use crate::http1::body::{Decoder, Framing, LAST_CHUNK, encode};
use crate::settings::Limits;
use crate::stats::{Ending, Long};
use crate::upstream::Failure;
use crate::worker::Worker;

/// A client must send so much of a body for its patience to begin anew.
const PROGRESS: u64 = 1024;
/// What is read ahead of a client.
const MOST_AHEAD: usize = 4 * ROOM;

/// Told to close, an event stream waits so long for the end of an event.
const LAST_EVENT: Duration = Duration::from_secs(2);

/// Whom a pump waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    Client,
    Upstream,
}

/// Moves the body of a request.
#[derive(Debug)]
pub(crate) struct Pump {
    decoder: Decoder,
    chunked: bool,
    most: u64,
    moved: u64,
    since: u64,
    started: bool,
    finished: bool,
    waits: Waits,
}

impl Pump {
    pub(crate) fn new(framing: Framing, most: u64) -> Self {
        Self {
            decoder: Decoder::new(framing),
            chunked: framing == Framing::Chunked,
            most,
            moved: 0,
            since: 0,
            started: false,
            finished: false,
            waits: Waits::Client,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.finished
    }

    /// Nothing of the body was taken from the client.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.started
    }

    pub(crate) fn waits(&self) -> Waits {
        self.waits
    }

    pub(crate) fn poll<S: Io>(
        &mut self,
        context: &mut Context<'_>,
        io: &mut S,
        stream: &mut TcpStream,
        work: &mut Work,
        deadline: &Deadline,
        limits: &Limits,
    ) -> Poll<Result<(), Failure>> {
        if !self.started {
            self.started = true;
            deadline.set(limits.body);
        }
        loop {
            if !work.to_upstream.is_empty() {
                let mut moved = false;
                match work.to_upstream.poll_send(stream, context, &mut moved) {
                    // While the upstream was slow the client was not at fault; else its patience goes on running.
                    Poll::Ready(Ok(())) if self.waits == Waits::Upstream => {
                        self.since = 0;
                        deadline.set(limits.body);
                    }
                    Poll::Ready(Ok(())) => (),
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(Failure::Broken)),
                    Poll::Pending => {
                        if moved || self.waits == Waits::Client {
                            deadline.set(limits.write);
                        }
                        self.waits = Waits::Upstream;
                        return Poll::Pending;
                    }
                }
            }
            if self.decoder.is_done() {
                self.finished = true;
                return Poll::Ready(Ok(()));
            }
            if !work.input.is_empty() {
                self.take(work)?;
                continue;
            }
            self.waits = Waits::Client;
            work.input.make_room(ROOM);
            match work.input.poll_fill(io, context) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.since += count as u64;
                    if self.since >= PROGRESS {
                        self.since = 0;
                        deadline.set(limits.body);
                    }
                }
                Poll::Ready(_) => return Poll::Ready(Err(Failure::ClientGone)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Takes what is there from the client's framing into ours.
    fn take(&mut self, work: &mut Work) -> Result<(), Failure> {
        while !work.input.is_empty() && !self.decoder.is_done() {
            let bytes = work.input.bytes();
            let step = self.decoder.step(bytes).map_err(|_| Failure::ClientBody(400))?;
            encode(&mut work.to_upstream.bytes, &bytes[step.consumed - step.data..step.consumed], self.chunked);
            self.moved += step.data as u64;
            work.input.consume(step.consumed);
        }
        if self.moved > self.most {
            return Err(Failure::ClientBody(413));
        }
        if self.decoder.is_done() && self.chunked {
            work.to_upstream.bytes.extend_from_slice(LAST_CHUNK);
        }
        Ok(())
    }
}

/// How the way of an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Done,
    /// The client does not take it.
    Aborted,
    /// The upstream broke off.
    Broken,
    /// The upstream fell silent.
    Late,
}

/// Passes the answer on, whose head is in `work.to_client` already.
pub(crate) async fn relay<S: Io>(
    worker: &Rc<Worker>,
    io: &mut S,
    deadline: &Deadline,
    work: &mut Work,
    mut request: Request,
    answering: Answering,
) -> Next {
    let Answering { stream, upstream, answer, outward, mut pump } = answering;
    let status = answer.status;
    let arm = Rc::clone(&request.ticket.arm);
    if status == 101 {
        request.ticket.becomes_long(Long::Upgrade);
        let registered = worker.register(&arm.stats, deadline.alarm());
        let bytes = tunnel(io, stream, deadline, work, &worker.shared.limits, &registered).await;
        request.ticket.bytes_out += bytes;
        request.ticket.end(Ending::Answered(101));
        return Next::Close;
    }
    if answer.recorded {
        arm.stats.recorded.inc();
    }
    let registered = answer.event_stream.then(|| {
        request.ticket.becomes_long(Long::EventStream);
        worker.register(&arm.stats, deadline.alarm())
    });
    let limits = &worker.shared.limits;
    let idle = if answer.event_stream { limits.stream_idle } else { arm.timeouts.idle() };
    let mut decoder = Decoder::new(answer.framing);
    let mut ended = decoder.is_done();
    let mut stream = Some(stream);
    let (mut at_boundary, mut told) = (true, false);
    let mut sent = 0;
    deadline.set(limits.write.max(idle));
    let way = poll_fn(|context| {
        loop {
            // Everything that is there goes out in one write.
            while !work.answer.is_empty() && !ended && work.to_client.bytes.len() < MOST_AHEAD {
                let bytes = work.answer.bytes();
                let Ok(step) = decoder.step(bytes) else { return Poll::Ready(Way::Broken) };
                let data = &bytes[step.consumed - step.data..step.consumed];
                if answer.event_stream && !data.is_empty() {
                    at_boundary = data.ends_with(b"\n\n") || data.ends_with(b"\r\n\r\n");
                }
                encode(&mut work.to_client.bytes, data, outward.chunked);
                work.answer.consume(step.consumed);
                ended = decoder.is_done();
                if ended && outward.chunked {
                    work.to_client.bytes.extend_from_slice(LAST_CHUNK);
                }
            }
            if decoder.is_done() && pump.is_none() && answer.keep_alive && work.answer.is_empty() {
                // Its next request need not wait until our client has read.
                if let Some(stream) = stream.take() {
                    upstream.give_back(stream, worker.deadlines.now());
                }
            }
            if !work.to_client.is_empty() {
                let length = work.to_client.bytes.len() as u64;
                let mut moved = false;
                let out = work.to_client.poll_send(io, context, &mut moved);
                if moved {
                    deadline.set(limits.write);
                }
                match out {
                    Poll::Ready(Ok(())) => {
                        sent += length;
                        deadline.set(idle);
                    }
                    Poll::Ready(Err(_)) => return Poll::Ready(Way::Aborted),
                    Poll::Pending => break,
                }
            }
            if ended {
                return Poll::Ready(Way::Done);
            }
            let Some(stream) = stream.as_mut() else { return Poll::Ready(Way::Broken) };
            work.answer.make_room(ROOM);
            match work.answer.poll_fill(stream, context) {
                Poll::Ready(Ok(count)) if count > 0 => (),
                Poll::Ready(Ok(_)) if decoder.ends_with_connection() => {
                    ended = true;
                    if outward.chunked {
                        work.to_client.bytes.extend_from_slice(LAST_CHUNK);
                    }
                }
                Poll::Ready(_) => return Poll::Ready(Way::Broken),
                Poll::Pending => break,
            }
        }
        if let (Some(pumping), Some(stream)) = (pump.as_mut(), stream.as_mut()) {
            // The answer came before the whole request; the rest goes on as long as the upstream takes it.
            match pumping.poll(context, io, stream, work, deadline, limits) {
                Poll::Ready(Ok(())) => pump = None,
                Poll::Ready(Err(Failure::ClientGone)) => return Poll::Ready(Way::Aborted),
                Poll::Ready(Err(_)) | Poll::Pending => (),
            }
        } else if answer.event_stream && work.input.make_room(ROOM) {
            // Nobody reads any more: the next event would be too late to notice it.
            match work.input.poll_fill(io, context) {
                Poll::Ready(Ok(count)) if count > 0 => context.waker().wake_by_ref(),
                Poll::Ready(_) => return Poll::Ready(Way::Aborted),
                Poll::Pending => (),
            }
        }
        let passed = deadline.passed(context);
        let closing = registered.as_ref().is_some_and(|registered| registered.is_closing());
        if closing && (passed || told) {
            if told && passed {
                return Poll::Ready(Way::Done);
            }
            if !told {
                // Looked at again whenever something moves.
                told = true;
                deadline.silence();
                deadline.set(LAST_EVENT);
                context.waker().wake_by_ref();
            }
            if at_boundary && !ended {
                ended = true;
                if outward.chunked {
                    work.to_client.bytes.extend_from_slice(LAST_CHUNK);
                }
                context.waker().wake_by_ref();
            }
        } else if passed {
            return Poll::Ready(if work.to_client.is_empty() { Way::Late } else { Way::Aborted });
        }
        Poll::Pending
    })
    .await;
    request.ticket.bytes_out += sent;
    match way {
        Way::Done => {
            request.ticket.end(Ending::Answered(status));
            let closing = registered.as_ref().is_some_and(|registered| registered.is_closing());
            if outward.keep_alive && pump.is_none() && !closing { Next::Again } else { Next::Linger }
        }
        Way::Aborted => {
            request.ticket.end(Ending::Aborted);
            Next::Close
        }
        Way::Broken | Way::Late => {
            if way == Way::Late {
                arm.stats.timeouts.inc();
            } else {
                arm.stats.resets.inc();
            }
            request.ticket.end(Ending::Broken);
            Next::Close
        }
    }
}
