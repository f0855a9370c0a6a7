//! The wiring of `serve` and `engage`: listener, intake, projector, web shell, and how they stop.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use prometheus::Registry;
use signalbox_access::oidc::Oidc;
use signalbox_access::passkeys::Passkeys;
use signalbox_access::sign_in::{Access, Ways};
use signalbox_audit::checkpoint::Checkpointer;
use signalbox_core::address::TrustedProxies;
use signalbox_events::agent::{NETWORKS, NetworkKind};
use signalbox_http::Transport;
use signalbox_http::caller::Authenticator;
use signalbox_http::connection::{Arrival, Connections};
use signalbox_http::limit::{Limiter, Rates};
use signalbox_http::route::Row;
use signalbox_http::shell::Shell;
use signalbox_insight::api::Insight;
use signalbox_insight::live::Live;
use signalbox_insight::projector::{Projector, ProjectorMetrics, ProjectorThread, RunningSettings};
use signalbox_insight::report::projected_seq;
use signalbox_store::{EngineName, Scope};
use signalbox_telemetry::metrics::Process;
use signalbox_tracking::counters::Counters;
use signalbox_tracking::front::{Front, FrontSettings, HandOver};
use signalbox_tracking::hit::{Gate, Keys};
use signalbox_tracking::http::Tracking;
use signalbox_tracking::intake::{Bounds, Intake, IntakeFaults, IntakeThread};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::health::Health;
use crate::installation::Installation;
use crate::jobs::Jobs;
use crate::routes::{self, Parts};
use crate::secure::Secure;
use crate::settings::Settings;
use crate::{keyfile, web};

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

/// What makes `serve` and an instance of `engage` differ.
#[derive(Debug, Clone, Default)]
pub struct Part {
    pub faults: IntakeFaults,
    /// One of several instances behind an edge, of this version. Without it, the one server of an installation.
    pub instance: Option<String>,
}

/// A running server.
pub struct Server {
    installation: Arc<Installation>,
    address: SocketAddr,
    tls_address: Option<SocketAddr>,
    front: Front,
    intake: IntakeThread,
    projector: Option<ProjectorThread>,
    audit: Checkpointer,
    jobs: Jobs,
    version: Arc<str>,
    runtime: tokio::runtime::Runtime,
    /// Where the front sends connections that ask for something else than a hit; dropping it ends the shell's task.
    shell: ShellTask,
    /// Ended at the stop: their watchers would not go by themselves.
    streams: Live,
    /// Every route and who may use it.
    table: Vec<Row>,
}

struct ShellTask {
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Starts everything on `listener`.
    pub fn start(installation: Installation, listener: TcpListener, part: Part) -> anyhow::Result<Self> {
        let installation = Arc::new(installation);
        let settings = &installation.settings;
        let address = listener.local_addr()?;
        let version: Arc<str> = part.instance.as_deref().unwrap_or(env!("CARGO_PKG_VERSION")).into();
        let registry = Registry::new();
        let counters = Counters::new(&registry)?;
        let keys = Keys::new(installation.keyring()?);
        let secure = Secure::start(settings, &installation.clock, &registry)?;
        let rates = Rates { hit: settings.limits.hits_per_second, api: settings.limits.api_per_second };
        let proxies = NETWORKS
            .iter()
            .filter(|network| network.kind == NetworkKind::MailProxy)
            .filter_map(|network| network.cidr.parse().ok());
        let exempt = settings.limits.exempt.iter().copied().chain(proxies).collect();
        let limiter = Arc::new(Limiter::new(settings.limits.enabled.then_some(rates), exempt));
        // Behind an edge that a controller of the same folder programs, its pages are at the same address.
        if !settings.server.trusted_proxies.is_empty() && settings.server.data.join("control/token").exists() {
            signalbox_http::page::announce_releases();
        }
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
        let started = installation.clock.now().0 as f64 / 1e6;
        let metrics = Process::register(&registry, &version, started)?;
        let jobs = match &part.instance {
            None => Jobs::always(),
            Some(version) if settings.projector.enabled => Jobs::leased(&installation, version)?,
            Some(_) => Jobs::never(),
        };
        let (projector, failing) = start_projector(&installation, &counters, &registry, jobs.leads())?;
        let wake = projector.as_ref().map(ProjectorThread::waker);
        let after_commit = move || wake.iter().for_each(|wake| wake());
        let intake_thread = IntakeThread::start(&intake, writer, version.to_string(), part.faults, after_commit)?;
        installation.store.spawn_checkpointer()?;
        let audit = crate::audit::start_checkpointer(&installation, jobs.leads())?;

        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let without_tls = || Transport { hsts_seconds: settings.tls.hsts.0.as_secs(), ..Transport::default() };
        let shell = Shell {
            proxies: Arc::clone(&gate.proxies),
            limiter: Arc::clone(&gate.limiter),
            clock: Arc::clone(&gate.clock),
            ids: Arc::clone(&gate.ids),
            transport: Arc::new(secure.as_ref().map_or_else(without_tls, |secure| secure.transport(settings))),
        };
        let live = {
            let _inside = runtime.enter();
            Live::start(installation.store.clone())
        };
        let ring = {
            let keys = keys.clone();
            Arc::new(move || keys.get())
        };
        let mut access = Access::new(
            &installation.store,
            Arc::clone(&installation.clock),
            Arc::clone(&installation.ids),
            settings.access.rules(),
            ring,
        );
        let (oidc, passkeys) = ways_to_sign_in(&mut access, settings, address)?;
        let authenticator: Arc<dyn Authenticator> = Arc::new(access.clone());
        let streams = live.clone();
        let default_principal = installation.default_principal()?;
        let unrecorded = Arc::clone(&counters);
        let (router, table) = routes::build(Parts {
            authenticator,
            access,
            oidc,
            passkeys,
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
                unrecorded: Arc::new(move || unrecorded.unrecorded_total()),
            },
            process: web::Process {
                settings: Arc::new(settings.shown.clone()),
                engine: match installation.store.engine() {
                    EngineName::Sqlite => "SQLite",
                    EngineName::Postgres => "PostgreSQL",
                },
            },
            health: Health {
                version: Arc::clone(&version),
                store: installation.store.clone(),
                intake: intake.clone(),
                queue_events: settings.intake.queue_events,
                projector_failing: failing,
                data: installation.data().into(),
                clock: Arc::clone(&installation.clock),
                last_seen: Arc::default(),
            },
            registry,
            metrics,
            health_path: settings.server.health_path.clone(),
            metrics_path: settings.server.metrics_path.clone(),
            challenges: secure.as_ref().and_then(|secure| secure.challenges.clone()),
        });
        let router = shell.wrap(router);
        let connections = Connections::new(
            settings.server.connections,
            Arc::clone(&gate.proxies),
            signalbox_tracking::front::unreadable,
        );
        // What waits here has not been counted yet.
        let (sender, receiver) = mpsc::channel(settings.server.connections);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let tls_address = secure.as_ref().map(Secure::address);
        let tls = secure.map(|secure| {
            runtime.spawn(secure.run(Arc::clone(&connections), Arc::clone(&installation.clock), router.clone()))
        });
        let task = runtime.spawn(run_shell(receiver, stopped, router, connections, tls));
        runtime.spawn(housekeeping(Arc::downgrade(&installation), keys));

        let front_settings = FrontSettings {
            threads: settings.intake.threads,
            connections: settings.intake.connections,
            patience: settings.intake.patience.0,
        };
        let front = Front::start(&listener, front_settings, &gate, &intake, &counters, move |connection| {
            if let Err(refused) = sender.try_send(connection) {
                refuse(&refused.into_inner().stream);
            }
        })?;
        Ok(Self {
            installation,
            address,
            tls_address,
            front,
            intake: intake_thread,
            projector,
            audit,
            jobs,
            version,
            runtime,
            shell: ShellTask { stop, task },
            streams,
            table,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for TLS, if it does.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls_address
    }

    /// Every route and who may use it.
    pub fn table(&self) -> &[Row] {
        &self.table
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
        // Caught before anybody is told that it listens: whoever stops it then gets a stop in order.
        let (mut terminate, mut interrupt) = {
            let _inside = self.runtime.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        if let Some(address) = self.tls_address() {
            crate::output::line(&format!("signalbox {} serving https://{address}", self.version))?;
        }
        crate::output::line(&format!("signalbox {} listening on http://{}", self.version, self.address()))?;
        // Each instance would end the link of the one before.
        let is_alone = !self.jobs.are_shared();
        if is_alone && let Some(path) = self.installation.set_up_link()? {
            let link = self.installation.link_at(self.address(), &path);
            crate::output::line(&format!("nobody can sign in yet; make the owner here, within 24 hours:\n  {link}"))?;
        }
        self.runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => (),
                _ = interrupt.recv() => (),
            }
        });
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
        self.audit.finish();
        self.jobs.finish();
        self.runtime.shutdown_timeout(Duration::from_secs(1));
        drop(self.installation);
        tracing::info!(duration_ms = started.elapsed().as_millis() as u64, "stopped");
    }
}

/// What there is beside the password, and what the sign-in page says of it.
fn ways_to_sign_in(access: &mut Access, settings: &Settings, address: SocketAddr) -> anyhow::Result<(Oidc, Passkeys)> {
    let url = match settings.server.public_url.as_str() {
        // Only browsers on this machine reach it, and they call it so.
        "" if address.ip().is_loopback() => format!("http://localhost:{}", address.port()),
        url => url.to_owned(),
    };
    let oidc = Oidc::new(access, &settings.access.oidc, &url).map_err(anyhow::Error::msg)?;
    let passkeys = Passkeys::new(access, &url);
    access.ways = Arc::new(Ways { providers: oidc.buttons(), passkeys: passkeys.are_possible() });
    Ok((oidc, passkeys))
}

fn start_projector(
    installation: &Installation,
    counters: &Arc<Counters>,
    registry: &Registry,
    leads: Arc<AtomicBool>,
) -> anyhow::Result<(Option<ProjectorThread>, Option<Arc<AtomicI64>>)> {
    let settings = &installation.settings.projector;
    if !settings.enabled {
        return Ok((None, None));
    }
    let projector =
        Projector::new(&installation.store, Arc::clone(&installation.ids), Arc::clone(&installation.clock))?;
    let recorded = counters.recorded.clone();
    let failing = Arc::new(AtomicI64::new(0));
    let running = RunningSettings {
        yield_above: settings.yield_above,
        recorded: Box::new(move || recorded.get()),
        failing_since: Arc::clone(&failing),
        leads,
    };
    let metrics = ProjectorMetrics::new(registry)?;
    Ok((Some(ProjectorThread::start(projector, running, metrics)?), Some(failing)))
}

/// Serves what the front hands over, until told to stop; then lets requests in flight finish.
async fn run_shell(
    mut handed_over: mpsc::Receiver<HandOver>,
    mut stopped: tokio::sync::oneshot::Receiver<()>,
    router: axum::Router,
    connections: Arc<Connections>,
    tls: Option<tokio::task::JoinHandle<()>>,
) {
    loop {
        let HandOver { stream, peer, head } = tokio::select! {
            connection = handed_over.recv() => match connection {
                Some(connection) => connection,
                None => break,
            },
            _ = &mut stopped => break,
        };
        let Some(seat) = connections.enter(peer.ip()) else {
            refuse(&stream);
            continue;
        };
        let arrival = Arrival { peer, encrypted: false, http2: false };
        match tokio::net::TcpStream::from_std(stream) {
            Ok(stream) => connections.serve(seat, stream, arrival, head, router.clone()),
            Err(error) => tracing::debug!(%error, "a connection could not be taken over"),
        }
    }
    if let Some(tls) = tls {
        tls.abort();
    }
    if !connections.finish(GRACE).await {
        tracing::warn!("some requests did not finish in time");
    }
}

/// Tells a client for whom there is no place, as far as its socket takes it at once.
fn refuse(mut stream: &std::net::TcpStream) {
    use std::io::Write as _;
    let answer =
        b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let _ = stream.write(answer);
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
