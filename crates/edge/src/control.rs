//! What the admin interface does: new routes to every thread, counts from every thread, draining.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, oneshot, watch};

use crate::admin::Client;
use crate::admin::wire::{
    Applied, ArmCounted, Counted, Drain, Drained, GenerationState, Health, Receipt, State, Stats,
};
use crate::disk::{Disk, add};
use crate::error::EdgeError;
use crate::routes::{Plan, Routes, RoutesError};
use crate::settings::EdgeSettings;
use crate::stats::{ArmKey, Counter, Ledger, UNROUTED};
use crate::table::{Told, ToldArm};
use crate::worker::{Order, Shared};

/// A generation that drains must answer within this; it is asked on the way of a rollback.
const PREDECESSOR: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) settings: EdgeSettings,
    pub(crate) shared: Arc<Shared>,
    pub(crate) disk: Disk,
    pub(crate) generation: u64,
    pub(crate) listeners: Mutex<Vec<(TcpListener, bool)>>,
    routes: AsyncMutex<Routes>,
    epoch: AtomicU64,
    ledger: Mutex<Ledger>,
    /// Another edge has taken over.
    pub(crate) superseded: AtomicBool,
    pub(crate) finishing: watch::Sender<bool>,
    log_dropped: Arc<Counter>,
}

/// Why routes are not in force.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    #[error("epoch {wanted} is not above {present}")]
    Old { wanted: u64, present: u64 },
    #[error(transparent)]
    Routes(#[from] RoutesError),
    #[error("a new edge takes over; ask again")]
    HandedOver,
    #[error("the edge ends")]
    Ended,
}

impl Control {
    pub(crate) fn new(
        settings: EdgeSettings,
        shared: Arc<Shared>,
        disk: Disk,
        generation: u64,
        plan: &Plan,
        ledger: Ledger,
        log_dropped: Arc<Counter>,
    ) -> Arc<Self> {
        Arc::new(Self {
            settings,
            shared,
            disk,
            generation,
            listeners: Mutex::default(),
            epoch: AtomicU64::new(plan.routes.epoch),
            routes: AsyncMutex::new(plan.routes.clone()),
            ledger: Mutex::new(ledger),
            superseded: AtomicBool::new(false),
            finishing: watch::Sender::new(false),
            log_dropped,
        })
    }

    pub(crate) fn finish(&self) {
        self.finishing.send_replace(true);
    }

    pub(crate) fn health(&self) -> Health {
        Health {
            generation: self.generation,
            epoch: self.epoch.load(Ordering::SeqCst),
            connections: self.shared.seats.count() as u64,
            finishing: *self.finishing.borrow(),
            process_id: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    pub(crate) async fn routes(&self) -> Routes {
        self.routes.lock().await.clone()
    }

    /// Puts routes into force: first on every thread, then in the generations that drain, then on disk. A full disk must
    /// not stand in the way of a rollback.
    /// Once another edge has taken over, only that one is obeyed: it knows the newest.
    pub(crate) async fn apply(&self, wanted: Routes, from_successor: bool) -> Result<Applied, ApplyError> {
        let mut present = self.routes.lock().await;
        if self.superseded.load(Ordering::SeqCst) && !from_successor {
            return Err(ApplyError::HandedOver);
        }
        let same = *present == wanted;
        if wanted.epoch < present.epoch || (wanted.epoch == present.epoch && !same) {
            return Err(ApplyError::Old { wanted: wanted.epoch, present: present.epoch });
        }
        let planning = tokio::task::spawn_blocking(move || wanted.plan());
        let plan = planning.await.map_err(|_| ApplyError::Ended)??;
        let told = tell(&plan, &mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner));
        let mut waiting = Vec::new();
        for (thread, told) in self.shared.threads.iter().zip(told) {
            let (done, acknowledged) = oneshot::channel();
            thread.send(Order::Routes(Box::new(told), done)).map_err(|_| ApplyError::Ended)?;
            waiting.push(acknowledged);
        }
        let mut threads = 0;
        for acknowledged in waiting {
            acknowledged.await.map_err(|_| ApplyError::Ended)?;
            threads += 1;
        }
        let routes = plan.routes;
        self.epoch.store(routes.epoch, Ordering::SeqCst);
        *present = routes.clone();
        let (mut note, mut stored) = (String::new(), false);
        if !self.superseded.load(Ordering::SeqCst) {
            for (_, socket) in self.predecessors() {
                match Client::new(&socket).with_patience(PREDECESSOR).for_successor().put_routes(&routes).await {
                    Ok(applied) => threads += applied.threads,
                    // It has ended since, or another call was faster.
                    Err(error) => tracing::debug!(%error, "a draining edge took no routes"),
                }
            }
            let (disk, routes) = (self.disk.clone(), routes.clone());
            match tokio::task::spawn_blocking(move || disk.store_routes(&routes)).await {
                Ok(Ok(())) => stored = true,
                Ok(Err(error)) => note = error.to_string(),
                Err(error) => note = error.to_string(),
            }
            if !stored {
                tracing::error!(error = note, "the routes are in force and not on disk");
            }
        }
        tracing::info!(edge.epoch = routes.epoch, "new routes are in force on every thread");
        Ok(Applied { epoch: routes.epoch, threads, stored, note })
    }

    /// Admin sockets of older generations.
    fn predecessors(&self) -> Vec<(u64, PathBuf)> {
        let entries = std::fs::read_dir(&self.settings.folder).into_iter().flatten().flatten();
        let mut sockets: Vec<_> = entries
            .filter_map(|entry| {
                let name = entry.file_name();
                let generation = name.to_str()?.strip_prefix("edge-")?.strip_suffix(".sock")?.parse().ok()?;
                (generation != self.generation).then(|| (generation, entry.path()))
            })
            .collect();
        sockets.sort_unstable();
        sockets
    }

    async fn living_predecessors(&self) -> Vec<Stats> {
        let mut living = Vec::new();
        for (_, socket) in self.predecessors() {
            match Client::new(&socket).with_patience(PREDECESSOR).stats().await {
                Ok(stats) => living.push(stats),
                Err(crate::admin::AdminError::Unreachable { source, .. })
                    if source.kind() == std::io::ErrorKind::ConnectionRefused =>
                {
                    // It was killed; nobody else takes its socket away.
                    let _ = std::fs::remove_file(&socket);
                }
                Err(_) => (),
            }
        }
        living
    }

    pub(crate) async fn stats(&self) -> Stats {
        let superseded = self.superseded.load(Ordering::SeqCst);
        let predecessors = if superseded { Vec::new() } else { self.living_predecessors().await };
        Stats {
            generation: self.generation,
            epoch: self.epoch.load(Ordering::SeqCst),
            connections: self.shared.seats.count() as u64,
            shed_connections: self.shared.seats.shed.load(Ordering::Relaxed) as u64,
            refused_requests: self.shared.refused.get(),
            failed_handshakes: self.shared.failed_handshakes.get(),
            mirrored: self.shared.mirrored.get(),
            mirror_dropped: self.shared.mirror_dropped.get(),
            access_log_dropped: self.log_dropped.get(),
            arms: self.arms(),
            predecessors,
        }
    }

    fn arms(&self) -> Vec<ArmCounted> {
        let counts = self.ledger.lock().unwrap_or_else(PoisonError::into_inner).counts();
        let arm = |(key, counts): (ArmKey, _)| ArmCounted { name: key.name, version: key.version, counts };
        counts.into_iter().map(arm).collect()
    }

    /// What this generation has counted so far, for the disk.
    pub(crate) fn counted(&self, is_final: bool) -> Counted {
        Counted { generation: self.generation, is_final, merged: Vec::new(), arms: self.arms() }
    }

    pub(crate) async fn receipt(&self) -> Result<Receipt, EdgeError> {
        let living = self.living_predecessors().await;
        let mut generations = Vec::new();
        let mut arms = self.arms();
        for counted in self.disk.receipts()? {
            if counted.generation == self.generation {
                continue;
            }
            let alive = living.iter().find(|stats| stats.generation == counted.generation);
            let state = match alive {
                Some(_) => State::Draining,
                None if counted.is_final => State::Ended,
                None => State::Lost,
            };
            arms = add(&arms, alive.map_or(&counted.arms, |stats| &stats.arms));
            generations.push(GenerationState { generation: counted.generation, state });
        }
        generations.push(GenerationState { generation: self.generation, state: State::Serving });
        Ok(Receipt { balances: arms.iter().all(|arm| arm.counts.balances()), arms, generations })
    }

    /// Closes what is open for long on an arm that gets nothing new. The error is for people.
    pub(crate) async fn drain(&self, drain: &Drain) -> Result<Drained, String> {
        let weighted = |arm: &&crate::routes::Arm| arm.name == drain.arm && arm.weight > 0;
        if self.routes.lock().await.arms.iter().any(|arm| weighted(&arm)) {
            return Err(format!("arm {:?} has weight: set it to 0 first", drain.arm));
        }
        let stats = self.ledger.lock().unwrap_or_else(PoisonError::into_inner).named(&drain.arm);
        if stats.is_empty() {
            return Err(format!("there was never an arm {:?}", drain.arm));
        }
        let closing = self.close_streams(Some(stats.clone()), Duration::from_millis(drain.within_ms)).await;
        let mut drained = Drained { open: 0, open_upgrades: 0, open_streams: 0, closing };
        for counts in stats.iter().map(|stats| stats.snapshot()) {
            drained.open += counts.open;
            drained.open_upgrades += counts.open_upgrades;
            drained.open_streams += counts.open_streams;
        }
        if !self.superseded.load(Ordering::SeqCst) {
            for (_, socket) in self.predecessors() {
                let client = Client::new(&socket).with_patience(PREDECESSOR);
                if let Ok(other) = client.drain(drain).await {
                    drained.open += other.open;
                    drained.open_upgrades += other.open_upgrades;
                    drained.open_streams += other.open_streams;
                    drained.closing += other.closing;
                }
            }
        }
        Ok(drained)
    }

    pub(crate) async fn close_streams(&self, of: Option<Vec<Arc<crate::stats::ArmStats>>>, within: Duration) -> u64 {
        let mut closing = 0;
        for thread in &self.shared.threads {
            let (answer, count) = oneshot::channel();
            if thread.send(Order::CloseStreams { of: of.clone(), within, answer }).is_ok() {
                closing += count.await.unwrap_or(0) as u64;
            }
        }
        closing
    }
}

/// What each thread is told of a plan.
pub(crate) fn tell(plan: &Plan, ledger: &mut Ledger) -> Vec<Told> {
    let routes = &plan.routes;
    let key = |name: &str, version: &str| ArmKey { name: name.to_owned(), version: version.to_owned() };
    let unrouted = ledger.of(key(UNROUTED, ""));
    let counters: Vec<_> = routes.arms.iter().map(|arm| ledger.of(key(&arm.name, &arm.version))).collect();
    let told = |thread: usize, unrouted: Arc<crate::stats::ArmStats>| Told {
        arms: routes
            .arms
            .iter()
            .zip(&plan.addresses)
            .zip(&counters)
            .map(|((arm, addresses), counters)| ToldArm {
                name: arm.name.clone(),
                version: arm.version.clone(),
                weight: arm.weight,
                timeouts: arm.timeouts,
                addresses: addresses.clone(),
                stats: Arc::clone(&counters[thread]),
            })
            .collect(),
        paths: routes.paths.clone(),
        sticky: routes.sticky.clone(),
        mirror: routes.mirror.clone().map(|mirror| (mirror, plan.mirror.clone())),
        unrouted,
    };
    unrouted.into_iter().enumerate().map(|(thread, unrouted)| told(thread, unrouted)).collect()
}
