//! The wiring of `serve`: listener, intake, projector, web shell, and how they stop.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hyper_util::server::graceful::GracefulShutdown;
use prometheus::{IntGauge, Registry};
use signalbox_access::tokens::Tokens;
use signalbox_core::address::TrustedProxies;
use signalbox_events::agent::{NETWORKS, NetworkKind};
use signalbox_http::caller::Authenticator;
use signalbox_http::limit::{Limiter, Rates};
use signalbox_http::shell::{self, Shell};
use signalbox_insight::api::Insight;
use signalbox_insight::live::Live;
use signalbox_insight::projector::{Projector, ProjectorMetrics, ProjectorThread, RunningSettings};
use signalbox_insight::report::projected_seq;
use signalbox_store::Scope;
use signalbox_tracking::counters::Counters;
use signalbox_tracking::front::{Front, FrontSettings, HandOver};
use signalbox_tracking::hit::{Gate, Keys};
use signalbox_tracking::http::Tracking;
use signalbox_tracking::intake::{Bounds, Intake, IntakeFaults, IntakeThread};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::health::Health;
use crate::installation::Installation;
use crate::routes::{self, Parts};
use crate::sign_in::SignIn;
use crate::{keyfile, metrics};

/// Requests that are in flight at SIGTERM have this long.
const GRACE: Duration = Duration::from_secs(10);

/// Binds `address`; the error says what to do.
pub fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    use socket2::{Domain, Socket, Type};
    let bound = (|| {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(4096)?;
        Ok::<_, std::io::Error>(socket.into())
    })();
    bound.with_context(|| format!("{address} cannot be used; another program may hold it: choose one with --listen"))
}

/// A running server.
pub struct Server {
    installation: Arc<Installation>,
    address: SocketAddr,
    front: Front,
    intake: IntakeThread,
    projector: Option<ProjectorThread>,
    runtime: tokio::runtime::Runtime,
    /// Where the front sends connections that ask for something else than a hit; dropping it ends the shell's task.
    shell: ShellTask,
    /// Ended at the stop: their watchers would not go by themselves.
    streams: Live,
}

struct ShellTask {
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Starts everything on `listener`.
    pub fn start(
        installation: Installation,
        listener: TcpListener,
        faults: IntakeFaults,
        sign_in_by_link: bool,
    ) -> anyhow::Result<Self> {
        let installation = Arc::new(installation);
        let settings = &installation.settings;
        let address = listener.local_addr()?;
        let registry = Registry::new();
        let counters = Counters::new(&registry)?;
        let keys = Keys::new(installation.keyring()?);
        let rates = Rates { hit: settings.limits.hits_per_second, api: settings.limits.api_per_second };
        let proxies = NETWORKS
            .iter()
            .filter(|network| network.kind == NetworkKind::MailProxy)
            .filter_map(|network| network.cidr.parse().ok());
        let exempt = settings.limits.exempt.iter().copied().chain(proxies).collect();
        let limiter = Arc::new(Limiter::new(settings.limits.enabled.then_some(rates), exempt));
        let gate = Gate {
            keys: keys.clone(),
            ids: Arc::clone(&installation.ids),
            clock: Arc::clone(&installation.clock),
            proxies: Arc::new(TrustedProxies::new(settings.server.trusted_proxies.clone())),
            limiter,
        };
        let bounds =
            Bounds { events: settings.intake.queue_events, bytes: usize::try_from(settings.intake.queue_bytes.0)? };
        let intake = Intake::new(bounds, Arc::clone(&counters));
        let cursor = installation.store.read_here(&Scope::all(), projected_seq)?;
        let writer = installation.store.log().writer(cursor)?;
        let memory = metrics::describe_process(&registry, installation.clock.now().0 as f64 / 1e6)?;
        let (projector, failing) = start_projector(&installation, &counters, &registry)?;
        let wake = projector.as_ref().map(ProjectorThread::waker);
        let after_commit = move || wake.iter().for_each(|wake| wake());
        let intake_thread = IntakeThread::start(&intake, writer, env!("CARGO_PKG_VERSION"), faults, after_commit)?;
        installation.store.spawn_checkpointer()?;

        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let shell = Shell {
            proxies: Arc::clone(&gate.proxies),
            limiter: Arc::clone(&gate.limiter),
            clock: Arc::clone(&gate.clock),
            ids: Arc::clone(&gate.ids),
        };
        let live = {
            let _inside = runtime.enter();
            Live::start(installation.store.clone())
        };
        let authenticator: Arc<dyn Authenticator> =
            Arc::new(SignIn { tokens: Tokens::new(installation.store.clone()), keys: keys.clone() });
        let streams = live.clone();
        let default_principal = installation.default_principal()?;
        let unrecorded = Arc::clone(&counters);
        let (router, _) = routes::build(Parts {
            authenticator: Arc::clone(&authenticator),
            clock: Arc::clone(&installation.clock),
            tracking: Tracking {
                gate: gate.clone(),
                intake: intake.clone(),
                counters: Arc::clone(&counters),
                store: installation.store.clone(),
                default_principal,
                patience: settings.intake.patience.0,
                batch_events: settings.intake.batch_events,
                batch_bytes: usize::try_from(settings.intake.batch_bytes.0)?,
                bodies: signalbox_tracking::http::body_room(),
            },
            insight: Insight {
                store: installation.store.clone(),
                clock: Arc::clone(&installation.clock),
                live,
                authenticator,
                unrecorded: Arc::new(move || unrecorded.unrecorded_total()),
                sign_in_by_link,
            },
            health: Health {
                store: installation.store.clone(),
                intake: intake.clone(),
                queue_events: settings.intake.queue_events,
                projector_failing: failing,
                data: installation.data().into(),
                clock: Arc::clone(&installation.clock),
                last_seen: Arc::default(),
            },
            registry,
            memory,
            health_path: settings.server.health_path.clone(),
            metrics_path: settings.server.metrics_path.clone(),
        });
        let router = shell.wrap(router);
        let (sender, receiver) = mpsc::unbounded_channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let task = runtime.spawn(run_shell(receiver, stopped, router));
        runtime.spawn(housekeeping(Arc::downgrade(&installation), keys));

        let front_settings = FrontSettings {
            threads: settings.intake.threads,
            connections: settings.intake.connections,
            patience: settings.intake.patience.0,
        };
        let front = Front::start(&listener, front_settings, &gate, &intake, &counters, move |connection| {
            drop(sender.send(connection))
        })?;
        Ok(Self {
            installation,
            address,
            front,
            intake: intake_thread,
            projector,
            runtime,
            shell: ShellTask { stop, task },
            streams,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it serves.
    pub fn installation(&self) -> &Arc<Installation> {
        &self.installation
    }

    /// A flag that SIGTERM and SIGINT raise.
    pub fn interrupted(&self) -> anyhow::Result<Arc<AtomicBool>> {
        let flag = Arc::new(AtomicBool::new(false));
        let raised = Arc::clone(&flag);
        let _inside = self.runtime.enter();
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        self.runtime.spawn(async move {
            tokio::select! {
                _ = terminate.recv() => (),
                _ = interrupt.recv() => (),
            }
            raised.store(true, Ordering::SeqCst);
        });
        Ok(flag)
    }

    /// Serves until SIGTERM or SIGINT, then stops in order.
    pub fn run_until_stopped(self) -> anyhow::Result<()> {
        crate::output::line(&format!(
            "signalbox {} listening on http://{}",
            env!("CARGO_PKG_VERSION"),
            self.address()
        ))?;
        self.runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            tokio::select! {
                _ = terminate.recv() => (),
                _ = interrupt.recv() => (),
            }
            Ok::<_, std::io::Error>(())
        })?;
        self.stop();
        Ok(())
    }

    /// Answers what is in flight, commits what waits, ends.
    pub fn stop(self) {
        let started = Instant::now();
        self.front.finish();
        self.streams.end();
        let _ = self.shell.stop.send(());
        let _ = self.runtime.block_on(self.shell.task);
        self.intake.finish();
        drop(self.projector);
        self.runtime.shutdown_timeout(Duration::from_secs(1));
        drop(self.installation);
        tracing::info!(duration_ms = started.elapsed().as_millis() as u64, "stopped");
    }
}

fn start_projector(
    installation: &Installation,
    counters: &Arc<Counters>,
    registry: &Registry,
) -> anyhow::Result<(Option<ProjectorThread>, Option<IntGauge>)> {
    let settings = &installation.settings.projector;
    if !settings.enabled {
        return Ok((None, None));
    }
    let projector =
        Projector::new(&installation.store, Arc::clone(&installation.ids), Arc::clone(&installation.clock))?;
    let recorded = counters.recorded.clone();
    let running = RunningSettings { yield_above: settings.yield_above, recorded: Box::new(move || recorded.get()) };
    let metrics = ProjectorMetrics::new(registry)?;
    let failing = metrics.failing.clone();
    Ok((Some(ProjectorThread::start(projector, running, metrics)?), Some(failing)))
}

/// Serves what the front hands over, until told to stop; then lets requests in flight finish.
async fn run_shell(
    mut connections: mpsc::UnboundedReceiver<HandOver>,
    mut stopped: tokio::sync::oneshot::Receiver<()>,
    router: axum::Router,
) {
    let graceful = GracefulShutdown::new();
    let busy = Arc::new(AtomicUsize::new(0));
    loop {
        let HandOver { stream, peer, head } = tokio::select! {
            connection = connections.recv() => match connection {
                Some(connection) => connection,
                None => break,
            },
            _ = &mut stopped => break,
        };
        match tokio::net::TcpStream::from_std(stream) {
            Ok(stream) => shell::serve(stream, peer, head, router.clone(), &graceful, &busy).await,
            Err(error) => tracing::debug!(%error, "a connection could not be taken over"),
        }
    }
    // A client in the middle of asking need not be waited for, only one that is being answered.
    let quiet = async {
        let mut calm = 0;
        while calm < 5 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            calm = if busy.load(Ordering::SeqCst) == 0 { calm + 1 } else { 0 };
        }
    };
    tokio::select! {
        () = graceful.shutdown() => (),
        () = quiet => (),
        () = tokio::time::sleep(GRACE) => tracing::warn!("some requests did not finish in time"),
    }
}

/// Takes over rotated keys and keeps the node lease.
async fn housekeeping(installation: std::sync::Weak<Installation>, keys: Keys) {
    let changed = |data: &std::path::Path| std::fs::metadata(keyfile::path(data)).and_then(|meta| meta.modified()).ok();
    let mut seen = installation.upgrade().and_then(|open| changed(open.data()));
    let mut ticks = 0_u32;
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        let Some(open) = installation.upgrade() else { return };
        let now_seen = changed(open.data());
        if now_seen != seen {
            match keyfile::load(open.data()) {
                Ok(ring) => {
                    keys.replace(ring);
                    tracing::info!("the key file changed and was taken over");
                }
                Err(error) => tracing::error!(
                    error = format!("{error:#}"),
                    "the key file changed and is not readable; the old keys go on"
                ),
            }
            seen = now_seen;
        }
        ticks += 1;
        if ticks.is_multiple_of(120) {
            let _ = tokio::task::spawn_blocking(move || open.renew_lease()).await;
        }
    }
}
