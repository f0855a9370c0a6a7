//! One request from its assignment to an arm until its end: it is counted once at both, whatever happens in between.

use std::io::Write as _;
use std::rc::Rc;
use std::time::Instant;

use signalbox_core::address::source_key;
use signalbox_core::time::{Micros, SECOND};

use crate::access_log::escape;
use crate::choose::{hash, mix};
use crate::http1::fields::{Fields, cookie};
use crate::http1::forward::Peer;
use crate::ids::Id;
use crate::routes::StickyKey;
use crate::stats::{Ending, Long};
use crate::table::{Arm, Table};
use crate::worker::Worker;

#[derive(Debug)]
pub(crate) struct Ticket {
    worker: Rc<Worker>,
    pub(crate) arm: Rc<Arm>,
    pub(crate) id: Id,
    began: Instant,
    note: Vec<u8>,
    ended: bool,
    long: Option<Long>,
    pub(crate) retries: u32,
    pub(crate) bytes_out: u64,
    /// No arm has weight.
    pub(crate) is_unrouted: bool,
}

/// What is known of a request when it gets its arm.
pub(crate) struct Asking<'a, 'h> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a [u8],
    pub(crate) host: &'a [u8],
    pub(crate) fields: &'a Fields<'h>,
    pub(crate) peer: &'a Peer,
    pub(crate) protocol: &'static str,
}

impl Ticket {
    /// Assigns an arm. The second value is a cookie for the client.
    pub(crate) fn assign<'h>(
        worker: &Rc<Worker>,
        table: &Rc<Table>,
        asking: &Asking<'_, 'h>,
        headers: impl Iterator<Item = (&'h [u8], &'h [u8])> + Clone,
    ) -> (Self, Option<Vec<u8>>) {
        let peer = asking.peer;
        let foreign = asking.fields.request_id.filter(|_| peer.trusted).and_then(Id::believed);
        let id = foreign.unwrap_or_else(|| worker.ids.id());
        let client = if peer.trusted { peer.client(&worker.shared.proxies, headers.clone()) } else { peer.address };
        let (mut key, mut fresh) = (None, None);
        if let Some(sticky) = &table.sticky {
            let name = sticky.name.as_bytes();
            let salted = |value: &[u8]| hash(value) ^ hash(sticky.salt.as_bytes());
            key = match sticky.by {
                StickyKey::Address => Some(salted(&source_key(client).to_le_bytes())),
                StickyKey::Header => {
                    let mut values = headers.filter(|(other, _)| other.eq_ignore_ascii_case(name));
                    values.next().map(|(_, value)| salted(value))
                }
                StickyKey::Cookie => {
                    let mut lines = headers.filter(|(other, _)| other.eq_ignore_ascii_case(b"cookie"));
                    let known = lines.find_map(|(_, line)| cookie(line, name)).filter(|value| !value.is_empty());
                    Some(known.map_or_else(
                        || {
                            let given = worker.ids.id();
                            fresh = Some(set_cookie(name, given.bytes(), peer.encrypted));
                            salted(given.bytes())
                        },
                        salted,
                    ))
                }
            };
        }
        let chance = mix(hash(id.bytes()));
        let found = table.arm(asking.target, key, chance);
        let is_unrouted = found.is_none();
        let arm = Rc::clone(found.unwrap_or(&table.unrouted));
        arm.stats.begin();
        if fresh.is_some() {
            arm.stats.new_sessions.inc();
        }
        let mut note = Vec::new();
        if worker.lines.is_on() {
            note = worker.notes.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(512));
            write_note(&mut note, asking, &id, client);
        }
        let ticket = Self {
            worker: Rc::clone(worker),
            arm,
            id,
            began: Instant::now(),
            note,
            ended: false,
            long: None,
            retries: 0,
            bytes_out: 0,
            is_unrouted,
        };
        (ticket, fresh)
    }

    /// From now on it is an upgrade or an event stream; its latency is what it took to begin.
    pub(crate) fn becomes_long(&mut self, long: Long) {
        self.arm.stats.opened(long);
        self.arm.stats.latency.record(self.micros());
        self.long = Some(long);
    }

    fn micros(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    /// The one end of it.
    pub(crate) fn end(mut self, ending: Ending) {
        let micros = self.micros();
        if self.long.is_none() && matches!(ending, Ending::Answered(_) | Ending::Broken) {
            self.arm.stats.latency.record(micros);
        }
        self.arm.stats.bytes_out.add(self.bytes_out);
        self.count(ending);
        self.log(ending, micros);
    }

    fn count(&mut self, ending: Ending) {
        self.ended = true;
        if let Some(long) = self.long {
            self.arm.stats.closed(long);
        }
        self.arm.stats.end(ending);
    }

    fn log(&mut self, ending: Ending, micros: u64) {
        if !self.worker.lines.is_on() {
            return;
        }
        let now = self.worker.shared.clock.now();
        let (outcome, status) = match ending {
            Ending::Answered(status) => ("answered", status),
            Ending::ByEdge(status) => ("edge", status),
            Ending::Broken => ("broken", 0),
            Ending::Aborted => ("aborted", 0),
        };
        self.worker.lines.add(|out| {
            out.extend_from_slice(b"{\"time\":\"");
            write_time(out, now);
            out.extend_from_slice(b"\",\"status\":");
            let mut number = itoa::Buffer::new();
            out.extend_from_slice(number.format(status).as_bytes());
            out.extend_from_slice(b",\"outcome\":\"");
            out.extend_from_slice(outcome.as_bytes());
            out.extend_from_slice(b"\",\"duration_us\":");
            out.extend_from_slice(number.format(micros).as_bytes());
            out.extend_from_slice(b",\"bytes_out\":");
            out.extend_from_slice(number.format(self.bytes_out).as_bytes());
            if self.retries > 0 {
                let _ = write!(out, ",\"retries\":{}", self.retries);
            }
            out.extend_from_slice(b",\"arm\":\"");
            escape(out, self.arm.name.as_bytes());
            out.extend_from_slice(b"\",\"version\":\"");
            escape(out, self.arm.version.as_bytes());
            out.push(b'"');
            out.extend_from_slice(&self.note);
            out.extend_from_slice(b"}\n");
        });
        let mut note = std::mem::take(&mut self.note);
        let mut notes = self.worker.notes.borrow_mut();
        if notes.len() < 256 && note.capacity() <= 8 * 1024 {
            note.clear();
            notes.push(note);
        }
    }
}

/// A request whose task ended without a word was left by its client.
impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.ended {
            self.count(Ending::Aborted);
            self.log(Ending::Aborted, self.micros());
        }
    }
}

/// A line for a request that was refused before it had an arm; of what it asked nothing is certain.
pub(crate) fn log_refusal(worker: &Worker, peer: &Peer, status: u16, id: &Id, protocol: &str) {
    let now = worker.shared.clock.now();
    worker.lines.add(|out| {
        out.extend_from_slice(b"{\"time\":\"");
        write_time(out, now);
        let _ = write!(out, "\",\"status\":{status},\"outcome\":\"refused\",\"client\":\"{}\"", peer.text());
        let _ = write!(out, ",\"protocol\":\"{protocol}\",\"request_id\":\"");
        escape(out, id.bytes());
        out.extend_from_slice(b"\"}\n");
    });
}

fn write_note(out: &mut Vec<u8>, asking: &Asking<'_, '_>, id: &Id, client: std::net::IpAddr) {
    let mut field = |name: &str, value: &[u8]| {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":\"");
        escape(out, value);
        out.push(b'"');
    };
    field("request_id", id.bytes());
    if client == asking.peer.address {
        field("client", asking.peer.text().as_bytes());
    } else {
        field("client", client.to_string().as_bytes());
    }
    field("method", asking.method.as_bytes());
    field("host", asking.host);
    // Queries hold secrets: sign-in codes, tokens, addresses. The path is enough to find a request by.
    let end = asking.target.iter().position(|byte| *byte == b'?').unwrap_or(asking.target.len());
    field("path", &asking.target[..end]);
    field("protocol", asking.protocol.as_bytes());
    field("agent", asking.fields.agent.unwrap_or_default());
}

fn set_cookie(name: &[u8], value: &[u8], encrypted: bool) -> Vec<u8> {
    let mut cookie = name.to_vec();
    cookie.push(b'=');
    cookie.extend_from_slice(value);
    cookie.extend_from_slice(b"; Path=/; HttpOnly; SameSite=Lax");
    if encrypted {
        cookie.extend_from_slice(b"; Secure");
    }
    cookie
}

thread_local! {
    /// The last second that was written, and its text.
    static SECOND_TEXT: std::cell::RefCell<(i64, String)> = const { std::cell::RefCell::new((i64::MIN, String::new())) };
}

/// RFC 3339 with microseconds; the part before the fraction is kept from line to line.
fn write_time(out: &mut Vec<u8>, now: Micros) {
    SECOND_TEXT.with_borrow_mut(|(second, text)| {
        let floor = now.floor(SECOND);
        if *second != floor.0 {
            *second = floor.0;
            *text = floor.to_string().get(..19).unwrap_or("1970-01-01T00:00:00").to_owned();
        }
        out.extend_from_slice(text.as_bytes());
    });
    let _ = write!(out, ".{:06}Z", now.0.rem_euclid(SECOND));
}
