//! A generation of the edge, from its start to its last count.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use signalbox_core::address::TrustedProxies;
use signalbox_core::clock::Clock;
use signalbox_tls::TlsMetrics;
use signalbox_tls::current::Current;
use signalbox_tls::watch::Files;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::access_log::Writer;
use crate::admin::{self, Client};
use crate::control::{Control, tell};
use crate::disk::Disk;
use crate::error::EdgeError;
use crate::handover::{self, Legacy, Taken};
use crate::routes::Routes;
use crate::seats::Seats;
use crate::settings::EdgeSettings;
use crate::stats::{Counter, Ledger};
use crate::worker::{self, Order, Shared};

const BACKLOG: i32 = 4096;
/// How often the counts are written down for the case that this process is killed.
const NOTE_DOWN: Duration = Duration::from_secs(2);

/// How it starts.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// Take the listeners and routes of the edge that runs.
    pub upgrade: bool,
    /// Begin with these instead of those on disk.
    pub routes: Option<Routes>,
}

/// Where it listens.
#[derive(Debug, Clone, Copy)]
pub struct Listening {
    pub plain: Option<SocketAddr>,
    pub encrypted: Option<SocketAddr>,
    pub generation: u64,
}

/// Runs an edge until it is told to end and has drained. `ready` is called once it accepts connections.
pub fn run(
    settings: EdgeSettings,
    start: Start,
    clock: Arc<dyn Clock>,
    ready: impl FnOnce(Listening),
) -> Result<(), EdgeError> {
    raise_open_files();
    let disk = Disk::open(&settings.folder)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("edge-admin").enable_all().build()?;
    runtime.block_on(generation(settings, start, clock, disk, ready))
}

async fn generation(
    settings: EdgeSettings,
    start: Start,
    clock: Arc<dyn Clock>,
    disk: Disk,
    ready: impl FnOnce(Listening),
) -> Result<(), EdgeError> {
    let running = Client::new(&settings.admin_socket()).with_patience(Duration::from_secs(2)).health().await;
    let taken = match (start.upgrade, running) {
        (false, Ok(_)) => return Err(EdgeError::Running(settings.folder)),
        (false, Err(_)) => None,
        (true, _) => {
            let path = settings.handover_socket();
            let taking = tokio::task::spawn_blocking(move || handover::take(&path)).await;
            let taken = taking.map_err(io::Error::other)?;
            Some(taken.map_err(|source| EdgeError::NothingToTakeOver { path: settings.folder.clone(), source })?)
        }
    };
    let routes = match (&taken, start.routes) {
        (_, Some(routes)) => routes,
        (Some(taken), None) => taken.legacy.routes.clone(),
        (None, None) => disk.routes()?.unwrap_or_else(Routes::none),
    };
    let plan = tokio::task::spawn_blocking(move || routes.plan()).await.map_err(io::Error::other)??;
    let generation = match &taken {
        Some(taken) => disk.next_generation(false)?.max(taken.legacy.generation + 1),
        None => disk.next_generation(true)?,
    };
    let (tls, certificate) = match &settings.tls {
        None => (None, None),
        Some(tls) => {
            let files = Files { certificate: tls.certificate.clone(), key: tls.key.clone() };
            let metrics = TlsMetrics::new(&prometheus::Registry::new())?;
            let current = Current::default();
            current.replace(files.load()?, &metrics);
            (Some(current.server_config()?), Some((files, current, metrics)))
        }
    };
    let mut taken = taken;
    let listeners = match &mut taken {
        Some(taken) => std::mem::take(&mut taken.listeners),
        None => {
            let mut listeners = vec![(bind(settings.listen)?, false)];
            if let Some(tls) = &settings.tls {
                listeners.push((bind(tls.listen)?, true));
            }
            listeners
        }
    };
    if tls.is_none() && listeners.iter().any(|(_, encrypted)| *encrypted) {
        return Err(EdgeError::HandOver("it serves TLS, and this one has no certificate".to_owned()));
    }
    let address = |wanted: bool| {
        let (listener, _) = listeners.iter().find(|(_, encrypted)| *encrypted == wanted)?;
        listener.local_addr().ok()
    };
    let listening = Listening { plain: address(false), encrypted: address(true), generation };

    let threads = settings.threads.max(1);
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..threads).map(|_| mpsc::unbounded_channel()).unzip();
    let limits = settings.limits.clone();
    let shared = Arc::new(Shared {
        seats: Seats::new(limits.connections, limits.connections_per_source, threads),
        limits,
        proxies: TrustedProxies::new(settings.trusted_proxies.clone()),
        clock: Arc::clone(&clock),
        tls,
        refused: Counter::default(),
        failed_handshakes: Counter::default(),
        mirrored: Counter::default(),
        mirror_dropped: Counter::default(),
        threads: senders,
    });
    let writer = Writer::start(&settings.access_log)?;
    let mut ledger = Ledger::new(threads);
    let told = tell(&plan, &mut ledger);
    let mut running = Vec::new();
    for ((number, receiver), told) in receivers.into_iter().enumerate().zip(told) {
        let (shared, lines) = (Arc::clone(&shared), Writer::lines(writer.as_ref()));
        let thread = std::thread::Builder::new().name(format!("edge-{number}"));
        running.push(thread.spawn(move || worker::run(number, shared, told, lines, receiver))?);
    }
    let dropped = writer.as_ref().map(|writer| Arc::clone(&writer.dropped)).unwrap_or_default();
    let control = Control::new(settings, shared, disk, generation, &plan, ledger, dropped);
    control.disk.store_receipt(&control.counted(false))?;
    for thread in &control.shared.threads {
        for (listener, encrypted) in &listeners {
            let order = Order::Listen { listener: listener.try_clone()?, encrypted: *encrypted };
            thread.send(order).map_err(|_| io::Error::other("a thread ended at its start"))?;
        }
    }
    *control.listeners.lock().unwrap_or_else(PoisonError::into_inner) = listeners;
    if let Some(taken) = taken {
        take_over(&control, taken).await?;
    }
    let admin = bind_socket(&control.settings.admin_socket())?;
    let handover_socket = bind_socket(&control.settings.handover_socket())?;
    let serving = tokio::spawn(admin::server::serve(admin, Arc::clone(&control)));
    let handing = tokio::spawn(hand_over(handover_socket, Arc::clone(&control)));
    let noting = tokio::spawn(note_down(Arc::clone(&control)));
    let keeping = certificate.map(|(files, current, metrics)| tokio::spawn(files.watch(current, clock, metrics)));
    if !control.disk_has_routes() {
        // The first epoch is on disk from the beginning, so that what runs is what would start again.
        control.disk.store_routes(&plan.routes)?;
    }
    // Whoever reads that we listen may tell us to end in the next moment.
    let stops = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    ready(listening);

    wait_for_the_end(&control, stops).await;
    drain(&control).await;
    noting.abort();
    handing.abort();
    if let Some(keeping) = keeping {
        keeping.abort();
    }
    for thread in &control.shared.threads {
        // A thread that ended already needs not be told.
        let _ = thread.send(Order::Stop);
    }
    for thread in running {
        let ended = tokio::task::spawn_blocking(move || thread.join()).await.map_err(io::Error::other)?;
        ended.unwrap_or_else(|_| Err(io::Error::other("a thread of the edge panicked")))?;
    }
    if let Some(writer) = writer {
        tokio::task::spawn_blocking(move || writer.finish()).await.map_err(io::Error::other)?;
    }
    control.disk.store_receipt(&control.counted(true))?;
    serving.abort();
    let own = control.settings.folder.join(format!("edge-{generation}.sock"));
    let sockets = if control.superseded.load(Ordering::SeqCst) {
        vec![own]
    } else {
        vec![control.settings.admin_socket(), control.settings.handover_socket()]
    };
    sockets.iter().for_each(|socket| drop(fs::remove_file(socket)));
    Ok(())
}

impl Control {
    fn disk_has_routes(&self) -> bool {
        matches!(self.disk.routes(), Ok(Some(_)))
    }
}

/// Step 3 and 4 of a hand-over, on the side of the new edge.
async fn take_over(control: &Arc<Control>, taken: Taken) -> Result<(), EdgeError> {
    let said = tokio::task::spawn_blocking(move || taken.ready()).await.map_err(io::Error::other)?;
    let routes = said.map_err(|error| EdgeError::HandOver(error.to_string()))?;
    // Those of the command line have the same epoch or a lower one, and count here.
    if routes.epoch > control.health().epoch
        && let Err(error) = control.apply(routes, false).await
    {
        tracing::error!(%error, "the routes of the old edge are not taken over");
    }
    Ok(())
}

/// Gives the listeners to whoever asks, one after the other, and ends once one of them has taken over.
async fn hand_over(socket: UnixListener, control: Arc<Control>) {
    loop {
        let Ok((stream, _)) = socket.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        match give(stream, &control).await {
            Ok(()) => {
                tracing::info!(edge.generation = control.generation, "a new edge has taken over; this one drains");
                return control.finish();
            }
            Err(error) => tracing::warn!(%error, "a new edge did not take over; this one goes on"),
        }
    }
}

async fn give(stream: tokio::net::UnixStream, control: &Arc<Control>) -> io::Result<()> {
    let mut stream = stream.into_std()?;
    let (listeners, encrypted) = {
        let listeners = control.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let clones: Vec<_> = listeners.iter().map(|(listener, _)| listener.try_clone()).collect::<Result<_, _>>()?;
        (clones, listeners.iter().map(|(_, encrypted)| *encrypted).collect())
    };
    let legacy = Legacy { generation: control.generation, routes: control.routes().await, encrypted };
    let giving = move || handover::give(&mut stream, &legacy, &listeners).map(|()| stream);
    let mut stream = tokio::task::spawn_blocking(giving).await.map_err(io::Error::other)??;
    control.superseded.store(true, Ordering::SeqCst);
    let own = control.settings.folder.join(format!("edge-{}.sock", control.generation));
    let told = async {
        // Under this name the new edge goes on telling us routes.
        let _ = fs::remove_file(&own);
        fs::hard_link(control.settings.admin_socket(), &own)?;
        let routes = control.routes().await;
        let telling = tokio::task::spawn_blocking(move || handover::tell_routes(&mut stream, &routes)).await;
        telling.map_err(io::Error::other)?
    };
    let told = told.await;
    if told.is_err() {
        control.superseded.store(false, Ordering::SeqCst);
        let _ = fs::remove_file(&own);
    }
    told
}

async fn note_down(control: Arc<Control>) {
    let mut tick = tokio::time::interval(NOTE_DOWN);
    loop {
        tick.tick().await;
        let control = Arc::clone(&control);
        let noted = tokio::task::spawn_blocking(move || control.disk.store_receipt(&control.counted(false))).await;
        if let Ok(Err(error)) = noted {
            tracing::warn!(%error, "the counts are not written down");
        }
    }
}

async fn wait_for_the_end(control: &Control, [mut terminate, mut interrupt]: [Signal; 2]) {
    let mut finishing = control.finishing.subscribe();
    tokio::select! {
        _ = finishing.wait_for(|finishing| *finishing) => (),
        _ = terminate.recv() => (),
        _ = interrupt.recv() => (),
    }
    control.finish();
}

/// Accepts nothing more; waits until connections have ended, and lets go of those that do not.
async fn drain(control: &Control) {
    let started = Instant::now();
    control.listeners.lock().unwrap_or_else(PoisonError::into_inner).clear();
    for thread in &control.shared.threads {
        let (done, stopped) = oneshot::channel();
        if thread.send(Order::Finish(done)).is_ok() {
            let _ = stopped.await;
        }
    }
    let limit = control.settings.limits.drain;
    control.close_streams(None, limit.mul_f64(0.8)).await;
    while control.shared.seats.count() > 0 && started.elapsed() < limit {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let left = control.shared.seats.count();
    if left > 0 {
        tracing::warn!(edge.connections = left, "connections were cut off: they did not end in time");
    }
}

/// A listener whose backlog takes a crowd.
fn bind(address: SocketAddr) -> Result<TcpListener, EdgeError> {
    let listen = |source| EdgeError::Listen { address, source };
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(TcpListener::from(socket))
    };
    open().map_err(listen)
}

/// A socket that only this user may open, put in its place at once: there is never none.
fn bind_socket(path: &Path) -> Result<UnixListener, EdgeError> {
    let temporary = PathBuf::from(format!("{}.{}", path.display(), std::process::id()));
    let open = || {
        let _ = fs::remove_file(&temporary);
        let listener = UnixListener::bind(&temporary)?;
        fs::set_permissions(&temporary, fs::Permissions::from_mode(0o600))?;
        fs::rename(&temporary, path)?;
        Ok(listener)
    };
    open().map_err(EdgeError::file(path))
}

/// Every connection is two open files.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
