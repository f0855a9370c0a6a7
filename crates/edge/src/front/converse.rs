//! One request and its answer: choosing an instance, sending, waiting for the head of the answer, and trying again where
//! that is safe.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::AsyncWrite as _;
use tokio::net::TcpStream;

use super::http1::{Next, send};
use super::prepare::Request;
use super::relay::{Pump, Waits, relay};
use crate::buffer::{Io, ROOM, Work};
use crate::deadline::Deadline;
use crate::http1::answer::{self, Answer, Asked, MOST_HEAD, Outward};
use crate::http1::body::Framing;
use crate::settings::Limits;
use crate::stats::Ending;
use crate::table::Arm;
use crate::upstream::{Failure, Upstream, connect};
use crate::worker::Worker;

/// Attempts after the first, and the pauses before them where the instance refused.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(100)];

/// An upstream that has begun to answer.
pub(crate) struct Answering {
    pub(crate) stream: TcpStream,
    pub(crate) upstream: Rc<Upstream>,
    pub(crate) answer: Answer,
    pub(crate) outward: Outward,
    pub(crate) pump: Option<Pump>,
}

/// Serves a request whose head is written to `work.head`.
pub(crate) async fn exchange<S: Io>(
    worker: &Rc<Worker>,
    io: &mut S,
    deadline: &Deadline,
    work: &mut Work,
    mut request: Request,
) -> Next {
    let arm = Rc::clone(&request.ticket.arm);
    match ask(worker, io, deadline, work, &mut request, &arm).await {
        Ok(answering) => relay(worker, io, deadline, work, request, answering).await,
        Err(Failure::ClientGone) => {
            request.ticket.end(Ending::Aborted);
            Next::Close
        }
        Err(failure) => {
            let status = if request.ticket.is_unrouted { 503 } else { failure.status() };
            // Of a body that was not read to its end nobody knows where the next request begins.
            let keep_alive = request.keep_alive && request.framing == Framing::Empty;
            work.to_client.clear();
            let id = request.ticket.id;
            answer::own(&mut work.to_client.bytes, status, id.bytes(), keep_alive, request.is_head);
            let sent = send(io, deadline, work, worker.shared.limits.write).await;
            request.ticket.end(if sent { Ending::ByEdge(status) } else { Ending::Aborted });
            match (sent, keep_alive) {
                (true, true) => Next::Again,
                (true, false) => Next::Linger,
                (false, _) => Next::Close,
            }
        }
    }
}

async fn ask<S: Io>(
    worker: &Rc<Worker>,
    io: &mut S,
    deadline: &Deadline,
    work: &mut Work,
    request: &mut Request,
    arm: &Arm,
) -> Result<Answering, Failure> {
    loop {
        let (mut stream, upstream, reused) =
            reach(worker, deadline, arm, !request.is_repeatable(), &mut request.ticket.retries).await?;
        let mut talk = Talk { sent: 0, broken_pipe: false, client_ended: false, pump: None };
        if request.framing != Framing::Empty {
            talk.pump = Some(Pump::new(request.framing, worker.shared.limits.body_bytes));
            if request.waits {
                request.waits = false;
                work.to_client.bytes.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                if !send(io, deadline, work, worker.shared.limits.write).await {
                    return Err(Failure::ClientGone);
                }
            }
        }
        let patience = arm.timeouts.response();
        deadline.set(patience);
        let limits = &worker.shared.limits;
        let heard =
            poll_fn(|context| talk.poll(context, io, &mut stream, deadline, work, request, limits, patience)).await;
        match heard {
            Ok((answer, outward)) => {
                let pump = talk.pump.filter(|pump| !pump.is_done());
                return Ok(Answering { stream, upstream, answer, outward, pump });
            }
            Err(failure) => {
                let untouched = talk.sent == 0 && talk.pump.as_ref().is_none_or(Pump::is_untouched);
                let safe = failure == Failure::Closed && reused && (request.is_repeatable() || untouched);
                if safe && (request.ticket.retries as usize) < PAUSES.len() {
                    // It was closed while it waited; so were those that waited longer.
                    upstream.forget_idle();
                    request.ticket.retries += 1;
                    arm.stats.retries.inc();
                    work.answer.clear();
                    continue;
                }
                match failure {
                    Failure::Timeout => arm.stats.timeouts.inc(),
                    Failure::Closed | Failure::Broken => arm.stats.resets.inc(),
                    _ => (),
                }
                return Err(failure);
            }
        }
    }
}

/// A connection of the arm: one that waits, or a new one; refused ones are tried again, elsewhere where there is another.
pub(crate) async fn reach(
    worker: &Rc<Worker>,
    deadline: &Deadline,
    arm: &Arm,
    careful: bool,
    retries: &mut u32,
) -> Result<(TcpStream, Rc<Upstream>, bool), Failure> {
    loop {
        let now = worker.deadlines.now();
        let upstream = Rc::clone(arm.upstream(now).ok_or(Failure::Connect)?);
        if let Some(stream) = upstream.check_out(now, careful) {
            return Ok((stream, upstream, true));
        }
        match connect(upstream.address, deadline, arm.timeouts.connect()).await {
            Ok(stream) => return Ok((stream, upstream, false)),
            Err(failure) => {
                upstream.refused(now);
                arm.stats.connect_errors.inc();
                if failure == Failure::ConnectTimeout {
                    arm.stats.timeouts.inc();
                }
                let Some(pause) = PAUSES.get(*retries as usize) else { return Err(failure) };
                *retries += 1;
                arm.stats.retries.inc();
                tokio::time::sleep(*pause).await;
            }
        }
    }
}

/// Where a conversation stands.
struct Talk {
    /// Of `work.head`.
    sent: usize,
    broken_pipe: bool,
    client_ended: bool,
    pump: Option<Pump>,
}

impl Talk {
    #[expect(clippy::too_many_arguments, reason = "both connections, their buffers and their limits")]
    fn poll<S: Io>(
        &mut self,
        context: &mut Context<'_>,
        io: &mut S,
        stream: &mut TcpStream,
        deadline: &Deadline,
        work: &mut Work,
        request: &Request,
        limits: &Limits,
        patience: Duration,
    ) -> Poll<Result<(Answer, Outward), Failure>> {
        while self.sent < work.head.len() && !self.broken_pipe {
            match std::pin::Pin::new(&mut *stream).poll_write(context, &work.head[self.sent..]) {
                Poll::Ready(Ok(count)) => self.sent += count,
                // It may have answered before it closed.
                Poll::Ready(Err(_)) => self.broken_pipe = true,
                Poll::Pending => break,
            }
        }
        let mut waits = Waits::Upstream;
        if self.sent == work.head.len()
            && !self.broken_pipe
            && let Some(pump) = self.pump.as_mut().filter(|pump| !pump.is_done())
        {
            match pump.poll(context, io, stream, work, deadline, limits) {
                Poll::Ready(Ok(())) => deadline.set(patience),
                Poll::Ready(Err(Failure::Broken)) => self.broken_pipe = true,
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending => waits = pump.waits(),
            }
        }
        loop {
            let begun = !work.answer.is_empty();
            if !work.answer.make_room(MOST_HEAD) {
                return Poll::Ready(Err(Failure::Broken));
            }
            match work.answer.poll_fill(stream, context) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    match answer::pass_on(work.answer.bytes(), &self.asked(request), &mut work.to_client.bytes) {
                        Ok(None) => (),
                        Err(_) => return Poll::Ready(Err(Failure::Broken)),
                        Ok(Some((answer, outward))) => {
                            work.answer.consume(answer.length);
                            if answer.status >= 200 || answer.status == 101 {
                                return Poll::Ready(Ok((answer, outward)));
                            }
                            // Another head may have come with this one.
                            if !work.answer.is_empty()
                                && let Some(done) = self.after_interim(work, request)
                            {
                                return Poll::Ready(done);
                            }
                        }
                    }
                }
                Poll::Ready(_) => return Poll::Ready(Err(if begun { Failure::Broken } else { Failure::Closed })),
                Poll::Pending => break,
            }
        }
        let pumping = self.pump.as_ref().is_some_and(|pump| !pump.is_done()) && !self.broken_pipe;
        // The client may ask for more, or leave.
        while !pumping && !self.client_ended && work.input.make_room(ROOM) {
            match work.input.poll_fill(io, context) {
                Poll::Ready(Ok(0)) => self.client_ended = true,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Failure::ClientGone)),
                Poll::Ready(Ok(_)) => (),
                Poll::Pending => break,
            }
        }
        if deadline.passed(context) {
            let late = if waits == Waits::Client { Failure::ClientBody(408) } else { Failure::Timeout };
            return Poll::Ready(Err(late));
        }
        Poll::Pending
    }

    /// Where the answer comes before the whole request, the connection ends with it.
    fn asked<'r>(&self, request: &'r Request) -> Asked<'r> {
        let whole = self.pump.as_ref().is_none_or(Pump::is_done);
        let asked = request.asked();
        Asked { keep_alive: asked.keep_alive && whole, ..asked }
    }

    /// Reads what follows an interim answer, if it is whole already.
    fn after_interim(&mut self, work: &mut Work, request: &Request) -> Option<Result<(Answer, Outward), Failure>> {
        loop {
            match answer::pass_on(work.answer.bytes(), &self.asked(request), &mut work.to_client.bytes) {
                Ok(None) => return None,
                Err(_) => return Some(Err(Failure::Broken)),
                Ok(Some((answer, outward))) => {
                    work.answer.consume(answer.length);
                    if answer.status >= 200 || answer.status == 101 {
                        return Some(Ok((answer, outward)));
                    }
                }
            }
        }
    }
}
