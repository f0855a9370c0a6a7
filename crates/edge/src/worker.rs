//! One thread of the edge: its runtime, its routes, its upstream connections. Nothing here is shared on the way of a
//! request but counters.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use signalbox_core::address::TrustedProxies;
use signalbox_core::clock::Clock;
use slab::Slab;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local};

use crate::access_log::Lines;
use crate::buffer::Works;
use crate::deadline::{Alarm, Deadlines, SWEEP};
use crate::front;
use crate::ids::Ids;
use crate::seats::{Seat, Seats};
use crate::settings::Limits;
use crate::stats::{ArmStats, Counter};
use crate::table::{Table, Told};
use crate::upstream::Upstreams;

/// After a hand-over, connections that ask for nothing are kept this long: a client that asks in this moment is answered.
const LAST_IDLE: Duration = Duration::from_secs(5);

/// What all threads see.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) proxies: TrustedProxies,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) seats: Arc<Seats>,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// Requests that were refused before they had an arm.
    pub(crate) refused: Counter,
    pub(crate) failed_handshakes: Counter,
    pub(crate) mirrored: Counter,
    pub(crate) mirror_dropped: Counter,
    /// Where each thread takes connections from others.
    pub(crate) threads: Vec<mpsc::UnboundedSender<Order>>,
}

/// A connection that was accepted.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) stream: std::net::TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) encrypted: bool,
    pub(crate) seat: Seat,
}

/// What a thread is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    Serve(Arrived),
    Listen {
        listener: std::net::TcpListener,
        encrypted: bool,
    },
    Routes(Box<Told>, oneshot::Sender<()>),
    /// Close the upgrades and event streams of these arms, spread over a time. Answers how many there are.
    CloseStreams {
        of: Option<Vec<Arc<ArmStats>>>,
        within: Duration,
        answer: oneshot::Sender<usize>,
    },
    /// Accept nothing more, and end connections as they become idle. Answered when nobody is accepted any more.
    Finish(oneshot::Sender<()>),
    Stop,
}

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) number: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) table: RefCell<Rc<Table>>,
    pub(crate) upstreams: Upstreams,
    pub(crate) deadlines: Rc<Deadlines>,
    pub(crate) works: Works,
    pub(crate) ids: Ids,
    pub(crate) lines: Lines,
    pub(crate) notes: RefCell<Vec<Vec<u8>>>,
    pub(crate) finishing: Cell<bool>,
    pub(crate) mirrors: Cell<usize>,
    sessions: RefCell<Slab<Session>>,
    accepting: RefCell<Vec<tokio::task::JoinHandle<()>>>,
}

/// An upgrade or an event stream.
#[derive(Debug)]
struct Session {
    stats: Arc<ArmStats>,
    closing: Rc<Cell<bool>>,
    alarm: Alarm,
}

/// Its entry, for as long as it is open.
#[derive(Debug)]
pub(crate) struct Registered {
    worker: Rc<Worker>,
    key: usize,
    closing: Rc<Cell<bool>>,
}

impl Registered {
    /// It has been told to close.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.worker.sessions.borrow_mut().remove(self.key);
    }
}

/// Runs a thread until it is told to stop.
pub(crate) fn run(
    number: usize,
    shared: Arc<Shared>,
    told: Told,
    lines: Lines,
    mut orders: mpsc::UnboundedReceiver<Order>,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().event_interval(31).build()?;
    let upstreams = Upstreams::default();
    let table = RefCell::new(Rc::new(Table::new(told, &upstreams)));
    let worker = Rc::new(Worker {
        number,
        shared,
        table,
        upstreams,
        deadlines: Deadlines::new(),
        works: Works::default(),
        ids: Ids::new(),
        lines,
        notes: RefCell::default(),
        finishing: Cell::new(false),
        mirrors: Cell::new(0),
        sessions: RefCell::default(),
        accepting: RefCell::default(),
    });
    LocalSet::new().block_on(&runtime, async {
        spawn_local(sweep(Rc::clone(&worker)));
        while let Some(order) = orders.recv().await {
            match order {
                Order::Stop => break,
                order => worker.obey(order),
            }
        }
        worker.lines.flush();
    });
    Ok(())
}

async fn sweep(worker: Rc<Worker>) {
    let mut tick = tokio::time::interval(SWEEP);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        worker.deadlines.sweep();
        worker.upstreams.sweep(worker.deadlines.now(), worker.shared.limits.upstream_idle);
        worker.lines.flush();
    }
}

impl Worker {
    fn obey(self: &Rc<Self>, order: Order) {
        match order {
            Order::Serve(arrived) => front::serve(self, arrived),
            Order::Listen { listener, encrypted } => {
                let accepting = spawn_local(front::accept(Rc::clone(self), listener, encrypted));
                self.accepting.borrow_mut().push(accepting);
            }
            Order::Routes(told, done) => {
                let table = Rc::new(Table::new(*told, &self.upstreams));
                self.table.replace(table);
                // Whoever asked may have gone.
                let _ = done.send(());
            }
            Order::CloseStreams { of, within, answer } => {
                let _ = answer.send(self.close_streams(of.as_deref(), within));
            }
            Order::Finish(done) => {
                self.finishing.set(true);
                self.accepting.borrow_mut().drain(..).for_each(|task| task.abort());
                self.deadlines.hurry_idle(LAST_IDLE);
                spawn_local(async move {
                    // The aborted tasks drop their listeners when they are next polled, which is before this.
                    tokio::task::yield_now().await;
                    tokio::task::yield_now().await;
                    let _ = done.send(());
                });
            }
            Order::Stop => (),
        }
    }

    /// How long a connection may wait for its next request.
    pub(crate) fn idle_patience(&self) -> Duration {
        let idle = self.shared.limits.idle;
        if self.finishing.get() { idle.min(LAST_IDLE) } else { idle }
    }

    pub(crate) fn register(self: &Rc<Self>, stats: &Arc<ArmStats>, alarm: Alarm) -> Registered {
        let closing = Rc::new(Cell::new(false));
        let session = Session { stats: Arc::clone(stats), closing: Rc::clone(&closing), alarm };
        let key = self.sessions.borrow_mut().insert(session);
        Registered { worker: Rc::clone(self), key, closing }
    }

    fn close_streams(&self, of: Option<&[Arc<ArmStats>]>, within: Duration) -> usize {
        let sessions = self.sessions.borrow();
        let meant = |session: &Session| of.is_none_or(|of| of.iter().any(|stats| Arc::ptr_eq(stats, &session.stats)));
        let meant: Vec<_> = sessions.iter().filter(|(_, session)| meant(session)).collect();
        for (nth, (_, session)) in meant.iter().enumerate() {
            session.closing.set(true);
            session.alarm.ring_within(within.mul_f64((nth + 1) as f64 / (meant.len() + 1) as f64));
        }
        meant.len()
    }
}
