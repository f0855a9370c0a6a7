//! Everything that a service behind the edge is asked at once: requests over connections that are kept, over new ones,
//! with bodies; WebSockets; event streams. Whatever does not end as it should is kept in words.

use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::client::Client;
use crate::streams::{WebSocket, events};

/// How much of each.
#[derive(Debug, Clone, Copy)]
pub struct Mix {
    /// Requests a second over connections that are kept, and how many of those there are.
    pub kept: f64,
    pub connections: usize,
    /// Requests a second, each over a connection of its own.
    pub fresh: f64,
    /// Requests a second with a body of 16 KiB.
    pub uploads: f64,
    /// WebSockets that are open at any time; each says something five times a second.
    pub sockets: usize,
    /// Event streams that are open at any time.
    pub streams: usize,
}

/// Clients that go on until they are told to stop.
pub struct Mixed {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Tally>>,
    since: Instant,
}

/// What became of it all.
#[derive(Debug, Default)]
pub struct Tally {
    pub requests: u64,
    pub uploads: u64,
    pub connections: u64,
    /// WebSockets and event streams that the other side brought to a good end, so that another one began.
    pub handed_over: u64,
    pub echoes: u64,
    pub events: u64,
    pub failed: Vec<String>,
    pub seconds: f64,
}

/// What a thread does until it is told to stop.
type Work = Box<dyn FnOnce(&AtomicBool, &mut Tally) + Send>;

const UPLOAD: usize = 16 << 10;
/// One thread is not asked for more: it would fall behind on a busy machine.
const MOST: f64 = 400.0;

impl Mixed {
    pub fn start(address: SocketAddr, mix: Mix) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let mut threads = Vec::new();
        let mut spawn = |work: Work| {
            let stop = Arc::clone(&stop);
            threads.push(std::thread::spawn(move || {
                let mut tally = Tally::default();
                work(&stop, &mut tally);
                tally
            }));
        };
        let most = |rate: f64, least: usize| ((rate / MOST).ceil() as usize).max(least);
        for _ in 0..most(mix.kept, mix.connections) {
            let rate = mix.kept / most(mix.kept, mix.connections) as f64;
            spawn(Box::new(move |stop, tally| kept(address, rate, b"", stop, tally)));
        }
        for _ in 0..most(mix.uploads, 0) {
            let rate = mix.uploads / most(mix.uploads, 1) as f64;
            spawn(Box::new(move |stop, tally| kept(address, rate, &[b'x'; UPLOAD], stop, tally)));
        }
        for _ in 0..most(mix.fresh, 0) {
            let rate = mix.fresh / most(mix.fresh, 1) as f64;
            spawn(Box::new(move |stop, tally| fresh(address, rate, stop, tally)));
        }
        for _ in 0..mix.sockets {
            spawn(Box::new(move |stop, tally| lasting(stop, tally, |stop, tally| socket(address, stop, tally))));
        }
        for _ in 0..mix.streams {
            spawn(Box::new(move |stop, tally| lasting(stop, tally, |stop, tally| stream(address, stop, tally))));
        }
        Self { stop, threads, since: Instant::now() }
    }

    /// Stops them and says what they saw.
    pub fn stop(self) -> Result<Tally> {
        let seconds = self.since.elapsed().as_secs_f64();
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Tally { seconds, ..Tally::default() };
        for thread in self.threads {
            let one = thread.join().ok().context("a client panicked")?;
            all.requests += one.requests;
            all.uploads += one.uploads;
            all.connections += one.connections;
            all.handed_over += one.handed_over;
            all.echoes += one.echoes;
            all.events += one.events;
            all.failed.extend(one.failed);
        }
        Ok(all)
    }
}

impl Tally {
    /// Requests of every kind in a second.
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// Does something at a rate until it is told to stop. What was missed on a busy machine is made up for.
fn paced(rate: f64, stop: &AtomicBool, mut each: impl FnMut()) {
    let begun = Instant::now();
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let due = begun + Duration::from_secs_f64(number as f64 / rate);
        if let Some(early) = due.checked_duration_since(Instant::now()) {
            std::thread::sleep(early);
        }
        number += 1;
        each();
    }
}

fn kept(address: SocketAddr, rate: f64, body: &[u8], stop: &AtomicBool, tally: &mut Tally) {
    let mut client = None;
    let wanted = format!("\"received\": {}", body.len());
    paced(rate, stop, || {
        let open = match client.take() {
            Some(open) => Ok(open),
            None => Client::connect(address).inspect(|_| tally.connections += 1),
        };
        let mut open = match open {
            Ok(open) => open,
            Err(error) => return tally.failed.push(format!("no connection: {error}")),
        };
        let method = if body.is_empty() { "GET" } else { "POST" };
        match open.request(method, "/cart", &[], body) {
            Ok(answer) if answer.status == 200 && answer.text().contains(&wanted) => {
                tally.requests += 1;
                tally.uploads += u64::from(!body.is_empty());
                // The edge may end a connection politely, with its last answer.
                let ends = answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
                client = (!ends).then_some(open);
            }
            Ok(answer) => tally.failed.push(format!("{answer:?}")),
            Err(broken) => tally.failed.push(broken.to_string()),
        }
    });
}

fn fresh(address: SocketAddr, rate: f64, stop: &AtomicBool, tally: &mut Tally) {
    paced(rate, stop, || {
        let asked =
            Client::connect(address).map_err(|error| format!("no connection: {error}")).and_then(|mut client| {
                client.request("GET", "/cart", &[("Connection", "close")], b"").map_err(|broken| broken.to_string())
            });
        match asked {
            Ok(answer) if answer.status == 200 => {
                tally.requests += 1;
                tally.connections += 1;
            }
            Ok(answer) => tally.failed.push(format!("{answer:?}")),
            Err(why) => tally.failed.push(why),
        }
    });
}

/// One after the other of something that lasts.
fn lasting(stop: &AtomicBool, tally: &mut Tally, mut one: impl FnMut(&AtomicBool, &mut Tally) -> Result<()>) {
    while !stop.load(Ordering::Relaxed) {
        match one(stop, tally) {
            Ok(()) => tally.handed_over += u64::from(!stop.load(Ordering::Relaxed)),
            Err(error) => {
                tally.failed.push(format!("{error:#}"));
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

/// Echoes until the other side says that it goes away.
fn socket(address: SocketAddr, stop: &AtomicBool, tally: &mut Tally) -> Result<()> {
    let mut socket = WebSocket::open(address).context("a WebSocket")?;
    tally.connections += 1;
    while !stop.load(Ordering::Relaxed) {
        // What is said while it goes away is not answered any more.
        let _ = socket.send("still there?");
        let (kind, payload) = socket.receive().context("a WebSocket")?;
        match kind {
            0x81 => ensure!(payload == b"still there?", "a WebSocket: {payload:?}"),
            0x88 if payload == 1001_u16.to_be_bytes() => return Ok(()),
            _ => bail!("a WebSocket: {kind:x} {payload:?}"),
        }
        tally.echoes += 1;
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// Reads events until the stream comes to a whole end.
fn stream(address: SocketAddr, stop: &AtomicBool, tally: &mut Tally) -> Result<()> {
    let mut stream = events(address).context("an event stream")?;
    tally.connections += 1;
    let mut last = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).context("an event stream")?;
        if count == 0 {
            ensure!(
                last.ends_with(b"\n\n\r\n0\r\n\r\n"),
                "an event stream was cut off: {:?}",
                String::from_utf8_lossy(&last)
            );
            return Ok(());
        }
        tally.events += 1;
        last.extend_from_slice(&bytes[..count]);
        let old = last.len().saturating_sub(64);
        last.drain(..old);
    }
    Ok(())
}
