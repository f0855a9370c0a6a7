//! Bodies of HTTP/2 requests and answers on their way to and from an HTTP/1.1 upstream.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::net::TcpStream;

use super::http2::Active;
use crate::buffer::{Buffer, Outgoing, ROOM};
use crate::deadline::Deadline;
use crate::http1::answer;
use crate::http1::body::{Decoder, Framing, LAST_CHUNK, encode};
use crate::settings::Limits;
use crate::stats::Ending;
use crate::ticket::Ticket;
use crate::upstream::{Failure, Upstream};
use crate::worker::{Registered, Worker};

/// A client must send so much of a body for its patience to begin anew.
const PROGRESS: u64 = 1024;

/// The body of a request.
pub(super) struct Upload {
    body: Incoming,
    out: Outgoing,
    chunked: bool,
    most: u64,
    moved: u64,
    since: u64,
    started: bool,
    ended: bool,
    waits_for_client: bool,
}

impl Upload {
    pub(super) fn new(body: Incoming, framing: Framing, most: u64) -> Self {
        Self {
            body,
            out: Outgoing::default(),
            chunked: framing == Framing::Chunked,
            most,
            moved: 0,
            since: 0,
            started: false,
            ended: false,
            waits_for_client: true,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.ended && self.out.is_empty()
    }

    pub(super) fn waits_for_client(&self) -> bool {
        self.waits_for_client
    }

    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut TcpStream,
        deadline: &Deadline,
        limits: &Limits,
    ) -> Poll<Result<(), Failure>> {
        if !self.started {
            self.started = true;
            deadline.set(limits.body);
        }
        loop {
            if !self.out.is_empty() {
                match self.out.poll_send(stream, context, &mut false) {
                    Poll::Ready(Ok(())) => (),
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(Failure::Broken)),
                    Poll::Pending => {
                        self.waits_for_client = false;
                        return Poll::Pending;
                    }
                }
            }
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            self.waits_for_client = true;
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else { continue };
                    self.moved += data.len() as u64;
                    if self.moved > self.most {
                        return Poll::Ready(Err(Failure::ClientBody(413)));
                    }
                    self.since += data.len() as u64;
                    if self.since >= PROGRESS {
                        self.since = 0;
                        deadline.set(limits.body);
                    }
                    encode(&mut self.out.bytes, &data, self.chunked);
                }
                Poll::Ready(None) => {
                    self.ended = true;
                    if self.chunked {
                        self.out.bytes.extend_from_slice(LAST_CHUNK);
                    }
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Failure::ClientGone)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// The body of an answer. A client that resets its stream drops it, and its request counts as aborted.
pub(super) struct Answer {
    worker: Rc<Worker>,
    ticket: Option<Ticket>,
    status: u16,
    length: Option<u64>,
    decoder: Decoder,
    keep_alive: bool,
    stream: Option<TcpStream>,
    upstream: Rc<Upstream>,
    buffer: Buffer,
    upload: Option<Upload>,
    deadline: Deadline,
    idle: Duration,
    registered: Option<Registered>,
    _active: Active,
}

/// The upstream broke off; the client sees its stream reset.
#[derive(Debug, thiserror::Error)]
#[error("the upstream broke off")]
pub(super) struct BrokenOff;

impl Answer {
    #[expect(clippy::too_many_arguments, reason = "it takes over everything that belongs to the request")]
    pub(super) fn new(
        worker: &Rc<Worker>,
        ticket: Ticket,
        answer: answer::Answer,
        stream: TcpStream,
        upstream: Rc<Upstream>,
        buffer: Buffer,
        upload: Option<Upload>,
        deadline: Deadline,
        active: Active,
    ) -> Self {
        let limits = &worker.shared.limits;
        let idle = if answer.event_stream { limits.stream_idle } else { ticket.arm.timeouts.idle() };
        deadline.set(idle);
        let registered = answer.event_stream.then(|| worker.register(&ticket.arm.stats, deadline.alarm()));
        let length = match answer.framing {
            Framing::Length(length) => Some(length),
            Framing::Empty => Some(0),
            _ => None,
        };
        let mut body = Self {
            worker: Rc::clone(worker),
            ticket: Some(ticket),
            status: answer.status,
            length,
            decoder: Decoder::new(answer.framing),
            keep_alive: answer.keep_alive,
            stream: Some(stream),
            upstream,
            buffer,
            upload: upload.filter(|upload| !upload.is_done()),
            deadline,
            idle,
            registered,
            _active: active,
        };
        if body.decoder.is_done() {
            body.finish(Ending::Answered(answer.status));
        }
        body
    }

    fn finish(&mut self, ending: Ending) {
        let whole = matches!(ending, Ending::Answered(_)) && self.decoder.is_done();
        if let Some(stream) = self.stream.take()
            && whole
            && self.keep_alive
            && self.upload.is_none()
            && self.buffer.is_empty()
        {
            self.upstream.give_back(stream, self.worker.deadlines.now());
        }
        if let Some(ticket) = self.ticket.take() {
            match ending {
                Ending::Broken => ticket.arm.stats.resets.inc(),
                Ending::Answered(_) | Ending::ByEdge(_) | Ending::Aborted => (),
            }
            ticket.end(ending);
        }
        self.registered = None;
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = &mut *self;
        loop {
            if this.ticket.is_none() {
                return Poll::Ready(None);
            }
            while !this.buffer.is_empty() && !this.decoder.is_done() {
                let Ok(step) = this.decoder.step(this.buffer.bytes()) else {
                    this.finish(Ending::Broken);
                    return Poll::Ready(Some(Err(BrokenOff)));
                };
                let data = &this.buffer.bytes()[step.consumed - step.data..step.consumed];
                let data = (!data.is_empty()).then(|| Bytes::copy_from_slice(data));
                this.buffer.consume(step.consumed);
                if let Some(data) = data {
                    this.deadline.set(this.idle);
                    if let Some(ticket) = &mut this.ticket {
                        ticket.bytes_out += data.len() as u64;
                    }
                    if this.decoder.is_done() {
                        this.finish(Ending::Answered(this.status));
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
            }
            if this.decoder.is_done() {
                this.finish(Ending::Answered(this.status));
                return Poll::Ready(None);
            }
            let Some(stream) = this.stream.as_mut() else { return Poll::Ready(None) };
            if let Some(upload) = &mut this.upload {
                match upload.poll(context, stream, &this.deadline, &this.worker.shared.limits) {
                    Poll::Ready(Ok(())) => this.upload = None,
                    Poll::Ready(Err(_)) | Poll::Pending => (),
                }
            }
            this.buffer.make_room(ROOM);
            match this.buffer.poll_fill(stream, context) {
                Poll::Ready(Ok(count)) if count > 0 => (),
                Poll::Ready(Ok(_)) if this.decoder.ends_with_connection() => {
                    this.finish(Ending::Answered(this.status));
                    return Poll::Ready(None);
                }
                Poll::Ready(_) => {
                    this.finish(Ending::Broken);
                    return Poll::Ready(Some(Err(BrokenOff)));
                }
                Poll::Pending => {
                    if !this.deadline.passed(context) {
                        return Poll::Pending;
                    }
                    if this.registered.as_ref().is_some_and(Registered::is_closing) {
                        this.finish(Ending::Answered(this.status));
                        return Poll::Ready(None);
                    }
                    if let Some(ticket) = &this.ticket {
                        ticket.arm.stats.timeouts.inc();
                    }
                    this.finish(Ending::Broken);
                    return Poll::Ready(Some(Err(BrokenOff)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ticket.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
