//! A connection that speaks HTTP/2: hyper reads the frames, requests go on as HTTP/1.1.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::{Body as _, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::spawn_local;

use super::http2_body::{Answer, Upload};
use super::rewound::Rewound;
use crate::buffer::{Buffer, Io, ROOM};
use crate::deadline::Deadline;
use crate::front::converse::reach;
use crate::front::prepare::is_idempotent;
use crate::http1::answer::{self, Asked, MOST_HEAD};
use crate::http1::body::Framing;
use crate::http1::fields::Fields;
use crate::http1::forward::{Forward, Peer};
use crate::http1::request::is_host;
use crate::stats::{Ending, Long};
use crate::ticket::{Asking, Ticket, log_refusal};
use crate::upstream::Failure;
use crate::worker::Worker;

const MOST_HEADER_LIST: u32 = 32 * 1024;
/// Streams that a client opened and took back before we saw them (CVE-2023-44487).
const MOST_RESETS: usize = 50;
/// After a hand-over an idle connection has so long to hear that it ends.
const LAST_FRAMES: Duration = Duration::from_secs(2);
const PING: Duration = Duration::from_secs(10);

type Body = Either<Full<Bytes>, Answer>;

/// Runs hyper's tasks on this thread.
#[derive(Clone)]
struct Here;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Here {
    fn execute(&self, task: F) {
        spawn_local(task);
    }
}

pub(super) async fn serve<S: Io>(worker: Rc<Worker>, io: S, begun: Buffer, peer: Peer) {
    let deadline = worker.deadlines.open();
    let (peer, busy) = (Rc::new(peer), Rc::new(std::cell::Cell::new(0_usize)));
    let asked = Rc::new(std::cell::Cell::new(0_u64));
    let service = {
        let (worker, busy, asked) = (Rc::clone(&worker), Rc::clone(&busy), Rc::clone(&asked));
        hyper::service::service_fn(move |request: Request<Incoming>| {
            let (worker, peer) = (Rc::clone(&worker), Rc::clone(&peer));
            asked.set(asked.get() + 1);
            let active = Active::begin(&busy);
            async move { Ok::<_, Infallible>(respond(&worker, &peer, request, active).await) }
        })
    };
    let connection = hyper::server::conn::http2::Builder::new(Here)
        .timer(TokioTimer::new())
        .max_header_list_size(MOST_HEADER_LIST)
        .max_concurrent_streams(worker.shared.limits.streams)
        .max_pending_accept_reset_streams(MOST_RESETS)
        .max_local_error_reset_streams(MOST_RESETS)
        .max_send_buf_size(4 * ROOM)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .serve_connection(TokioIo::new(Rewound { begun, io }), service);
    let mut connection = pin!(connection);
    let (mut last, mut ending) = (u64::MAX, false);
    deadline.set(worker.shared.limits.head);
    deadline.set_idle(true);
    poll_fn(|context| {
        if let Poll::Ready(ended) = connection.as_mut().poll(context) {
            if let Err(error) = ended {
                tracing::debug!(%error, "an HTTP/2 connection ended early");
            }
            return Poll::Ready(());
        }
        // Its patience begins anew with each request.
        if last != asked.get() {
            if last != u64::MAX {
                deadline.set(worker.idle_patience());
            }
            last = asked.get();
        }
        if worker.finishing.get() && !ending {
            ending = true;
            connection.as_mut().graceful_shutdown();
            deadline.set(LAST_FRAMES);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if deadline.passed(context) {
            if busy.get() == 0 {
                return Poll::Ready(());
            }
            deadline.set(worker.idle_patience());
            context.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await;
}

/// A request that is being answered.
pub(super) struct Active(Rc<std::cell::Cell<usize>>);

impl Active {
    fn begin(busy: &Rc<std::cell::Cell<usize>>) -> Self {
        busy.set(busy.get() + 1);
        Self(Rc::clone(busy))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

async fn respond(worker: &Rc<Worker>, peer: &Peer, request: Request<Incoming>, active: Active) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let headers = parts.headers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    let headers: Vec<(&[u8], &[u8])> = headers.collect();
    let headers = headers.iter().copied();
    let host = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let fields = Fields::read(headers.clone());
    let (Some(target), Ok(fields)) = (parts.uri.path_and_query(), fields) else { return refused(worker, peer, 400) };
    let host = host.or(fields.host).unwrap_or_default();
    let target = target.as_str().as_bytes();
    let plain = target.first() == Some(&b'/') && target.iter().all(|byte| *byte > b' ' && *byte != 0x7f);
    if !plain && target != b"*" || !is_host(host) || host.is_empty() || fields.hosts > 1 || fields.lengths > 1 {
        return refused(worker, peer, 400);
    }
    if parts.method == hyper::Method::CONNECT {
        return refused(worker, peer, 405);
    }
    let framing = match (body.is_end_stream(), body.size_hint().exact()) {
        (true, _) | (_, Some(0)) => Framing::Empty,
        (_, Some(length)) if length > worker.shared.limits.body_bytes => return refused(worker, peer, 413),
        (_, Some(length)) => Framing::Length(length),
        _ => Framing::Chunked,
    };
    let method = parts.method.as_str();
    let asking = Asking { method, target, host, fields: &fields, peer, protocol: "HTTP/2" };
    let table = Rc::clone(&worker.table.borrow());
    let (mut ticket, cookie) = Ticket::assign(worker, &table, &asking, headers.clone());
    let id = ticket.id;
    let mut head = Vec::with_capacity(1024);
    let mut forward = Forward {
        method,
        target,
        host,
        connection: &fields.connection,
        framing,
        upgrade: None,
        peer,
        id: id.bytes(),
        mirrored: false,
    };
    forward.write(&mut head, headers.clone());
    if let Some(copying) = &table.mirror
        && framing == Framing::Empty
        && copying.takes(method, worker.ids.next())
    {
        forward.mirrored = true;
        super::mirror::copy(worker, &copying.upstreams, |out| forward.write(out, headers));
    }
    let asked = Asked {
        head: method == "HEAD",
        upgrade: false,
        http10: false,
        keep_alive: true,
        id: id.bytes(),
        cookie: cookie.as_deref(),
    };
    let deadline = worker.deadlines.open();
    let repeatable = is_idempotent(method) && framing == Framing::Empty;
    let upload = (framing != Framing::Empty).then(|| Upload::new(body, framing, worker.shared.limits.body_bytes));
    let mut call = Call { worker, deadline: &deadline, head: &head, asked: &asked, upload, repeatable };
    match call.ask(&mut ticket).await {
        Ok((heard, stream, upstream, rest)) => {
            let Heard { answer, mut builder, known_id } = heard;
            if !known_id {
                builder = builder.header("x-request-id", id.bytes());
            }
            if let Some(cookie) = asked.cookie {
                builder = builder.header("set-cookie", cookie);
            }
            if let Framing::Length(length) = answer.framing {
                builder = builder.header("content-length", length);
            }
            let upload = call.upload.take();
            if answer.recorded {
                ticket.arm.stats.recorded.inc();
            }
            if answer.event_stream {
                ticket.becomes_long(Long::EventStream);
            }
            let body = Answer::new(worker, ticket, answer, stream, upstream, rest, upload, deadline, active);
            builder.body(Either::Right(body)).unwrap_or_else(|_| problem(502, id.bytes()))
        }
        Err(Failure::ClientGone) => {
            ticket.end(Ending::Aborted);
            problem(400, id.bytes())
        }
        Err(failure) => {
            let status = if ticket.is_unrouted { 503 } else { failure.status() };
            ticket.end(Ending::ByEdge(status));
            problem(status, id.bytes())
        }
    }
}

fn refused(worker: &Worker, peer: &Peer, status: u16) -> Response<Body> {
    worker.shared.refused.inc();
    let id = worker.ids.id();
    log_refusal(worker, peer, status, &id, "HTTP/2");
    problem(status, id.bytes())
}

fn problem(status: u16, id: &[u8]) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(answer::problem(status)))));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    headers.insert("content-type", hyper::header::HeaderValue::from_static("application/problem+json"));
    headers.insert("cache-control", hyper::header::HeaderValue::from_static("no-store"));
    if let Ok(id) = hyper::header::HeaderValue::from_bytes(id) {
        headers.insert("x-request-id", id);
    }
    response
}

/// The head of an answer.
struct Heard {
    answer: answer::Answer,
    builder: hyper::http::response::Builder,
    known_id: bool,
}

/// One request on its way to an upstream.
struct Call<'a> {
    worker: &'a Rc<Worker>,
    deadline: &'a Deadline,
    head: &'a [u8],
    asked: &'a Asked<'a>,
    upload: Option<Upload>,
    repeatable: bool,
}

type Reached = (Heard, tokio::net::TcpStream, Rc<crate::upstream::Upstream>, Buffer);

impl Call<'_> {
    async fn ask(&mut self, ticket: &mut Ticket) -> Result<Reached, Failure> {
        let arm = Rc::clone(&ticket.arm);
        loop {
            let careful = !self.repeatable;
            let (mut stream, upstream, reused) =
                reach(self.worker, self.deadline, &arm, careful, &mut ticket.retries).await?;
            self.deadline.set(arm.timeouts.response());
            let (mut sent, mut buffer) = (0, Buffer::new());
            let heard = poll_fn(|context| self.poll(context, &mut stream, &mut sent, &mut buffer, &arm)).await;
            match heard {
                Ok(heard) => return Ok((heard, stream, upstream, buffer)),
                Err(Failure::Closed) if reused && ticket.retries < 2 && (self.repeatable || sent == 0) => {
                    upstream.forget_idle();
                    ticket.retries += 1;
                    arm.stats.retries.inc();
                }
                Err(failure) => {
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

    fn poll(
        &mut self,
        context: &mut std::task::Context<'_>,
        stream: &mut tokio::net::TcpStream,
        sent: &mut usize,
        buffer: &mut Buffer,
        arm: &crate::table::Arm,
    ) -> Poll<Result<Heard, Failure>> {
        use tokio::io::AsyncWrite as _;
        while *sent < self.head.len() {
            match Pin::new(&mut *stream).poll_write(context, &self.head[*sent..]) {
                Poll::Ready(Ok(count)) => *sent += count,
                Poll::Ready(Err(_)) => break,
                Poll::Pending => break,
            }
        }
        let mut waits_for_client = false;
        if *sent == self.head.len()
            && let Some(upload) = &mut self.upload
            && !upload.is_done()
        {
            match upload.poll(context, stream, self.deadline, &self.worker.shared.limits) {
                Poll::Ready(Ok(())) => self.deadline.set(arm.timeouts.response()),
                Poll::Ready(Err(Failure::Broken)) => (),
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending => waits_for_client = upload.waits_for_client(),
            }
        }
        loop {
            if let Some(heard) = self.read(buffer)? {
                return Poll::Ready(Ok(heard));
            }
            let begun = !buffer.is_empty();
            if !buffer.make_room(MOST_HEAD) {
                return Poll::Ready(Err(Failure::Broken));
            }
            match buffer.poll_fill(stream, context) {
                Poll::Ready(Ok(count)) if count > 0 => (),
                Poll::Ready(_) => return Poll::Ready(Err(if begun { Failure::Broken } else { Failure::Closed })),
                Poll::Pending => break,
            }
        }
        if self.deadline.passed(context) {
            return Poll::Ready(Err(if waits_for_client { Failure::ClientBody(408) } else { Failure::Timeout }));
        }
        Poll::Pending
    }

    /// The head of the answer, once it is whole.
    fn read(&self, buffer: &mut Buffer) -> Result<Option<Heard>, Failure> {
        while !buffer.is_empty() {
            let mut builder = Some(Response::builder());
            let mut known_id = false;
            let read = answer::read(buffer.bytes(), self.asked, |name, value| {
                known_id |= name.eq_ignore_ascii_case(b"x-request-id");
                builder = builder.take().map(|builder| builder.header(name, value));
            });
            let Some(answer) = read.map_err(|_| Failure::Broken)? else { return Ok(None) };
            buffer.consume(answer.length);
            if answer.status >= 200 {
                let builder = builder.unwrap_or_default().status(answer.status);
                return Ok(Some(Heard { answer, builder, known_id }));
            }
        }
        Ok(None)
    }
}
