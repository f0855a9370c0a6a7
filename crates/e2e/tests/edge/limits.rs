//! Catalogue 17 and 18: floods are closed, and others are not harmed.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use signalbox_e2e::backend::Backend;
use signalbox_e2e::client::{Client, request};
use signalbox_e2e::edge::EdgeHouse;

#[test]
fn slow_clients_are_disconnected() -> Result<()> {
    const LIMIT: Duration = Duration::from_secs(13);
    let backend = Backend::start("one")?;
    let house = EdgeHouse::new()?;
    let server = house.start(&["--upstream", &backend.url()])?;
    let start = Instant::now();
    let mut silent = server.client()?;
    // A byte now and then does not help.
    let trickle = |first: &'static str, each: &'static str| {
        let address = server.address;
        std::thread::spawn(move || -> Result<Duration> {
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(first.as_bytes())?;
            stream.set_read_timeout(Some(Duration::from_millis(300)))?;
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(20) {
                match stream.read(&mut [0; 1024]) {
                    Ok(0) => break,
                    Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => break,
                    _ => (),
                }
                if stream.write_all(each.as_bytes()).is_err() {
                    break;
                }
            }
            Ok(start.elapsed())
        })
    };
    let head = trickle("GET / HTTP/1.1\r\nHost: h\r\n", "X: 1\r\n");
    let body = trickle("POST /length HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n", "x");
    let chunks = trickle("POST /length HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n");
    ensure!(silent.closes_within(LIMIT), "a client that says nothing");
    for (name, attack) in [("head", head), ("body", body), ("chunks", chunks)] {
        let took = attack.join().map_err(|_| anyhow::anyhow!("{name}"))??;
        ensure!(took < LIMIT, "{name}: {took:?}");
    }
    ensure!(start.elapsed() < LIMIT * 2 && server.get("/")?.status == 200);
    house.receipt()?;
    server.terminate()
}

#[test]
fn what_is_too_large_is_refused() -> Result<()> {
    let backend = Backend::start("one")?;
    let house = EdgeHouse::new()?;
    let server = house.start(&["--upstream", &backend.url(), "--max-body", "100 KiB"])?;
    let large = "x".repeat(200_000);
    let many: Vec<_> = (0..150).map(|_| ("X-Many", "y")).collect();
    for (name, bytes, status) in [
        ("a large field", request("GET", "/", &[("X-Large", &large)], b""), 431),
        ("many fields", request("GET", "/", &many, b""), 431),
        ("a long target", request("GET", &format!("/{large}"), &[], b""), 414),
        ("a large body", request("POST", "/length", &[], &vec![b'x'; 200_000]), 413),
    ] {
        let mut client = server.client()?;
        // It may close before it has taken everything.
        let _ = client.send(&bytes);
        let answer = client.receive(true)?;
        ensure!(answer.status == status, "{name}: {answer:?}");
        ensure!(client.closes_within(Duration::from_secs(5)), "{name}: still open");
    }
    ensure!(backend.seen().is_empty(), "{:?}", backend.seen());
    let mut client = server.client()?;
    client.send(b"POST /length HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    for _ in 0..200 {
        if client.send(format!("400\r\n{}\r\n", "x".repeat(1024)).as_bytes()).is_err() {
            break;
        }
    }
    let answer = client.receive(true)?;
    ensure!(answer.status == 413, "a body that never ends: {answer:?}");
    ensure!(backend.seen().is_empty(), "and no end of it arrived");
    ensure!(server.client()?.request("POST", "/length", &[], &vec![b'x'; 90_000])?.text() == "90000");
    server.terminate()
}

#[test]
fn connections_are_bounded() -> Result<()> {
    let backend = Backend::start("one")?;
    let house = EdgeHouse::new()?;
    let limits = ["--connections", "40", "--connections-per-source", "20"];
    let server = house.start(&[&["--upstream", &backend.url()][..], &limits].concat())?;
    let mut clients: Vec<Client> = (0..20).map(|_| server.client()).collect::<Result<_>>()?;
    for client in &mut clients {
        ensure!(client.get("/")?.status == 200);
    }
    let mut extra = server.client()?;
    ensure!(extra.closes_within(Duration::from_secs(5)), "one source has its share");
    ensure!(house.ask("GET", "/stats", &Value::Null)?["shed_connections"].as_u64() >= Some(1));
    ensure!(clients[0].get("/")?.status == 200, "those who were there are not harmed");
    clients.clear();
    signalbox_e2e::process::wait_for(Duration::from_secs(5), "places", || {
        ensure!(house.ask("GET", "/health", &Value::Null)?["connections"] == json!(0));
        Ok(())
    })?;
    ensure!(server.get("/")?.status == 200, "and places are free again");
    server.terminate()
}

#[test]
fn a_backend_that_hangs_costs_the_others_nothing() -> Result<()> {
    let (hanging, well) = (Backend::start("hanging")?, Backend::start("well")?);
    hanging.hang(true);
    let house = EdgeHouse::new()?;
    let server = house.start(&[])?;
    let mut body = signalbox_e2e::edge::routes(1, &[("bad", &hanging.url(), 0), ("good", &well.url(), 1)]);
    body["paths"] = json!([{"prefix": "/bad", "arm": "bad"}]);
    house.ask("PUT", "/routes", &body)?;
    let mut stuck = Vec::new();
    for _ in 0..200 {
        let mut client = server.client()?;
        client.send(&request("GET", "/bad", &[], b""))?;
        stuck.push(client);
    }
    let mut client = server.client()?;
    for _ in 0..100 {
        ensure!(client.get("/")?.text() == "well");
    }
    ensure!(house.arm("bad")?["open"].as_u64() == Some(200));
    hanging.hang(false);
    for client in &mut stuck {
        ensure!(client.receive(true)?.text() == "hanging");
    }
    house.receipt()?;
    server.terminate()
}
