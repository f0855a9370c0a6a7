//! Reading the head of a request. What could be read in two ways is refused.

use std::mem::MaybeUninit;

use super::body::Framing;
use super::fields::{Fields, parse_length};

/// The most header fields of a request.
pub(crate) const MOST_FIELDS: usize = 100;

/// A request that is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Bad,
    TooLarge,
    TooLong,
    ExpectationFailed,
    NotImplemented,
    MethodNotAllowed,
    Version,
    BodyTooLarge,
    TimedOut,
}

impl Refusal {
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Bad => 400,
            Self::MethodNotAllowed => 405,
            Self::TimedOut => 408,
            Self::BodyTooLarge => 413,
            Self::TooLong => 414,
            Self::ExpectationFailed => 417,
            Self::TooLarge => 431,
            Self::NotImplemented => 501,
            Self::Version => 505,
        }
    }
}

/// A whole head, its parts lying in the buffer.
pub(crate) struct Head<'b, 'h> {
    pub(crate) method: &'b str,
    /// The path with its query, beginning with `/`, or `*`.
    pub(crate) target: &'b [u8],
    pub(crate) host: &'b [u8],
    pub(crate) headers: &'h [httparse::Header<'b>],
    pub(crate) fields: Fields<'b>,
    pub(crate) length: usize,
    pub(crate) framing: Framing,
    pub(crate) is_http10: bool,
    pub(crate) keep_alive: bool,
    /// `Expect: 100-continue`.
    pub(crate) waits: bool,
    /// The protocol that it wants to change to.
    pub(crate) upgrade: Option<&'b [u8]>,
}

/// Space for the fields of one head.
pub(crate) type Space<'b> = [MaybeUninit<httparse::Header<'b>>; MOST_FIELDS];

pub(crate) fn space<'b>() -> Space<'b> {
    [const { MaybeUninit::uninit() }; MOST_FIELDS]
}

/// The head at the start of `bytes`; none when it is not whole.
pub(crate) fn read<'b, 'h>(bytes: &'b [u8], space: &'h mut Space<'b>) -> Result<Option<Head<'b, 'h>>, Refusal> {
    let mut parsed = httparse::Request::new(&mut []);
    let length = match parsed.parse_with_uninit_headers(bytes, space) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return partial(bytes),
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooLarge),
        Err(httparse::Error::Version) => return Err(Refusal::Version),
        Err(_) => return Err(Refusal::Bad),
    };
    refuse_bare_line_ends(&bytes[..length])?;
    let (Some(method), Some(path), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Refusal::Bad);
    };
    let headers: &'h [httparse::Header<'b>] = parsed.headers;
    let fields = Fields::read(headers.iter().map(|header| (header.name.as_bytes(), header.value)));
    let fields = fields.map_err(|_| Refusal::Bad)?;
    let is_http10 = minor == 0;
    if fields.hosts > 1 || (fields.hosts == 0 && !is_http10) {
        return Err(Refusal::Bad);
    }
    let (target, authority) = target(method, path)?;
    let host = authority.or(fields.host).unwrap_or_default();
    if !is_host(host) || fields.host.is_some_and(|host| !is_host(host)) {
        return Err(Refusal::Bad);
    }
    let framing = framing(&fields, is_http10)?;
    let waits = match fields.expect {
        None => false,
        Some(value) if value.eq_ignore_ascii_case(b"100-continue") => !is_http10,
        Some(_) => return Err(Refusal::ExpectationFailed),
    };
    let connection = &fields.connection;
    let keep_alive = if is_http10 { connection.keep_alive && !connection.close } else { !connection.close };
    // h2c is not offered, and a body before a change of protocol belongs to nobody.
    let wants = fields.upgrade.filter(|_| connection.upgrade && !is_http10 && framing == Framing::Empty);
    let upgrade = wants.filter(|protocol| is_plain(protocol) && !names_http2(protocol));
    Ok(Some(Head { method, target, host, headers, length, framing, is_http10, keep_alive, waits, upgrade, fields }))
}

/// What is there of a head that is not whole may already be wrong.
fn partial<'b, 'h>(bytes: &'b [u8]) -> Result<Option<Head<'b, 'h>>, Refusal> {
    refuse_bare_line_ends(bytes)?;
    Ok(None)
}

/// The parser takes a line feed alone for a line end, as RFC 9112 §2.2 allows; others do not.
fn refuse_bare_line_ends(head: &[u8]) -> Result<(), Refusal> {
    let mut before = 0;
    for byte in head {
        if *byte == b'\n' && before != b'\r' {
            return Err(Refusal::Bad);
        }
        before = *byte;
    }
    Ok(())
}

/// Path and query, and the authority of a target in absolute form.
fn target<'b>(method: &str, path: &'b str) -> Result<(&'b [u8], Option<&'b [u8]>), Refusal> {
    if method == "CONNECT" {
        return Err(Refusal::MethodNotAllowed);
    }
    if path.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'#') {
        return Err(Refusal::Bad);
    }
    if path.starts_with('/') || (path == "*" && method == "OPTIONS") {
        return Ok((path.as_bytes(), None));
    }
    let scheme = ["http://", "https://"]
        .into_iter()
        .find(|scheme| path.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    let rest = &path[scheme.ok_or(Refusal::Bad)?.len()..];
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    if authority.is_empty() || target.starts_with('?') {
        return Err(Refusal::Bad);
    }
    Ok((if target.is_empty() { b"/" } else { target.as_bytes() }, Some(authority.as_bytes())))
}

fn framing(fields: &Fields<'_>, is_http10: bool) -> Result<Framing, Refusal> {
    if fields.codings > 0 {
        // RFC 9112 §6.1 lets a server refuse both at once; §6.3 has no chunks in HTTP/1.0.
        if fields.codings > 1 || fields.lengths > 0 || is_http10 {
            return Err(Refusal::Bad);
        }
        let coding = fields.coding.unwrap_or_default();
        return if coding.eq_ignore_ascii_case(b"chunked") {
            Ok(Framing::Chunked)
        } else if coding.iter().any(|byte| !byte.is_ascii_graphic() && *byte != b' ') {
            Err(Refusal::Bad)
        } else {
            Err(Refusal::NotImplemented)
        };
    }
    match (fields.length, fields.lengths) {
        (None, _) => Ok(Framing::Empty),
        (Some(value), 1) => match parse_length(value) {
            Some(0) => Ok(Framing::Empty),
            Some(length) => Ok(Framing::Length(length)),
            None => Err(Refusal::Bad),
        },
        _ => Err(Refusal::Bad),
    }
}

/// `host[:port]`, and nothing that could be more than one or end a line.
pub(crate) fn is_host(host: &[u8]) -> bool {
    host.len() <= 255 && host.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:[]%!$&'()*+;=".contains(byte))
}

fn is_plain(value: &[u8]) -> bool {
    value.len() <= 64 && value.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
}

fn names_http2(protocol: &[u8]) -> bool {
    let protocol = protocol.to_ascii_lowercase();
    protocol.starts_with(b"h2")
        || protocol.starts_with(b"http/")
        || protocol.starts_with(b"tls")
        || protocol.contains(&b',')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outcome(text: &str) -> Result<Option<(String, String, Framing)>, u16> {
        let mut space = space();
        let head = read(text.as_bytes(), &mut space).map_err(Refusal::status)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(head.map(|head| (text(head.host), text(head.target), head.framing)))
    }

    #[test]
    fn what_is_clear_is_read() {
        let read = |text: &str| outcome(text).unwrap().unwrap();
        assert_eq!(read("GET /a?b HTTP/1.1\r\nhost: h:1\r\n\r\n"), ("h:1".into(), "/a?b".into(), Framing::Empty));
        assert_eq!(
            read("POST http://other/x HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\n"),
            ("other".into(), "/x".into(), Framing::Length(5))
        );
        assert_eq!(read("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n").2, Framing::Chunked);
        assert_eq!(outcome("GET / HTTP/1.1\r\nhost: h\r\n"), Ok(None));
        assert_eq!(outcome("G"), Ok(None));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let h = "host: h\r\n";
        for (text, status) in [
            (format!("POST / HTTP/1.1\r\n{h}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n"), 400),
            (format!("POST / HTTP/1.1\r\n{h}content-length: 5\r\ncontent-length: 5\r\n\r\n"), 400),
            (format!("POST / HTTP/1.1\r\n{h}content-length: 5, 5\r\n\r\n"), 400),
            (format!("POST / HTTP/1.1\r\n{h}content-length: +5\r\n\r\n"), 400),
            (format!("POST / HTTP/1.1\r\n{h}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n"), 400),
            (format!("POST / HTTP/1.1\r\n{h}transfer-encoding: gzip, chunked\r\n\r\n"), 501),
            (format!("POST / HTTP/1.1\r\n{h}transfer-encoding: xchunked\r\n\r\n"), 501),
            (format!("POST / HTTP/1.1\r\n{h}transfer-encoding: \x0bchunked\r\n\r\n"), 400),
            (format!("POST / HTTP/1.1\r\n{h}transfer-encoding : chunked\r\n\r\n"), 400),
            (format!("POST / HTTP/1.0\r\n{h}transfer-encoding: chunked\r\n\r\n"), 400),
            (format!("GET / HTTP/1.1\r\n{h}x: 1\r\n folded\r\n\r\n"), 400),
            (format!("GET / HTTP/1.1\r\n{h}x: 1\nx-y: 2\r\n\r\n"), 400),
            (format!("GET / HTTP/1.1\n{h}\r\n"), 400),
            (format!("GET / HTTP/1.1\r\n{h}\n"), 400),
            (format!("GET / HTTP/1.1\r\n{h}x: a\rb\r\n\r\n"), 400),
            (format!("GET / HTTP/1.1\r\n{h}x: a\0b\r\n\r\n"), 400),
            (format!("GET / HTTP/1.1\r\n{h}{h}\r\n"), 400),
            ("GET / HTTP/1.1\r\n\r\n".into(), 400),
            ("GET / HTTP/1.1\r\nhost: a,b\r\n\r\n".into(), 400),
            ("GET / HTTP/1.1\r\nhost: a/b\r\n\r\n".into(), 400),
            ("GET / HTTP/1.1\r\nhost: a@b\r\n\r\n".into(), 400),
            (format!("GET a HTTP/1.1\r\n{h}\r\n"), 400),
            (format!("GET ftp://a/ HTTP/1.1\r\n{h}\r\n"), 400),
            (format!("GET / HTTP/1.1 \r\n{h}\r\n"), 400),
            (format!("GET  / HTTP/1.1\r\n{h}\r\n"), 400),
            (format!("CONNECT h:1 HTTP/1.1\r\n{h}\r\n"), 405),
            (format!("GET / HTTP/1.1\r\n{h}expect: tea\r\n\r\n"), 417),
            (format!("GET / HTTP/2.0\r\n{h}\r\n"), 505),
            (format!("GET / HTTP/1.1\r\n{h}{}\r\n", "a: b\r\n".repeat(101)), 431),
        ] {
            assert_eq!(outcome(&text), Err(status), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut space = space();
            let _ = read(&bytes, &mut space);
        }
    }
}
