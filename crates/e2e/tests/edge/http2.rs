//! HTTP/2 by hand: prior knowledge on the plain port, and over TLS.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use signalbox_e2e::backend::Backend;
use signalbox_e2e::edge::EdgeHouse;
use signalbox_e2e::tls::{self, Authority};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

struct Http2<S>(S);

impl<S: Read + Write> Http2<S> {
    fn open(mut stream: S) -> Result<Self> {
        stream.write_all(PREFACE)?;
        let mut this = Self(stream);
        this.frame(SETTINGS, 0, 0, &[])?;
        Ok(this)
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> std::io::Result<()> {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend_from_slice(&[kind, flags]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.0.write_all(&frame)
    }

    /// Kind, flags, stream and payload of the next frame.
    fn next(&mut self) -> Result<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload)?;
        Ok((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
    }

    fn get(&mut self, stream: u32, path: &str) -> Result<()> {
        Ok(self.frame(HEADERS, 0x5, stream, &head("GET", path, &[]))?)
    }

    /// The body of the answer on a stream; the first byte of its head block says 200 where it is 0x88.
    fn answer(&mut self, stream: u32) -> Result<(u8, Vec<u8>)> {
        let (mut status, mut body) = (0, Vec::new());
        loop {
            let (kind, flags, of, payload) = self.next()?;
            match kind {
                HEADERS if of == stream => status = payload.first().copied().unwrap_or(0),
                DATA => {
                    let room = (payload.len() as u32).to_be_bytes();
                    if !payload.is_empty() {
                        self.frame(WINDOW_UPDATE, 0, 0, &room)?;
                        self.frame(WINDOW_UPDATE, 0, of, &room)?;
                    }
                    if of != stream {
                        continue;
                    }
                    body.extend_from_slice(&payload);
                }
                RESET if of == stream => bail!("stream {stream} was reset: {payload:?}"),
                GOAWAY => bail!("the connection ends: {payload:?}"),
                _ => continue,
            }
            if flags & 1 == 1 {
                return Ok((status, body));
            }
        }
    }

    /// Reads until the end; whether a GOAWAY came.
    fn ends(&mut self) -> bool {
        let mut told = false;
        while let Ok((kind, ..)) = self.next() {
            told |= kind == GOAWAY;
        }
        told
    }
}

/// Fields without compression (RFC 7541 §6.2.2).
fn head(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let first = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "t.example.org")];
    let mut block = Vec::new();
    for (name, value) in first.iter().chain(more) {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "longer ones need more than a byte of length");
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

fn connect(address: std::net::SocketAddr) -> Result<Http2<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Http2::open(stream)
}

#[test]
fn requests_pass_over_plain_and_encrypted_connections() -> Result<()> {
    let backend = Backend::start("one")?;
    let house = EdgeHouse::new()?;
    let folder = signalbox_e2e::environment::scratch("edge-tls")?;
    let authority = Authority::new()?;
    authority.issue_into(folder.path())?;
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name).display().to_string());
    let files = ["--tls-listen", "127.0.0.1:0", "--tls-certificate", &certificate, "--tls-key", &key];
    let server = house.start(&[&["--upstream", &backend.url()][..], &files].concat())?;

    let mut plain = connect(server.address)?;
    plain.get(1, "/a?b")?;
    ensure!(plain.answer(1)? == (0x88, b"one".to_vec()));
    plain.frame(HEADERS, 0x4, 3, &head("POST", "/length", &[("x-forwarded-for", "6.6.6.6"), ("te", "trailers")]))?;
    plain.frame(DATA, 0, 3, b"hello ")?;
    plain.frame(DATA, 1, 3, b"world")?;
    ensure!(plain.answer(3)? == (0x88, b"11".to_vec()));
    let seen = backend.seen().pop().context("nothing arrived")?;
    ensure!(seen.fields("x-forwarded-for") == ["127.0.0.1"] && seen.fields("te").is_empty(), "{seen:?}");
    ensure!(seen.fields("host") == ["t.example.org"] && seen.fields("transfer-encoding") == ["chunked"], "{seen:?}");
    plain.get(5, "/slow?1000")?;
    plain.get(7, "/")?;
    ensure!(plain.answer(7)?.1 == b"one", "streams do not wait for each other");
    ensure!(plain.answer(5)?.1 == b"one");
    plain.get(9, "/large?300000")?;
    ensure!(plain.answer(9)?.1.len() == 300_000);

    let address = server.tls_address.context("no TLS")?;
    let config = authority.client_config(&["h2"])?;
    let mut encrypted = Http2::open(tls::connect(address, &config, tls::NAME)?)?;
    encrypted.get(1, "/")?;
    ensure!(encrypted.answer(1)?.1 == b"one");
    ensure!(backend.seen().pop().is_some_and(|seen| seen.fields("x-forwarded-proto") == ["https"]));
    let mut first = tls::client(address, &authority.client_config(&["http/1.1"])?, tls::NAME)?;
    for length in [1_000, 500_000] {
        ensure!(first.get(&format!("/large?{length}"))?.body.len() == length);
        ensure!(first.request("POST", "/length", &[], &vec![b'x'; length])?.text() == length.to_string());
    }
    house.receipt()?;
    server.terminate()
}

#[test]
fn floods_are_closed_and_others_not_harmed() -> Result<()> {
    let backend = Backend::start("one")?;
    let house = EdgeHouse::new()?;
    let server = house.start(&["--upstream", &backend.url()])?;
    let mut steady = connect(server.address)?;
    steady.get(1, "/")?;
    ensure!(steady.answer(1)?.1 == b"one");

    // Rapid reset (CVE-2023-44487).
    let mut rapid = connect(server.address)?;
    let mut sent = 0;
    for number in 0..20_000_u32 {
        let stream = 2 * number + 1;
        let failed =
            rapid.get(stream, "/slow?50").is_err() || rapid.frame(RESET, 0, stream, &8_u32.to_be_bytes()).is_err();
        if failed {
            break;
        }
        sent += 1;
    }
    rapid.ends();
    ensure!(backend.seen().len() < 5_000, "{} of {sent} resets reached the backend", backend.seen().len());

    // A head that never ends (CVE-2024-27316 and others).
    let mut endless = connect(server.address)?;
    endless.frame(HEADERS, 0x1, 1, &head("GET", "/", &[]))?;
    let piece: Vec<u8> = head("GET", "/", &[("x-filler", &"y".repeat(120))]);
    let closed = (0..200_000).any(|_| endless.frame(CONTINUATION, 0, 1, &piece).is_err());
    ensure!(closed, "CONTINUATION frames without end were taken");

    // Too many streams, an enormous head, settings without end.
    let mut many = connect(server.address)?;
    for number in 0..400 {
        if many.get(2 * number + 1, "/slow?300").is_err() {
            break;
        }
    }
    ensure!(house.arm("arm-1")?["open"].as_u64() <= Some(110), "{}", house.arm("arm-1")?);
    drop(many);
    let mut settings = connect(server.address)?;
    let flooded = (0..100_000).any(|_| settings.frame(SETTINGS, 0, 0, &[]).is_err());
    ensure!(flooded || settings.0.take_error()?.is_none());

    steady.get(3, "/")?;
    ensure!(steady.answer(3)?.1 == b"one", "others are not harmed");
    ensure!(server.peak_memory()? < 200 << 20, "{} MiB at most", server.peak_memory()? >> 20);
    house.wait_until_closed("arm-1")?;
    house.receipt()?;
    server.terminate()
}

#[test]
fn nothing_is_smuggled_through_frames() -> Result<()> {
    let backend = Backend::start("one")?;
    let house = EdgeHouse::new()?;
    let server = house.start(&["--upstream", &backend.url()])?;
    let cases: [(&str, Vec<u8>); 7] = [
        ("a coding", head("GET", "/", &[("transfer-encoding", "chunked")])),
        ("a connection field", head("GET", "/", &[("connection", "x")])),
        ("a line end in a value", head("GET", "/", &[("x", "a\r\nhidden: 1")])),
        ("a line end in a name", head("GET", "/", &[("x: 1\r\nhidden", "1")])),
        ("a line end in the path", head("GET", "/ HTTP/1.1\r\nhidden: 1\r\nx: ", &[])),
        ("a line end in the method", head("GET / HTTP/1.1\r\nhidden: 1\r\nx:", "/", &[])),
        ("upper case", head("GET", "/", &[("X-Upper", "1")])),
    ];
    for (name, block) in cases {
        let mut client = connect(server.address)?;
        client.frame(HEADERS, 0x5, 1, &block)?;
        let passed = client.answer(1).is_ok_and(|(status, _)| status == 0x88);
        ensure!(!passed && backend.seen().is_empty(), "{name}: {:?}", backend.seen());
    }
    // A length that is not that of the body: what arrived must not be taken for whole.
    let mut client = connect(server.address)?;
    client.frame(HEADERS, 0x4, 1, &head("POST", "/length", &[("content-length", "5")]))?;
    client.frame(DATA, 1, 1, b"hello, and GET /hidden HTTP/1.1\r\n\r\n")?;
    ensure!(client.answer(1).map_or(true, |(status, _)| status != 0x88));
    ensure!(!backend.seen().iter().any(|seen| seen.line().contains("hidden")), "{:?}", backend.seen());
    ensure!(house.receipt()?["balances"] == json!(true));
    server.terminate()
}
