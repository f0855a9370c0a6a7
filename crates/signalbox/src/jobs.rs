//! Which process does the jobs of which one at a time is enough: the projector, checkpoints of the audit log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use signalbox_core::clock::Clock;
use signalbox_insight::report::projected_seq;
use signalbox_store::{JobLease, Scope, Store};

use crate::installation::Installation;

const LEASE: &str = "jobs";
const TICK: Duration = Duration::from_millis(500);

/// Whether this process does them.
pub struct Jobs {
    leads: Arc<AtomicBool>,
    /// There may be other instances.
    shared: bool,
    claim: Option<Claim>,
}

struct Claim {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

struct Claiming {
    lease: JobLease,
    store: Store,
    clock: Arc<dyn Clock>,
    leads: Arc<AtomicBool>,
    /// Told once, not at every look.
    failing: bool,
}

impl Jobs {
    /// The one server of an installation does them.
    pub fn always() -> Self {
        Self { leads: Arc::new(AtomicBool::new(true)), shared: false, claim: None }
    }

    /// An instance that does not project leaves them to others.
    pub fn never() -> Self {
        Self { leads: Arc::default(), shared: true, claim: None }
    }

    /// One of several instances does them while it has the lease.
    pub fn leased(open: &Installation, version: &str) -> std::io::Result<Self> {
        let leads = Arc::<AtomicBool>::default();
        let mut claiming = Claiming {
            lease: JobLease::new(LEASE, &open.holder, version),
            store: open.store.clone(),
            clock: Arc::clone(&open.clock),
            leads: Arc::clone(&leads),
            failing: false,
        };
        let (stop, stopped) = mpsc::channel();
        let work = move || {
            loop {
                claiming.look();
                if !matches!(stopped.recv_timeout(TICK), Err(RecvTimeoutError::Timeout)) {
                    return claiming.give_back();
                }
            }
        };
        let thread = std::thread::Builder::new().name("jobs".into()).spawn(work)?;
        Ok(Self { leads, shared: true, claim: Some(Claim { stop, thread }) })
    }

    /// Holds while this process does them.
    pub fn leads(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.leads)
    }

    /// Whether there may be other instances.
    pub fn are_shared(&self) -> bool {
        self.shared
    }

    /// Gives them to another instance. Called when they have ended here.
    pub fn finish(self) {
        if let Some(Claim { stop, thread }) = self.claim {
            // Where the thread has crashed the lease ends by itself.
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

impl Claiming {
    fn look(&mut self) {
        let held = self.lease.hold(&self.store, self.clock.now());
        let leads = match &held {
            Ok(held) => *held,
            Err(error) => {
                if !self.failing {
                    tracing::warn!(%error, "the lease of the single jobs cannot be looked at; it is tried again");
                }
                false
            }
        };
        self.failing = held.is_err();
        if self.leads.swap(leads, Ordering::SeqCst) != leads {
            let does =
                if leads { "this instance projects from now on" } else { "another instance projects from now on" };
            tracing::info!("{does}");
        }
        // Whoever projects tells its own log; ours has to be told what may be cleared away.
        if let Ok(seq) = self.store.read_here(&Scope::all(), projected_seq) {
            self.store.log().projected(seq);
        }
    }

    fn give_back(&self) {
        if self.leads.swap(false, Ordering::SeqCst)
            && let Err(error) = self.lease.release(&self.store, self.clock.now())
        {
            tracing::debug!(%error, "the lease was not given back; it ends by itself");
        }
    }
}
