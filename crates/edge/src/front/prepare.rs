//! From the head of a request to a request that has its arm and is written for the upstream.

use std::rc::Rc;

use super::mirror;
use crate::buffer::Work;
use crate::http1::answer::Asked;
use crate::http1::body::Framing;
use crate::http1::forward::{Forward, Peer};
use crate::http1::request::{self, Head, Refusal};
use crate::ticket::{Asking, Ticket};
use crate::worker::Worker;

/// A body up to this size is sent with the head, where it has come already.
const SMALL_BODY: u64 = 8 * 1024;

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) ticket: Ticket,
    /// What is left to be sent of the body, after `Work::head`.
    pub(crate) framing: Framing,
    pub(crate) is_head: bool,
    pub(crate) is_http10: bool,
    pub(crate) keep_alive: bool,
    /// The client waits for a word before it sends its body.
    pub(crate) waits: bool,
    pub(crate) upgrade: bool,
    pub(crate) idempotent: bool,
    pub(crate) cookie: Option<Vec<u8>>,
}

impl Request {
    /// Sending it a second time does no harm, and everything to be sent is at hand.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.idempotent && self.framing == Framing::Empty
    }

    pub(crate) fn asked(&self) -> Asked<'_> {
        Asked {
            head: self.is_head,
            upgrade: self.upgrade,
            http10: self.is_http10,
            keep_alive: self.keep_alive,
            id: self.ticket.id.bytes(),
            cookie: self.cookie.as_deref(),
        }
    }
}

/// RFC 9110 §9.2.2.
pub(crate) fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE" | "TRACE")
}

/// The request at the start of `work.input`, once its head is whole.
pub(crate) fn prepare(worker: &Rc<Worker>, peer: &Peer, work: &mut Work) -> Result<Option<Request>, Refusal> {
    let (request, length) = {
        let mut space = request::space();
        let Some(head) = request::read(work.input.bytes(), &mut space)? else { return Ok(None) };
        if head.length > worker.shared.limits.head_bytes {
            return Err(Refusal::TooLarge);
        }
        if matches!(head.framing, Framing::Length(length) if length > worker.shared.limits.body_bytes) {
            return Err(Refusal::BodyTooLarge);
        }
        (assign(worker, peer, &head, &mut work.head), head.length)
    };
    work.input.consume(length);
    let mut request = request;
    if let Framing::Length(body) = request.framing
        && body <= SMALL_BODY
        && work.input.bytes().len() as u64 >= body
    {
        let body = body as usize;
        work.head.extend_from_slice(&work.input.bytes()[..body]);
        work.input.consume(body);
        request.framing = Framing::Empty;
        request.waits = false;
    }
    Ok(Some(request))
}

fn assign(worker: &Rc<Worker>, peer: &Peer, head: &Head<'_, '_>, out: &mut Vec<u8>) -> Request {
    let headers = head.headers.iter().map(|header| (header.name.as_bytes(), header.value));
    let asking = Asking {
        method: head.method,
        target: head.target,
        host: head.host,
        fields: &head.fields,
        peer,
        protocol: if head.is_http10 { "HTTP/1.0" } else { "HTTP/1.1" },
    };
    let table = Rc::clone(&worker.table.borrow());
    let (ticket, cookie) = Ticket::assign(worker, &table, &asking, headers.clone());
    let mut forward = Forward {
        method: head.method,
        target: head.target,
        host: head.host,
        connection: &head.fields.connection,
        framing: head.framing,
        upgrade: head.upgrade,
        peer,
        id: ticket.id.bytes(),
        mirrored: false,
    };
    out.clear();
    forward.write(out, headers.clone());
    if let Some(copying) = &table.mirror
        && head.framing == Framing::Empty
        && head.upgrade.is_none()
        && copying.takes(head.method, worker.ids.next())
    {
        forward.mirrored = true;
        mirror::copy(worker, &copying.upstreams, |out| forward.write(out, headers));
    }
    Request {
        framing: head.framing,
        is_head: head.method == "HEAD",
        is_http10: head.is_http10,
        keep_alive: head.keep_alive && !worker.finishing.get(),
        waits: head.waits,
        upgrade: head.upgrade.is_some(),
        idempotent: is_idempotent(head.method),
        ticket,
        cookie,
    }
}
