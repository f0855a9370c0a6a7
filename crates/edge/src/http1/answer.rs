//! Reading the head of an answer, and writing it for an HTTP/1 client.

use std::mem::MaybeUninit;

use super::body::Framing;
use super::fields::{Tokens, answer_ends_here, parse_length};

const MOST_FIELDS: usize = 200;
/// A head of an answer may have so many bytes.
pub(crate) const MOST_HEAD: usize = 256 * 1024;

/// What came is not an answer to what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadAnswer;

/// What the edge needs to know of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) length: usize,
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
    pub(crate) event_stream: bool,
    /// It says that a hit is on disk (`x-event-id`).
    pub(crate) recorded: bool,
}

/// The request that it answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) head: bool,
    pub(crate) upgrade: bool,
    pub(crate) http10: bool,
    /// The client may ask again on this connection.
    pub(crate) keep_alive: bool,
    pub(crate) id: &'a [u8],
    /// A line for the client, without its end.
    pub(crate) cookie: Option<&'a [u8]>,
}

/// Reads the head at the start of `bytes`; none when it is not whole. `each` gets the fields that go on.
pub(crate) fn read(
    bytes: &[u8],
    asked: &Asked<'_>,
    mut each: impl FnMut(&[u8], &[u8]),
) -> Result<Option<Answer>, BadAnswer> {
    let mut space: [MaybeUninit<httparse::Header<'_>>; MOST_FIELDS] = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut space) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(BadAnswer),
    };
    let (Some(status), Some(minor)) = (parsed.code, parsed.version) else { return Err(BadAnswer) };
    let (mut announced, mut chunked, mut event_stream, mut recorded) = (None, false, false, false);
    let mut connection = Tokens::default();
    for header in parsed.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        match header.name.len() {
            10 if is("connection") && !connection.add(header.value) => {
                return Err(BadAnswer);
            }
            10 if is("x-event-id") => recorded = true,
            12 if is("content-type") => {
                let start = header.value.get(..17).unwrap_or_default();
                event_stream = start.eq_ignore_ascii_case(b"text/event-stream");
            }
            14 if is("content-length") => {
                let length = parse_length(header.value).ok_or(BadAnswer)?;
                if announced.is_some_and(|other| other != length) {
                    return Err(BadAnswer);
                }
                announced = Some(length);
            }
            17 if is("transfer-encoding") => {
                if chunked || !header.value.eq_ignore_ascii_case(b"chunked") {
                    return Err(BadAnswer);
                }
                chunked = true;
            }
            _ => (),
        }
    }
    if (chunked && announced.is_some()) || (status == 101 && !asked.upgrade) || !(100..=999).contains(&status) {
        return Err(BadAnswer);
    }
    for header in parsed.headers.iter() {
        let name = header.name.as_bytes();
        if !answer_ends_here(name) && !connection.names(name) {
            each(name, header.value);
        } else if status == 101 && name.eq_ignore_ascii_case(b"upgrade") {
            each(b"upgrade", header.value);
        }
    }
    let no_body = asked.head || status < 200 || status == 204 || status == 304;
    let framing = match announced {
        _ if chunked && !no_body => Framing::Chunked,
        Some(length) if no_body => {
            // What a body would have had (RFC 9110 §8.6).
            if status >= 200 && status != 204 {
                each(b"content-length", itoa::Buffer::new().format(length).as_bytes());
            }
            Framing::Empty
        }
        None if no_body => Framing::Empty,
        Some(length) => Framing::Length(length),
        None => Framing::Close,
    };
    let lasts = if minor == 0 { connection.keep_alive && !connection.close } else { !connection.close };
    let keep_alive = lasts && framing != Framing::Close && status >= 200;
    Ok(Some(Answer { status, length, framing, keep_alive, event_stream, recorded }))
}

/// How the body goes to an HTTP/1 client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outward {
    pub(crate) chunked: bool,
    pub(crate) keep_alive: bool,
}

/// Reads a head and writes it for the client.
pub(crate) fn pass_on(
    bytes: &[u8],
    asked: &Asked<'_>,
    out: &mut Vec<u8>,
) -> Result<Option<(Answer, Outward)>, BadAnswer> {
    const STATUS_AND_REASON: usize = "HTTP/1.1 ".len();
    let start = out.len();
    out.extend_from_slice(b"HTTP/1.1 ");
    let line = bytes.iter().position(|byte| *byte == b'\r' || *byte == b'\n').unwrap_or(0);
    out.extend_from_slice(bytes.get(STATUS_AND_REASON..line).unwrap_or_default());
    out.extend_from_slice(b"\r\n");
    let mut known_id = false;
    let read = read(bytes, asked, |name, value| {
        known_id |= name.eq_ignore_ascii_case(b"x-request-id");
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    });
    let answer = match read {
        Ok(Some(answer)) => answer,
        other => {
            out.truncate(start);
            return other.map(|_| None);
        }
    };
    if answer.status < 200 && answer.status != 101 {
        out.truncate(start);
        return Ok(Some((answer, Outward { chunked: false, keep_alive: true })));
    }
    if !known_id {
        out.extend_from_slice(b"x-request-id: ");
        out.extend_from_slice(asked.id);
        out.extend_from_slice(b"\r\n");
    }
    if let Some(cookie) = asked.cookie {
        out.extend_from_slice(b"set-cookie: ");
        out.extend_from_slice(cookie);
        out.extend_from_slice(b"\r\n");
    }
    let endless = matches!(answer.framing, Framing::Chunked | Framing::Close);
    let chunked = endless && !asked.http10;
    let keep_alive = asked.keep_alive && (!endless || chunked) && answer.status != 101;
    match answer.framing {
        Framing::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        _ if chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        _ => (),
    }
    if answer.status == 101 {
        out.extend_from_slice(b"connection: upgrade\r\n");
    } else if !keep_alive {
        out.extend_from_slice(b"connection: close\r\n");
    } else if asked.http10 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Ok(Some((answer, Outward { chunked, keep_alive })))
}

/// An answer of the edge itself, as problem details (RFC 9457).
pub(crate) fn own(out: &mut Vec<u8>, status: u16, id: &[u8], keep_alive: bool, head: bool) {
    let reason = reason(status);
    let body = problem(status);
    let connection = if keep_alive { "" } else { "connection: close\r\n" };
    let retry = if status == 503 { "retry-after: 1\r\n" } else { "" };
    let length = body.len();
    let start = format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: application/problem+json\r\ncontent-length: {length}\r\n\
         cache-control: no-store\r\n{retry}{connection}x-request-id: "
    );
    out.extend_from_slice(start.as_bytes());
    out.extend_from_slice(id);
    out.extend_from_slice(b"\r\n\r\n");
    if !head {
        out.extend_from_slice(body.as_bytes());
    }
}

/// The body of an answer of the edge itself.
pub(crate) fn problem(status: u16) -> String {
    format!("{{\"type\":\"about:blank\",\"title\":\"{}\",\"status\":{status}}}\n", reason(status))
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked<'static> =
        Asked { head: false, upgrade: false, http10: false, keep_alive: true, id: b"id-1", cookie: None };

    fn pass(text: &str, asked: Asked<'_>) -> Option<(Answer, Outward, String)> {
        let mut out = Vec::new();
        let (answer, outward) = pass_on(text.as_bytes(), &asked, &mut out).ok()??;
        Some((answer, outward, String::from_utf8(out).unwrap()))
    }

    #[test]
    fn answers_are_passed_on_without_hop_by_hop_fields() {
        let text = "HTTP/1.1 200 Fine\r\nServer: x\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
                    Content-Length: 2\r\n\r\nok";
        let (answer, outward, out) = pass(text, ASKED).unwrap();
        assert_eq!(out, "HTTP/1.1 200 Fine\r\nServer: x\r\nx-request-id: id-1\r\ncontent-length: 2\r\n\r\n");
        assert!(!answer.keep_alive && outward.keep_alive && answer.framing == Framing::Length(2));
        let (_, outward, out) =
            pass("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", Asked { http10: true, ..ASKED }).unwrap();
        assert!(!outward.chunked && !outward.keep_alive && out.contains("connection: close"), "{out}");
        let (answer, outward, out) = pass("HTTP/1.0 200 OK\r\n\r\n", ASKED).unwrap();
        assert!(answer.framing == Framing::Close && outward.chunked && out.contains("chunked"), "{out}");
        let (answer, _, out) =
            pass("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", Asked { head: true, ..ASKED }).unwrap();
        assert!(answer.framing == Framing::Empty && out.contains("content-length: 9"), "{out}");
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for text in [
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n",
            "HTTP/1.1 200 OK\r\n folded: 1\r\n\r\n",
            "SSH-2.0-x\r\n",
        ] {
            assert!(pass_on(text.as_bytes(), &ASKED, &mut Vec::new()).is_err(), "{text:?}");
        }
    }
}
