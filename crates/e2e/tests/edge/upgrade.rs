use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use signalbox_e2e::backend::Backend;
use signalbox_e2e::client::Client;
use signalbox_e2e::edge::{EdgeHouse, arm, routes};
use signalbox_e2e::environment::rounds;
use signalbox_e2e::process;
use signalbox_e2e::streams::WebSocket;

/// Clients that ask without a pause: half of them keep their connection, half open one per request.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    running: Vec<std::thread::JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(address: std::net::SocketAddr, clients: usize) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let running = (0..clients).map(|number| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            std::thread::spawn(move || {
                let mut failures = Vec::new();
                let mut kept = None;
                while !stop.load(Ordering::SeqCst) {
                    let client = match kept.take() {
                        Some(client) => Ok(client),
                        None => Client::connect(address),
                    };
                    let mut client = match client {
                        Ok(client) => client,
                        Err(error) => {
                            failures.push(format!("refused: {error}"));
                            continue;
                        }
                    };
                    let body: &[u8] = if number % 3 == 0 { b"some text" } else { b"" };
                    let asked = client.request(if body.is_empty() { "GET" } else { "POST" }, "/length", &[], body);
                    match asked {
                        Ok(answer) if answer.status == 200 => {
                            answered.fetch_add(1, Ordering::SeqCst);
                            let closes = answer.header("connection") == Some("close");
                            kept = (number % 2 == 0 && !closes).then_some(client);
                        }
                        Ok(answer) => failures.push(format!("{answer:?}")),
                        Err(broken) => failures.push(broken.to_string()),
                    }
                }
                failures
            })
        });
        let running = running.collect();
        Self { stop, answered, running }
    }

    /// Waits until so many more are answered.
    fn go_on(&self, more: u64) -> Result<()> {
        let wanted = self.answered.load(Ordering::SeqCst) + more;
        process::wait_for(Duration::from_secs(60), "answers", || {
            ensure!(self.answered.load(Ordering::SeqCst) >= wanted);
            Ok(())
        })
    }

    /// Ends it: how many were answered.
    fn finish(self) -> Result<u64> {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.running {
            let failures = client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?;
            ensure!(failures.is_empty(), "{} requests failed, the first: {:?}", failures.len(), failures.first());
        }
        Ok(self.answered.load(Ordering::SeqCst))
    }
}

#[test]
fn an_upgrade_under_load_fails_nothing_and_the_receipt_balances() -> Result<()> {
    let (one, two) = (Backend::start("one")?, Backend::start("two")?);
    let house = EdgeHouse::new()?;
    let mut server = house.start(&[])?;
    let address = server.address;
    house.route(1, &[("v1", &one.url(), 50), ("v2", &two.url(), 50)])?;
    let load = Load::start(address, 12);
    load.go_on(300)?;
    let upgrades = rounds(4, 20);
    for number in 0..upgrades {
        let next = house.upgrade()?;
        ensure!(next.address == address, "the same socket");
        load.go_on(200)?;
        // Routes go on changing while the old one drains.
        house.route(u64::from(number) + 2, &[("v1", &one.url(), 30 + number), ("v2", &two.url(), 70 - number)])?;
        let status = server.stop(Signal::CONT, Duration::from_secs(40))?;
        ensure!(status.success(), "the old one ends by itself: {status}");
        server = next;
    }
    load.go_on(300)?;
    let answered = load.finish()?;
    process::wait_for(Duration::from_secs(10), "the end", || {
        ensure!(house.ask("GET", "/health", &Value::Null)?["connections"] == json!(0));
        Ok(())
    })?;
    let receipt = house.receipt()?;
    let sum = |name: &str| -> u64 {
        let of = |arm_name| arm(&receipt, arm_name).and_then(|arm| arm[name].as_u64()).unwrap_or(0);
        of("v1") + of("v2")
    };
    ensure!(sum("accepted") == answered && sum("aborted") == 0 && sum("open") == 0, "{answered} answered: {receipt}");
    ensure!(sum("broken") == 0, "{receipt}");
    let arrived = one.seen().len() + two.seen().len();
    ensure!(arrived as u64 == answered, "{arrived} arrived, {answered} were answered: none twice, none lost");
    server.terminate()
}

#[test]
fn a_draining_generation_keeps_its_streams_and_takes_new_routes() -> Result<()> {
    let (one, two) = (Backend::start("one")?, Backend::start("two")?);
    let house = EdgeHouse::new()?;
    let old = house.start(&[])?;
    house.route(1, &[("v1", &one.url(), 1), ("v2", &two.url(), 0)])?;
    let mut socket = WebSocket::open(old.address)?;
    socket.echo("before")?;
    // A connection that has asked before, and asks again only after the change.
    let mut kept = old.client()?;
    ensure!(kept.get("/")?.text() == "one");
    let new = house.upgrade()?;
    let applied = house.route(2, &[("v1", &one.url(), 0), ("v2", &two.url(), 1)])?;
    let threads = applied["threads"].as_u64().context("threads")?;
    ensure!(threads >= 2 && threads % 2 == 0, "both generations acknowledged: {applied}");
    let answer = kept.get("/")?;
    ensure!(
        answer.text() == "two" && answer.header("connection") == Some("close"),
        "old process, new routes: {answer:?}"
    );
    ensure!(new.get("/")?.text() == "two");
    socket.echo("after")?;
    let stats = house.ask("GET", "/stats", &Value::Null)?;
    let before = &stats["predecessors"][0];
    ensure!(arm(before, "v1").is_some_and(|arm| arm["open_upgrades"] == json!(1)), "{stats}");
    let drained = house.ask("POST", "/drain", &json!({"arm": "v1", "within_ms": 100}))?;
    ensure!(drained["closing"] == json!(1), "the drain reaches the old one: {drained}");
    let (kind, _) = socket.receive()?;
    ensure!(kind == 0x88, "{kind:x}");
    drop(socket);
    let status = old.stop(Signal::CONT, Duration::from_secs(30))?;
    ensure!(status.success(), "{status}");
    house.receipt()?;
    new.terminate()
}

#[test]
fn an_upgrade_that_fails_changes_nothing() -> Result<()> {
    let one = Backend::start("one")?;
    let house = EdgeHouse::new()?;
    let nothing = house.upgrade().err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(nothing.contains("without --upgrade"), "{nothing}");
    let server = house.start(&[])?;
    house.route(1, &[("v1", &one.url(), 1)])?;
    // Somebody asks for the sockets, and says nothing more.
    let asked = std::os::unix::net::UnixStream::connect(house.data.join("edge/handover.sock"))?;
    drop(asked);
    let broken = house.command(&["--upgrade", "--upstream", "ftp://nobody"]).output()?;
    ensure!(!broken.status.success());
    for _ in 0..20 {
        ensure!(server.get("/")?.text() == "one");
    }
    let next = house.upgrade()?;
    next.kill()?;
    server.terminate()
}

#[test]
fn ending_answers_what_is_in_flight() -> Result<()> {
    let one = Backend::start("one")?;
    let house = EdgeHouse::new()?;
    let server = house.start(&[])?;
    house.ask("PUT", "/routes", &routes(1, &[("v1", &one.url(), 1)]))?;
    let mut client = server.client()?;
    client.send(b"GET /slow?1000 HTTP/1.1\r\nHost: h\r\n\r\n")?;
    process::wait_for(Duration::from_secs(5), "the request", || {
        ensure!(house.arm("v1")?["open"] == json!(1));
        Ok(())
    })?;
    let start = Instant::now();
    house.ask("POST", "/shutdown", &Value::Null)?;
    let answer = client.receive(true)?;
    ensure!(answer.text() == "one", "{answer:?}");
    let status = server.stop(Signal::TERM, Duration::from_secs(20))?;
    ensure!(status.success() && start.elapsed() < Duration::from_secs(15), "{status}");
    ensure!(!house.socket().exists(), "its socket is gone");
    Ok(())
}
