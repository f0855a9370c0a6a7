use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};

use super::ask::{LONGEST, Reply, Request};
use super::supervise::Order;
use super::{Spec, Status, listener, tree};
use crate::check;
use crate::driver::Health;

/// How long somebody may keep a connection without asking anything.
const IDLE: Duration = Duration::from_secs(60);

/// What answers share.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    pub(super) examiner: Examiner,
    pub(super) told: watch::Receiver<Status>,
    pub(super) orders: mpsc::Sender<Order>,
}

/// Asks the service how it is.
#[derive(Debug, Clone)]
pub(super) struct Examiner {
    pub(super) spec: Arc<Spec>,
    pub(super) told: watch::Receiver<Status>,
    /// Of the process that was seen to listen on the port; looking costs too much to do it each time.
    pub(super) listens: Arc<AtomicU32>,
}

/// Answers over the socket as long as the shim lives.
pub(super) async fn serve(listener: UnixListener, desk: Desk) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: others end some time.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        tokio::spawn(converse(stream, desk.clone()));
    }
}

/// One question after another, until the other side has enough.
async fn converse(stream: UnixStream, desk: Desk) {
    let (from, mut to) = stream.into_split();
    let mut from = BufReader::new(from);
    loop {
        let mut line = String::new();
        let mut bounded = (&mut from).take(LONGEST);
        match tokio::time::timeout(IDLE, bounded.read_line(&mut line)).await {
            Ok(Ok(count)) if count > 0 && line.ends_with('\n') => (),
            _ => return,
        }
        let reply = match serde_json::from_str(&line) {
            Ok(request) => desk.answer(request).await,
            Err(error) => Reply::Refused(error.to_string()),
        };
        let Ok(mut bytes) = serde_json::to_vec(&reply) else { return };
        bytes.push(b'\n');
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

impl Desk {
    async fn answer(&self, request: Request) -> Reply {
        match request {
            Request::Status => Reply::Status(Box::new(self.told.borrow().clone())),
            Request::Check => Reply::Checked(self.examiner.ask().await),
            Request::Stop { grace } => {
                let (done, stopped) = oneshot::channel();
                let _ = self.orders.send(Order::Stop { grace: grace.0, done: Some(done) }).await;
                match stopped.await {
                    Ok(status) => Reply::Status(Box::new(status)),
                    Err(_) => Reply::Status(Box::new(self.told.borrow().clone())),
                }
            }
            Request::Signal { number } => {
                let Some(signal) = Signal::from_named_raw(number) else {
                    return Reply::Refused(format!("{number} is not a signal"));
                };
                let (done, sent) = oneshot::channel();
                let _ = self.orders.send(Order::Signal { signal, done }).await;
                match sent.await {
                    Ok(true) => Reply::Status(Box::new(self.told.borrow().clone())),
                    _ => Reply::Refused("there is no process".into()),
                }
            }
        }
    }
}

impl Examiner {
    pub(super) fn new(spec: Arc<Spec>, told: watch::Receiver<Status>) -> Self {
        Self { spec, told, listens: Arc::new(AtomicU32::new(0)) }
    }

    /// Asks, and looks whether it is the service that answers.
    pub(super) async fn ask(&self) -> Health {
        let (spec, status) = (&self.spec, self.told.borrow().clone());
        let Some(process) = status.process else {
            let said = format!("it does not run: {}", status.said);
            return if status.state.lives() { Health::Unwell { said } } else { Health::Gone };
        };
        let health = check::ask(spec.address(), &spec.health, &spec.version).await;
        if !health.is_well() {
            return health;
        }
        if self.told.borrow().process.as_ref() != Some(&process) {
            return Health::Unwell { said: "it died while it was asked".into() };
        }
        // In a sandbox nobody else can be on its port.
        if spec.sandbox.is_none() && self.listens.load(Ordering::Relaxed) != process.pid {
            if listener::is_theirs(spec.port, &tree::below(None)) == Some(false) {
                return Health::Unwell { said: format!("somebody else answers on port {}", spec.port) };
            }
            self.listens.store(process.pid, Ordering::Relaxed);
        }
        health
    }
}
