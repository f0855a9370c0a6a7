use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use signalbox_e2e::backend::Backend;
use signalbox_e2e::edge::EdgeHouse;
use signalbox_e2e::streams::{HANDSHAKE, WebSocket, events, read_head};

#[test]
fn websockets_and_event_streams_pass_and_are_counted() -> Result<()> {
    let backend = Backend::start("one")?;
    let house = EdgeHouse::new()?;
    let server = house.start(&[])?;
    house.route(1, &[("v1", &backend.url(), 1)])?;
    let mut socket = WebSocket::open(server.address)?;
    for text in ["hello", "", "another one that is a little longer"] {
        socket.echo(text)?;
    }
    let stream = events(server.address)?;
    let arm = house.arm("v1")?;
    ensure!(arm["open_upgrades"] == json!(1) && arm["open_streams"] == json!(1) && arm["open"] == json!(2), "{arm}");
    drop((socket, stream));
    house.wait_until_closed("v1")?;
    let arm = house.arm("v1")?;
    ensure!(arm["open_upgrades"] == json!(0) && arm["open_streams"] == json!(0), "{arm}");
    ensure!(arm["answered"]["s1xx"] == json!(1) && arm["aborted"] == json!(1), "the stream was left: {arm}");
    house.receipt()?;
    server.terminate()
}

#[test]
fn draining_closes_streams_one_after_the_other() -> Result<()> {
    let (one, two) = (Backend::start("one")?, Backend::start("two")?);
    let house = EdgeHouse::new()?;
    let server = house.start(&[])?;
    house.route(1, &[("v1", &one.url(), 1), ("v2", &two.url(), 0)])?;
    let mut sockets = (0..5).map(|_| WebSocket::open(server.address)).collect::<Result<Vec<_>>>()?;
    let mut streams = (0..5).map(|_| events(server.address)).collect::<Result<Vec<_>>>()?;
    let slow = std::thread::spawn({
        let address = server.address;
        move || signalbox_e2e::client::Client::connect(address).map(|mut client| client.get("/slow?1500"))
    });
    signalbox_e2e::process::wait_for(Duration::from_secs(5), "the slow request", || {
        ensure!(house.arm("v1")?["open"] == json!(11));
        Ok(())
    })?;
    let (status, answer) = house.call("POST", "/drain", &json!({"arm": "v1"}))?;
    ensure!(status == 409, "it has weight: {answer}");
    house.route(2, &[("v1", &one.url(), 0), ("v2", &two.url(), 1)])?;
    ensure!(server.get("/")?.text() == "two");
    sockets[0].echo("still here")?;
    let answer = house.ask("POST", "/drain", &json!({"arm": "v1", "within_ms": 2000}))?;
    ensure!(answer["closing"] == json!(10) && answer["open"] == json!(11), "{answer}");
    let start = Instant::now();
    for socket in &mut sockets {
        let (kind, payload) = socket.receive()?;
        ensure!(kind == 0x88 && payload == 1001_u16.to_be_bytes(), "going away: {kind:x} {payload:?}");
        ensure!(socket.0.read(&mut [0])? == 0, "and then the end");
    }
    for stream in &mut streams {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest)?;
        ensure!(
            rest.ends_with(b"\n\n\r\n0\r\n\r\n"),
            "{:?}",
            String::from_utf8_lossy(&rest[rest.len().saturating_sub(40)..])
        );
    }
    ensure!(start.elapsed() > Duration::from_millis(500), "spread over the time: {:?}", start.elapsed());
    let slow = slow.join().map_err(|_| anyhow::anyhow!("the slow request"))??;
    ensure!(slow.is_ok_and(|answer| answer.text() == "one"), "what was in flight is answered");
    house.wait_until_closed("v1")?;
    let arm = house.arm("v1")?;
    ensure!(arm["aborted"] == json!(0) && arm["broken"] == json!(0), "{arm}");
    house.receipt()?;
    server.terminate()
}

#[test]
fn a_socket_that_the_backend_refuses_is_an_ordinary_answer() -> Result<()> {
    let backend = Backend::start("one")?;
    let house = EdgeHouse::new()?;
    let server = house.start(&["--upstream", &backend.url()])?;
    let mut stream = TcpStream::connect(server.address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(HANDSHAKE.replace("/socket", "/plain").as_bytes())?;
    let head = read_head(&mut stream)?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
    let seen = backend.seen().pop().context("nothing arrived")?;
    ensure!(seen.fields("upgrade") == ["websocket"] && seen.fields("connection") == ["upgrade"], "{seen:?}");
    // Each way alone: many bytes from the backend while the client is silent, and the other way round.
    let mut socket = WebSocket::open(server.address)?;
    for _ in 0..200 {
        socket.send(&"x".repeat(100))?;
    }
    for _ in 0..200 {
        let (_, payload) = socket.receive()?;
        ensure!(payload.len() == 100);
    }
    drop(socket);
    let stats = house.ask("GET", "/stats", &Value::Null)?;
    if stats["arms"].as_array().is_none_or(Vec::is_empty) {
        bail!("{stats}");
    }
    server.terminate()
}
