use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use signalbox_e2e::backend::Backend;
use signalbox_e2e::edge::EdgeHouse;
use signalbox_e2e::wire::Seen;

const FORGED: [(&str, &str); 9] = [
    ("X-Forwarded-For", "6.6.6.6"),
    ("x_forwarded_for", "6.6.6.6"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Real-IP", "6.6.6.6"),
    ("Forwarded", "for=6.6.6.6"),
    ("X-Request-Id", "mine"),
    ("Connection", "keep-alive, X-Hop, X-Forwarded-For"),
    ("X-Hop", "secret"),
];

fn pass(arguments: &[&str]) -> Result<Seen> {
    let backend = Backend::start("one")?;
    let house = EdgeHouse::new()?;
    let upstream = format!("{}=1", backend.url());
    let server = house.start(&[&["--upstream", &upstream], arguments].concat())?;
    let answer = server.client()?.request("GET", "/a?b=c", &FORGED, b"")?;
    ensure!(answer.status == 200 && answer.header("x-request-id").is_some(), "{answer:?}");
    let seen = backend.seen().pop().context("nothing arrived")?;
    ensure!(seen.fields("x-request-id") == [answer.header("x-request-id").unwrap_or_default()], "{seen:?}");
    server.terminate()?;
    Ok(seen)
}

#[test]
fn forged_forwarding_fields_do_not_pass() -> Result<()> {
    let seen = pass(&[])?;
    ensure!(seen.line() == "GET /a?b=c HTTP/1.1", "{seen:?}");
    ensure!(
        seen.fields("x-forwarded-for") == ["127.0.0.1"] && seen.fields("x-forwarded-proto") == ["http"],
        "{seen:?}"
    );
    ensure!(seen.fields("x-forwarded-host") == ["t.example.org"], "{seen:?}");
    ensure!(seen.fields("forwarded") == ["for=127.0.0.1;proto=http;host=\"t.example.org\""], "{seen:?}");
    ensure!(seen.fields("x-request-id") != ["mine"], "{seen:?}");
    for gone in ["x_forwarded_for", "x-real-ip", "x-hop", "connection", "keep-alive"] {
        ensure!(seen.fields(gone).is_empty(), "{gone}: {seen:?}");
    }
    ensure!(!seen.head.contains("6.6.6.6") && !seen.head.contains("evil"), "{seen:?}");
    Ok(())
}

#[test]
fn a_declared_proxy_is_believed() -> Result<()> {
    let seen = pass(&["--trusted-proxy", "127.0.0.0/8"])?;
    ensure!(seen.fields("x-forwarded-for") == ["6.6.6.6, 127.0.0.1"], "{seen:?}");
    ensure!(seen.fields("x-forwarded-proto") == ["https"] && seen.fields("x-request-id") == ["mine"], "{seen:?}");
    ensure!(seen.fields("x-hop").is_empty(), "{seen:?}");
    Ok(())
}

#[test]
fn answers_lose_what_is_meant_for_one_hop() -> Result<()> {
    let backend = Backend::start("one")?;
    let house = EdgeHouse::new()?;
    let server = house.start(&["--upstream", &backend.url()])?;
    let mut client = server.client()?;
    let answer = client.get("/hop")?;
    ensure!(answer.header("x-kept") == Some("1"), "{answer:?}");
    for gone in ["x-secret", "keep-alive", "proxy-authenticate", "connection"] {
        ensure!(answer.header(gone).is_none(), "{gone}: {answer:?}");
    }
    // HEAD has the length of what it did not get, and the next answer is not mistaken for it.
    let head = client.request("HEAD", "/", &[], b"")?;
    ensure!(head.status == 200 && head.header("content-length") == Some("3") && head.body.is_empty(), "{head:?}");
    ensure!(client.get("/early")?.text() == "one", "an interim answer is no answer");
    ensure!(client.get("/status?404")?.status == 404 && client.get("/status?204")?.status == 204);
    server.terminate()
}

#[test]
fn bodies_pass_whole() -> Result<()> {
    let backend = Backend::start("one")?;
    let house = EdgeHouse::new()?;
    let server = house.start(&["--upstream", &backend.url()])?;
    let mut client = server.client()?;
    for length in [1, 100, 8_191, 8_193, 70_000, 3_000_000] {
        let body: Vec<u8> = (0..length).map(|place| (place % 251) as u8).collect();
        backend.forget();
        let answer = client.request("POST", "/length", &[], &body)?;
        ensure!(answer.text() == length.to_string(), "{length}: {answer:?}");
        ensure!(backend.seen().pop().is_some_and(|seen| seen.body == body), "{length} bytes arrived otherwise");
        let answer = client.get(&format!("/large?{length}"))?;
        ensure!(answer.body.len() == length, "{length}: {} came back", answer.body.len());
    }
    client.send(b"POST /length HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n")?;
    client.send(b"6\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n")?;
    ensure!(client.receive(true)?.text() == "11");
    let seen = backend.seen().pop().context("nothing arrived")?;
    ensure!(seen.body == b"hello world" && seen.fields("transfer-encoding") == ["chunked"], "{seen:?}");
    let mut waiting = TcpStream::connect(server.address)?;
    waiting.set_read_timeout(Some(Duration::from_secs(10)))?;
    waiting.write_all(b"POST /length HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")?;
    let mut word = [0; 25];
    waiting.read_exact(&mut word)?;
    ensure!(&word == b"HTTP/1.1 100 Continue\r\n\r\n", "{:?}", String::from_utf8_lossy(&word));
    waiting.write_all(b"hello")?;
    let mut answer = [0; 15];
    waiting.read_exact(&mut answer)?;
    ensure!(&answer == b"HTTP/1.1 200 OK", "{:?}", String::from_utf8_lossy(&answer));
    ensure!(backend.seen().pop().is_some_and(|seen| seen.body == b"hello" && seen.fields("expect").is_empty()));
    server.terminate()
}
