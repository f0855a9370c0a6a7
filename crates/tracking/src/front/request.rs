//! Reading one request of a hit. Whatever is not plainly a hit is somebody else's.

use std::net::IpAddr;

use signalbox_core::address::TrustedProxies;

use crate::hit::{Headers, Path, Request};

/// A request head may have this many bytes.
pub(super) const MOST_HEAD: usize = 16 * 1024;
const MOST_HEADERS: usize = 64;

/// What the bytes at the start of a connection's buffer are.
pub(super) enum Read<'b> {
    /// Not a whole head yet.
    Partial,
    /// Not a hit, or one with a body or an upgrade: the web shell understands it.
    HandOver,
    /// A head that is too large or not HTTP, of a request for a pixel or a link all the same.
    Unreadable(Asked<'b>),
    /// A hit of `length` bytes.
    Hit { request: Request<'b>, length: usize, close: bool },
}

/// What the first line of an unreadable request asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked<'b> {
    /// Without a token where the line has none that is text.
    pub(super) path: Path<'b>,
    pub(super) head: bool,
}

/// Whether the first bytes can still become a hit.
fn may_be_hit(buffer: &[u8]) -> bool {
    const STARTS: [&[u8]; 4] = [b"GET /o/", b"GET /c/", b"HEAD /o/", b"HEAD /c/"];
    STARTS.iter().any(|start| {
        let shared = start.len().min(buffer.len());
        buffer[..shared] == start[..shared]
    })
}

/// What a request that is not readable asked for: a pixel is a pixel, and a link a link. `None` for what is neither.
pub(super) fn salvage(buffer: &[u8]) -> Option<Asked<'_>> {
    let head = buffer.starts_with(b"HEAD ");
    let target = buffer.strip_prefix(if head { b"HEAD ".as_slice() } else { b"GET " })?;
    let line = target.split(|byte| matches!(byte, b'\r' | b'\n')).next().filter(|line| line.len() < target.len());
    let text = line.and_then(|line| std::str::from_utf8(line).ok()).and_then(|line| line.rsplit_once(" HTTP/"));
    let path = match text.and_then(|(target, _)| Path::parse(target)) {
        Some(path) => path,
        None if target.starts_with(b"/o/") => Path::Open(""),
        None if target.starts_with(b"/c/") => Path::Click(""),
        None => return None,
    };
    Some(Asked { path, head })
}

pub(super) fn read<'b>(buffer: &'b [u8], peer: IpAddr, proxies: &TrustedProxies) -> Read<'b> {
    if !may_be_hit(buffer) {
        return Read::HandOver;
    }
    let mut space = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Request::new(&mut space);
    let length = match head.parse(buffer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if buffer.len() < MOST_HEAD => return Read::Partial,
        Ok(httparse::Status::Partial) | Err(_) => return salvage(buffer).map_or(Read::HandOver, Read::Unreadable),
    };
    let (Some(method), Some(target), Some(minor)) = (head.method, head.path, head.version) else {
        return Read::HandOver;
    };
    let Some(path) = Path::parse(target) else { return Read::HandOver };
    let mut headers = Headers::default();
    let mut close = minor == 0;
    for header in head.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        match header.name.len() {
            14 if is("content-length") && header.value != b"0" => return Read::HandOver,
            17 if is("transfer-encoding") => return Read::HandOver,
            7 if is("upgrade") => return Read::HandOver,
            6 if is("expect") => return Read::HandOver,
            10 if is("connection") => close = closes(header.value, close),
            _ => headers.note(header.name, header.value),
        }
    }
    let trusted = proxies.contains(peer);
    let client = if trusted {
        let forwarded = head.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("x-forwarded-for"));
        let lines: Vec<_> = forwarded.map(|header| std::str::from_utf8(header.value).unwrap_or("?")).collect();
        proxies.client(peer, lines.into_iter())
    } else {
        peer
    };
    let request = Request {
        path,
        head: method == "HEAD",
        client,
        user_agent: headers.user_agent,
        request_id: if trusted { headers.request_id } else { "" },
        hints: headers.hints,
    };
    Read::Hit { request, length, close }
}

fn closes(value: &[u8], otherwise: bool) -> bool {
    let mut tokens = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    match tokens.find(|token| token.eq_ignore_ascii_case(b"close") || token.eq_ignore_ascii_case(b"keep-alive")) {
        Some(token) => token.eq_ignore_ascii_case(b"close"),
        None => otherwise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(text: &str) -> &'static str {
        let proxies = TrustedProxies::default();
        match read(text.as_bytes(), "192.0.2.1".parse().unwrap(), &proxies) {
            Read::Partial => "partial",
            Read::HandOver => "hand over",
            Read::Unreadable(Asked { path: Path::Open(_), head: false }) => "a pixel",
            Read::Unreadable(Asked { path: Path::Open(_), head: true }) => "a pixel's head",
            Read::Unreadable(Asked { path: Path::Click(_), .. }) => "a link",
            Read::Hit { close, .. } => {
                if close {
                    "hit, close"
                } else {
                    "hit"
                }
            }
        }
    }

    #[test]
    fn only_plain_hits_are_taken() {
        assert_eq!(outcome("GET /o/abc.gif HTTP/1.1\r\nhost: a\r\n\r\n"), "hit");
        assert_eq!(outcome("HEAD /c/abc HTTP/1.1\r\nConnection: Close\r\n\r\n"), "hit, close");
        assert_eq!(outcome("GET /o/abc.gif HTTP/1.0\r\n\r\n"), "hit, close");
        assert_eq!(outcome("GET /o/abc.gif HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"), "hit");
        assert_eq!(outcome("GET /o/abc.gif HTTP/1.1\r\nhost:"), "partial");
        assert_eq!(outcome("G"), "partial");
        assert_eq!(outcome("GET /health HTTP/1.1\r\n"), "hand over");
        assert_eq!(outcome("POST /o/abc.gif HTTP/1.1\r\n"), "hand over");
        assert_eq!(outcome("GET /o/abc.gif HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello"), "hand over");
        assert_eq!(outcome("GET /o/abc.gif HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"), "hand over");
        assert_eq!(outcome("GET /o/a\u{1} HTTP/9.9\r\n\r\n"), "a pixel");
        assert_eq!(outcome("HEAD /o/a b.gif HTTP/1.1\r\n\r\n"), "a pixel's head");
        assert_eq!(outcome("GET /c/\u{7f} HTTP/1.1\r\n\r\n"), "a link");
        assert_eq!(outcome(&format!("GET /o/{} HTTP/1.1\r\n", "a".repeat(MOST_HEAD))), "a pixel");
        assert_eq!(outcome(&format!("GET /c/{}", "a".repeat(MOST_HEAD))), "a link");
        let many = "a: b\r\n".repeat(MOST_HEADERS + 1);
        assert_eq!(outcome(&format!("GET /o/a.gif HTTP/1.1\r\n{many}\r\n")), "a pixel");
    }

    #[test]
    fn the_token_of_an_unreadable_request_is_kept_where_it_is_whole() {
        let path = |bytes| salvage(bytes).map(|asked: Asked<'_>| asked.path);
        assert_eq!(path(b"GET /c/abc HTTP/1.1\r\nbad header\r\n"), Some(Path::Click("abc")));
        assert_eq!(path(b"HEAD /o/abc.gif?x HTTP/1.1\nbad"), Some(Path::Open("abc")));
        assert_eq!(path(b"GET /c/abc HTTP/1.1"), Some(Path::Click("")), "the line may go on");
        assert_eq!(path(b"GET /c/abc"), Some(Path::Click("")), "the token may go on");
        assert_eq!(path(b"GET /c/\xff\xfe HTTP/1.1\r\n"), Some(Path::Click("")));
        assert_eq!(path(b"GET /x/abc HTTP/1.1\r\n"), None);
        assert_eq!(path(b"POST /c/abc HTTP/1.1\r\n"), None);
    }

    #[test]
    fn a_forwarded_address_counts_only_from_a_declared_proxy() {
        let text = b"GET /o/abc.gif HTTP/1.1\r\nx-forwarded-for: 6.6.6.6, 198.51.100.1\r\nx-request-id: r-1\r\n\r\n";
        let client = |proxies: &TrustedProxies| match read(text, "10.0.0.1".parse().unwrap(), proxies) {
            Read::Hit { request, .. } => (request.client.to_string(), request.request_id.to_owned()),
            _ => panic!("a hit"),
        };
        assert_eq!(client(&TrustedProxies::default()), ("10.0.0.1".into(), String::new()));
        assert_eq!(
            client(&TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()])),
            ("198.51.100.1".into(), "r-1".into())
        );
    }
}
