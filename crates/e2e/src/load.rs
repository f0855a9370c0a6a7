//! Clients that send as fast as they are answered: pixels, clicks and batches of API events.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::client::{Answer, Broken, Client};
use crate::installation::{DESTINATION, Installation, Link};
use crate::ledger::Ledger;
use crate::process;
use crate::server::Server;

/// How many clients of each sort.
#[derive(Debug, Clone, Copy)]
pub struct Clients {
    pub pixels: usize,
    pub clicks: usize,
    pub api: usize,
    /// Events per API request.
    pub batch: usize,
}

/// Enough to keep groups of commits in flight, few enough for two processors.
pub const USUAL: Clients = Clients { pixels: 12, clicks: 6, api: 3, batch: 25 };

/// What the clients ask for.
#[derive(Clone)]
pub struct Targets {
    inner: Arc<Inner>,
}

struct Inner {
    pixels: Vec<Link>,
    clicks: Vec<Link>,
    token: String,
    next_link: AtomicUsize,
    next_batch: AtomicUsize,
}

/// Running clients.
pub struct Load {
    stop: Arc<AtomicBool>,
    deaf: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Ledger>>,
}

impl Targets {
    /// Mints links and a token; the schema must exist.
    pub fn of(installation: &Installation) -> Result<Self> {
        let inner = Inner {
            pixels: installation.mint_opens(500)?,
            clicks: installation.mint_clicks(500)?,
            token: installation.token()?,
            next_link: AtomicUsize::new(0),
            next_batch: AtomicUsize::new(0),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub fn pixel(&self) -> &Link {
        &self.inner.pixels[self.inner.next_link.fetch_add(1, Ordering::Relaxed) % self.inner.pixels.len()]
    }

    pub fn click(&self) -> &Link {
        &self.inner.clicks[self.inner.next_link.fetch_add(1, Ordering::Relaxed) % self.inner.clicks.len()]
    }

    pub fn token(&self) -> &str {
        &self.inner.token
    }

    /// A batch that nobody has sent: its name and the ids in it.
    pub fn batch(&self, size: usize) -> (String, Vec<String>) {
        let name = format!("batch-{}", self.inner.next_batch.fetch_add(1, Ordering::Relaxed));
        let ids = (0..size).map(|number| format!("{name}-{number}")).collect();
        (name, ids)
    }
}

/// API events of these ids, one per line.
pub fn body(ids: &[String]) -> String {
    ids.iter().map(|id| format!("{{\"kind\":\"custom\",\"name\":\"e2e\",\"id\":\"{id}\"}}\n")).collect()
}

impl Load {
    /// Starts the clients. Each goes on until told to stop, and connects anew when its connection breaks.
    pub fn start(address: SocketAddr, targets: &Targets, clients: Clients) -> Self {
        let (stop, deaf) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let mut threads = Vec::new();
        let mut spawn = |count: usize, work: fn(&mut Worker) -> Result<(), Broken>| {
            for _ in 0..count {
                let mut worker = Worker {
                    address,
                    targets: targets.clone(),
                    batch: clients.batch,
                    client: None,
                    ledger: Ledger::default(),
                    deaf: Arc::clone(&deaf),
                };
                let stop = Arc::clone(&stop);
                threads.push(std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        worker.attempt(work);
                    }
                    worker.ledger
                }));
            }
        };
        spawn(clients.pixels, Worker::pixel);
        spawn(clients.clicks, Worker::click);
        spawn(clients.api, Worker::api);
        Self { stop, deaf, threads }
    }

    /// From now on no client takes note of what it gets: nothing gets out of a machine without power.
    pub fn deafen(&self) {
        self.deaf.store(true, Ordering::SeqCst);
    }

    /// Stops the clients and returns what they know together.
    pub fn stop(self) -> Result<Ledger> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Ledger::default();
        for thread in self.threads {
            all.merge(thread.join().ok().context("a client panicked")?);
        }
        Ok(all)
    }
}

/// Asks for a pixel until one is recorded.
pub fn first_recorded(server: &Server, targets: &Targets, ledger: &mut Ledger) -> Result<()> {
    const LIMIT: Duration = Duration::from_secs(30);
    process::wait_for(LIMIT, "a recorded hit", || {
        let mut client = server.client()?;
        let link = targets.pixel();
        ledger.send_hit(link);
        let answer = client.get(&link.path)?;
        let id = answer.event_id().with_context(|| format!("{} without x-event-id", answer.status))?;
        ledger.acknowledge_hit(link, id);
        Ok(())
    })
    .with_context(|| format!("the server said:\n{}", server.log()))
}

struct Worker {
    address: SocketAddr,
    targets: Targets,
    batch: usize,
    client: Option<Client>,
    ledger: Ledger,
    deaf: Arc<AtomicBool>,
}

impl Worker {
    fn attempt(&mut self, work: fn(&mut Worker) -> Result<(), Broken>) {
        match work(self) {
            Ok(()) => return,
            Err(Broken::Unanswered(_)) => self.ledger.unanswered += 1,
            Err(broken @ Broken::CutOff(_)) if self.hears() => self.ledger.cut_off.push(broken.to_string()),
            Err(broken) => self.complain(broken.to_string()),
        }
        self.client = None;
        std::thread::sleep(Duration::from_millis(5));
    }

    fn hears(&self) -> bool {
        !self.deaf.load(Ordering::SeqCst)
    }

    fn complain(&mut self, what: String) {
        if self.hears() {
            self.ledger.wrong.push(what);
        }
    }

    fn connected(&mut self) -> Result<&mut Client, Broken> {
        if self.client.is_none() {
            self.client = Some(Client::connect(self.address)?);
        }
        Ok(self.client.as_mut().expect("it was set just now"))
    }

    fn pixel(&mut self) -> Result<(), Broken> {
        let link = self.targets.pixel().clone();
        let answer = self.hit(&link)?;
        if answer.status != 200 || answer.header("content-type") != Some("image/gif") || answer.body.len() != 43 {
            self.complain(format!("a pixel got {answer:?}"));
        }
        Ok(())
    }

    fn click(&mut self) -> Result<(), Broken> {
        let link = self.targets.click().clone();
        let answer = self.hit(&link)?;
        if answer.status != 302 || answer.header("location") != Some(DESTINATION) {
            self.complain(format!("a click got {answer:?}"));
        }
        Ok(())
    }

    fn hit(&mut self, link: &Link) -> Result<Answer, Broken> {
        self.connected()?;
        self.ledger.send_hit(link);
        let answer = self.connected()?.get(&link.path)?;
        match answer.event_id() {
            Some(_) if !self.hears() => (),
            Some(id) => self.ledger.acknowledge_hit(link, id),
            None => self.ledger.unrecorded += 1,
        }
        Ok(answer)
    }

    /// Sends one batch; what is not answered or refused as busy is sent once more, as a careful client would.
    fn api(&mut self) -> Result<(), Broken> {
        let (name, ids) = self.targets.batch(self.batch);
        self.ledger.send_batch(&name, &ids);
        if self.send_batch(&ids).is_ok_and(|recorded| recorded) {
            return Ok(());
        }
        self.client = None;
        self.send_batch(&ids).map(drop)
    }

    fn send_batch(&mut self, ids: &[String]) -> Result<bool, Broken> {
        let authorization = format!("Bearer {}", self.targets.token());
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/x-ndjson")];
        let answer = self.connected()?.request("POST", "/api/v1/events", &headers, body(ids).as_bytes())?;
        match answer.status {
            200 if !self.hears() => (),
            200 if acknowledges(&answer, ids) => self.ledger.acknowledge_batch(ids),
            503 => self.ledger.refused += 1,
            _ => self.complain(format!("a batch got {} {}", answer.status, answer.text())),
        }
        Ok(answer.status == 200)
    }
}

/// Whether the receipt names exactly these ids as recorded.
fn acknowledges(answer: &Answer, ids: &[String]) -> bool {
    let receipt: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let named = receipt["ids"].as_array().map(Vec::as_slice).unwrap_or_default();
    receipt["recorded"] == ids.len() && named.iter().map(Value::as_str).eq(ids.iter().map(|id| Some(id.as_str())))
}
