use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use signalbox_e2e::backend::Backend;
use signalbox_e2e::client::Broken;
use signalbox_e2e::edge::{EdgeHouse, routes};
use signalbox_e2e::environment::free_port;
use signalbox_e2e::process::wait_for;

fn quick(upstream: &str) -> serde_json::Value {
    let mut body = routes(1, &[("v1", upstream, 1)]);
    body["arms"][0]["timeouts"] = json!({"connect_ms": 500, "response_ms": 700, "idle_ms": 700});
    body
}

#[test]
fn a_backend_that_is_gone_slow_or_broken_is_told_apart() -> Result<()> {
    let backend = Backend::start("one")?;
    let house = EdgeHouse::new()?;
    let server = house.start(&[])?;
    house.ask("PUT", "/routes", &quick(&backend.url()))?;
    let mut client = server.client()?;
    ensure!(client.get("/")?.text() == "one");
    let start = Instant::now();
    ensure!(client.get("/slow?3000")?.status == 504, "no answer in time");
    ensure!(start.elapsed() < Duration::from_secs(3));
    ensure!(client.get("/drop")?.status == 502, "closed without an answer");
    ensure!(client.get("/bad-head")?.status == 502, "an answer that is none");
    ensure!(client.get("/")?.text() == "one", "the client's connection outlives all that");
    for path in ["/reset", "/stall"] {
        let broken = server.client()?.get(path);
        ensure!(matches!(broken, Err(Broken::CutOff(_))), "{path}: a cut answer must not look whole: {broken:?}");
    }
    let mut stream = TcpStream::connect(server.address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"GET /reset-chunked HTTP/1.1\r\nHost: h\r\n\r\n")?;
    let mut cut = Vec::new();
    stream.read_to_end(&mut cut)?;
    ensure!(cut.ends_with(b"5\r\nhello\r\n"), "no last chunk: {:?}", String::from_utf8_lossy(&cut));
    house.wait_until_closed("v1")?;
    let arm = house.arm("v1")?;
    ensure!(
        arm["answered_by_edge"] == json!({"bad_gateway": 2, "unavailable": 0, "gateway_timeout": 1, "other": 0}),
        "{arm}"
    );
    ensure!(arm["broken"] == json!(3) && arm["errors"]["timeout"] == json!(2), "{arm}");
    let address = backend.address;
    drop(backend);
    ensure!(server.get("/")?.status == 502, "nobody listens");
    ensure!(house.arm("v1")?["errors"]["connect"].as_u64() > Some(0));
    let _again = Backend::start_on("again", address)?;
    ensure!(server.get("/")?.text() == "again", "and it is back at once");
    house.receipt()?;
    server.terminate()
}

#[test]
fn a_stale_connection_is_no_error() -> Result<()> {
    let backend = Backend::start("one")?;
    backend.close_idle_after(Duration::from_millis(30));
    let house = EdgeHouse::new()?;
    let server = house.start(&["--upstream", &backend.url()])?;
    let mut client = server.client()?;
    for number in 0..60 {
        // Around the moment at which the backend closes.
        std::thread::sleep(Duration::from_micros(28_000 + number * 150));
        let answer = client.get("/")?;
        ensure!(answer.status == 200, "{number}: {answer:?}");
    }
    for number in 0..20 {
        std::thread::sleep(Duration::from_millis(25 + number));
        backend.cut();
        let answer = client.request("POST", "/length", &[], b"text")?;
        ensure!(answer.text() == "4", "{number}: {answer:?}");
    }
    let posts = backend.seen().iter().filter(|seen| seen.line().starts_with("POST")).count();
    ensure!(posts == 20, "{posts} arrived of 20");
    house.receipt()?;
    server.terminate()
}

#[test]
fn what_must_not_happen_twice_is_not_sent_twice() -> Result<()> {
    let backend = Backend::start("one")?;
    let house = EdgeHouse::new()?;
    let server = house.start(&["--upstream", &backend.url()])?;
    let mut client = server.client()?;
    ensure!(client.get("/")?.status == 200);
    backend.forget();
    ensure!(client.request("POST", "/drop", &[], b"pay")?.status == 502);
    ensure!(backend.seen().len() == 1, "{:?}", backend.seen());
    backend.forget();
    ensure!(client.get("/")?.status == 200);
    // On a connection that was used before, and that ends without a word: a GET may be tried again, once.
    let answer = client.get("/drop")?;
    let drops = backend.seen().iter().filter(|seen| seen.line().contains("/drop")).count();
    ensure!(answer.status == 502 && drops <= 2, "{drops} of one request");
    server.terminate()
}

#[test]
fn another_instance_answers_for_one_that_is_gone() -> Result<()> {
    let backend = Backend::start("one")?;
    let house = EdgeHouse::new()?;
    let server = house.start(&[])?;
    let gone = format!("http://127.0.0.1:{}", free_port()?);
    let mut body = routes(1, &[("v1", &backend.url(), 1)]);
    body["arms"][0]["upstreams"] = json!([gone, backend.url()]);
    house.ask("PUT", "/routes", &body)?;
    let mut client = server.client()?;
    for _ in 0..50 {
        ensure!(client.get("/")?.text() == "one");
    }
    house.wait_until_closed("v1")?;
    let arm = house.arm("v1")?;
    ensure!(arm["retries"].as_u64() > Some(0) && arm["answered"]["s2xx"] == json!(50), "{arm}");
    server.terminate()
}

#[test]
fn clients_that_leave_are_counted_as_such() -> Result<()> {
    let backend = Backend::start("one")?;
    let house = EdgeHouse::new()?;
    let server = house.start(&[])?;
    house.route(1, &[("v1", &backend.url(), 1)])?;
    for _ in 0..5 {
        let mut client = server.client()?;
        client.send(b"GET /large?50000000 HTTP/1.1\r\nHost: h\r\n\r\n")?;
        drop(client);
    }
    let mut client = server.client()?;
    client.send(b"POST /length HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nnot all of it")?;
    drop(client);
    wait_for(Duration::from_secs(20), "not all of them are known to have left", || {
        let arm = house.arm("v1")?;
        ensure!(arm["open"] == json!(0) && arm["aborted"] == json!(6) && arm["accepted"] == json!(6), "{arm}");
        Ok(())
    })?;
    house.receipt().context("the receipt")?;
    server.terminate()
}
