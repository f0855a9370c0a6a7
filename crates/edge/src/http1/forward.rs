//! Writing the head of a request for the upstream: what the client sent, without what ends here, and with what the edge
//! knows better.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

use signalbox_core::address::TrustedProxies;

use super::body::Framing;
use super::fields::{Tokens, ends_here};

/// Who talks to us, and what is believed of it.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    text: String,
    /// As `Forwarded` writes an address (RFC 7239 §6).
    node: String,
    pub(crate) trusted: bool,
    pub(crate) encrypted: bool,
}

impl Peer {
    pub(crate) fn new(peer: SocketAddr, proxies: &TrustedProxies, encrypted: bool) -> Self {
        let address = peer.ip().to_canonical();
        let text = address.to_string();
        let node = if address.is_ipv6() { format!("\"[{text}]\"") } else { text.clone() };
        Self { address, text, node, trusted: proxies.contains(address), encrypted }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The client behind a declared proxy, or the peer itself.
    pub(crate) fn client<'h>(
        &self,
        proxies: &TrustedProxies,
        headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
    ) -> IpAddr {
        if !self.trusted {
            return self.address;
        }
        let lines = headers.filter(|(name, _)| name.eq_ignore_ascii_case(b"x-forwarded-for"));
        let lines: Vec<_> = lines.map(|(_, value)| std::str::from_utf8(value).unwrap_or("?")).collect();
        proxies.client(self.address, lines.into_iter())
    }
}

/// A head to be written.
pub(crate) struct Forward<'a, 'h> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a [u8],
    pub(crate) host: &'a [u8],
    pub(crate) connection: &'a Tokens<'h>,
    pub(crate) framing: Framing,
    pub(crate) upgrade: Option<&'a [u8]>,
    pub(crate) peer: &'a Peer,
    pub(crate) id: &'a [u8],
    /// Methods that mean a body by themselves get a length even when it is zero.
    pub(crate) mirrored: bool,
}

impl<'h> Forward<'_, 'h> {
    pub(crate) fn write(&self, out: &mut Vec<u8>, headers: impl Iterator<Item = (&'h [u8], &'h [u8])> + Clone) {
        let line = |out: &mut Vec<u8>, name: &[u8], value: &[u8]| {
            out.extend_from_slice(name);
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        };
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.target);
        out.extend_from_slice(b" HTTP/1.1\r\n");
        line(out, b"host", self.host);
        for (name, value) in headers.clone() {
            if !ends_here(name) && !self.connection.names(name) {
                line(out, name, value);
            }
        }
        self.write_forwarding(out, headers);
        line(out, b"x-request-id", self.id);
        match self.framing {
            Framing::Length(length) => {
                line(out, b"content-length", itoa::Buffer::new().format(length).as_bytes());
            }
            Framing::Chunked => line(out, b"transfer-encoding", b"chunked"),
            Framing::Empty if matches!(self.method, "POST" | "PUT" | "PATCH") => line(out, b"content-length", b"0"),
            Framing::Empty | Framing::Close => (),
        }
        if let Some(protocol) = self.upgrade {
            line(out, b"connection", b"upgrade");
            line(out, b"upgrade", protocol);
        }
        if self.mirrored {
            line(out, b"x-signalbox-mirror", b"1");
        }
        out.extend_from_slice(b"\r\n");
    }

    /// `X-Forwarded-*` and `Forwarded`: what a declared proxy said goes on, with us at its end; of anybody else nothing.
    fn write_forwarding(&self, out: &mut Vec<u8>, headers: impl Iterator<Item = (&'h [u8], &'h [u8])> + Clone) {
        let said = |name: &'static [u8]| {
            let headers = headers.clone();
            let said = headers.filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value);
            said.filter(|value| self.peer.trusted && !value.is_empty())
        };
        let proto: &[u8] = if self.peer.encrypted { b"https" } else { b"http" };
        let known = |value: &&[u8]| matches!(*value, b"http" | b"https");
        out.extend_from_slice(b"x-forwarded-for: ");
        for value in said(b"x-forwarded-for") {
            out.extend_from_slice(value);
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(self.peer.text.as_bytes());
        out.extend_from_slice(b"\r\nx-forwarded-proto: ");
        out.extend_from_slice(said(b"x-forwarded-proto").find(known).unwrap_or(proto));
        if !self.host.is_empty() {
            out.extend_from_slice(b"\r\nx-forwarded-host: ");
            out.extend_from_slice(said(b"x-forwarded-host").next().unwrap_or(self.host));
        }
        out.extend_from_slice(b"\r\nforwarded: ");
        for value in said(b"forwarded") {
            out.extend_from_slice(value);
            out.extend_from_slice(b", ");
        }
        // The host has no quotes and no backslash: the reader of requests sees to that.
        let _ = write!(out, "for={};proto=", self.peer.node);
        out.extend_from_slice(proto);
        if !self.host.is_empty() {
            out.extend_from_slice(b";host=\"");
            out.extend_from_slice(self.host);
            out.push(b'"');
        }
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::{read, space};
    use super::*;

    fn forwarded(request: &str, trusted: &[&str]) -> String {
        let proxies = TrustedProxies::new(trusted.iter().map(|network| network.parse().unwrap()).collect());
        let peer = Peer::new("192.0.2.7:4711".parse().unwrap(), &proxies, true);
        let mut space = space();
        let head = read(request.as_bytes(), &mut space).unwrap_or_else(|_| panic!("bad")).unwrap();
        let mut out = Vec::new();
        let forward = Forward {
            method: head.method,
            target: head.target,
            host: head.host,
            connection: &head.fields.connection,
            framing: head.framing,
            upgrade: head.upgrade,
            peer: &peer,
            id: b"id-1",
            mirrored: false,
        };
        forward.write(&mut out, head.headers.iter().map(|header| (header.name.as_bytes(), header.value)));
        String::from_utf8(out).unwrap()
    }

    const FORGED: &str = "GET /a HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6\r\nx_forwarded_for: 6.6.6.6\r\n\
        Forwarded: for=6.6.6.6\r\nX-Forwarded-Proto: http\r\nX-Request-Id: mine\r\nConnection: close, X-Hop\r\n\
        X-Hop: 1\r\nKeep-Alive: 3\r\nTE: gzip\r\nAccept: */*\r\n\r\n";

    #[test]
    fn nothing_forged_and_nothing_hop_by_hop_passes() {
        assert_eq!(
            forwarded(FORGED, &[]),
            "GET /a HTTP/1.1\r\nhost: h\r\nAccept: */*\r\nx-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: https\r\n\
             x-forwarded-host: h\r\nforwarded: for=192.0.2.7;proto=https;host=\"h\"\r\nx-request-id: id-1\r\n\r\n"
        );
    }

    #[test]
    fn a_declared_proxy_is_believed() {
        let text = forwarded(FORGED, &["192.0.2.0/24"]);
        assert!(text.contains("x-forwarded-for: 6.6.6.6, 192.0.2.7\r\nx-forwarded-proto: http\r\n"), "{text}");
        assert!(text.contains("forwarded: for=6.6.6.6, for=192.0.2.7;proto=https"), "{text}");
    }

    #[test]
    fn framing_and_upgrades_are_written_anew() {
        let text = forwarded("POST / HTTP/1.1\r\nhost: h\r\nContent-Length: 007\r\n\r\n", &[]);
        assert!(text.ends_with("content-length: 7\r\n\r\n") && text.matches("ength").count() == 1, "{text}");
        let text = forwarded("GET / HTTP/1.1\r\nhost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", &[]);
        assert!(text.ends_with("connection: upgrade\r\nupgrade: websocket\r\n\r\n"), "{text}");
        let text = forwarded("GET / HTTP/1.1\r\nhost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", &[]);
        assert!(!text.contains("pgrade"), "{text}");
    }
}
