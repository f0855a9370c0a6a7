//! `signalbox control`: leads the releases of one service.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use signalbox_access::role::Role;
use signalbox_core::clock::{Clock as _, SystemClock};
use signalbox_crypto::keyring::Keyring;
use signalbox_release::control::{self as releases, Controller, LateDriver, Lead, router, token};
use signalbox_release::driver::Driver;
use signalbox_release::driver::process::{ProcessDriver, ShimProgram};
use signalbox_release::executor::{CHANGES, DataPlane, FailPoint, Known, Router, Tools};
use signalbox_release::model::exit::Exit;
use signalbox_release::web::{self, Door, Rings};
use tokio::signal::unix::{SignalKind, signal};

use super::Common;
use crate::control::{EdgePlane, EngageBusiness, open_socket, serve_socket, serve_tcp};
use crate::keyfile;
use crate::settings::Settings;

#[derive(Debug, Args)]
pub struct Control {
    #[command(flatten)]
    common: Common,
    /// The admin socket of the edge (default: DIR/edge/edge.sock).
    #[arg(long, value_name = "SOCKET")]
    edge: Option<PathBuf>,
    /// Address and port of the HTTP interface.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Where queries of metrics are sent: http://127.0.0.1:9090.
    #[arg(long, value_name = "URL")]
    prometheus: Option<String>,
    /// Let the edge lead no paths here: /ops and /api/v1/releases stay the service's own.
    #[arg(long)]
    no_paths: bool,
    /// Let tests break it.
    #[arg(long, hide = true)]
    allow_faults: bool,
    /// Die at a record of the journal: before:7, torn:7 or after:7.
    #[arg(long, hide = true, requires = "allow_faults")]
    fail_at: Option<FailPoint>,
}

impl Control {
    pub fn run(self) -> anyhow::Result<std::process::ExitCode> {
        let settings = self.common.settings(None, false)?;
        signalbox_telemetry::logs::start(&settings.logs);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(self.lead(settings))
    }

    async fn lead(self, mut settings: Settings) -> anyhow::Result<std::process::ExitCode> {
        let data = settings.server.data.clone();
        std::fs::create_dir_all(&data).with_context(|| data.display().to_string())?;
        let data = data.canonicalize().with_context(|| data.display().to_string())?;
        settings.server.data.clone_from(&data);
        if !self.listen.ip().is_loopback() {
            bail!("--listen {}: the interface is for this machine; put a proxy with TLS before it", self.listen);
        }
        let edge = self.edge.unwrap_or_else(|| data.join("edge/edge.sock"));
        let to_edge = Arc::new(EdgePlane::new(&edge));
        let plane = Arc::clone(&to_edge) as Arc<dyn DataPlane>;
        let routes = plane.routes().await.with_context(|| {
            format!("start the edge first (signalbox edge --data {}), or name its socket with --edge", data.display())
        })?;
        let folder = data.join("control");
        let lead = match Lead::take(&folder, routes.epoch / CHANGES) {
            Ok(lead) => lead,
            Err(error) => {
                eprintln!("error: {error}");
                return Ok(std::process::ExitCode::from(Exit::Locked.number()));
            }
        };
        let epoch = lead.epoch();
        let root = data.clone();
        let driver = LateDriver::new(Box::new(move |service| {
            let opened = ProcessDriver::open(&root, service.clone(), ShimProgram::default(), Arc::new(SystemClock))?;
            Ok(Arc::new(opened) as Arc<dyn Driver>)
        }));
        let tools = Tools {
            router: Router::new(Arc::clone(&plane), epoch),
            driver: Arc::clone(&driver) as Arc<dyn Driver>,
            clock: Arc::new(SystemClock),
            prometheus: self.prometheus,
            business: Some(Arc::new(EngageBusiness::start(settings)?)),
            data,
            epoch,
            fail: self.fail_at,
            known: Known::default(),
        };
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let routes_to_us = tools.router.clone();
        let socket = folder.join("control.sock");
        let token = token(&folder).with_context(|| folder.join("token").display().to_string())?;
        let listener = tokio::net::TcpListener::bind(self.listen).await;
        let listener = listener.with_context(|| format!("{} cannot be used; choose another --listen", self.listen))?;
        let address = listener.local_addr()?;
        if !self.no_paths {
            to_edge.lead_paths_to(address);
        }
        let door = door(&folder, &tools.data, &token)?;
        let unix = open_socket(&socket)?;
        let services = folder.join("services");
        let controller = Controller::start(lead, releases::Settings { tools, driver, services }).await?;
        signalbox_http::page::announce_releases();
        let (pages, _) = web::router(Arc::clone(&controller), &door);
        let doors = router(Arc::clone(&controller), door).merge(pages);
        tokio::spawn(serve_socket(unix, doors.clone()));
        tokio::spawn(serve_tcp(listener, doors));
        if let Err(error) = routes_to_us.renew().await {
            tracing::warn!(%error, "the edge does not lead the pages here yet");
        }
        let lines = [format!("epoch {epoch}, socket {}", socket.display()), format!("listening on http://{address}")];
        let lines = lines.into_iter().chain([
            format!("pages http://{address}/ops"),
            format!("sign in with the token in {}", folder.join("token").display()),
        ]);
        for text in lines {
            // Whoever started us may have closed the pipe; control goes on.
            let _ = writeln!(std::io::stdout(), "{text}");
        }
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
            why = controller.failed() => bail!("{why}"),
        }
        // Nothing is to be wound up: what runs is under its shims, and the journal knows the rest.
        Ok(std::process::ExitCode::SUCCESS)
    }
}

/// The installation's keys are read again this often: they may come later, and change.
const KEYS_AGAIN: Duration = Duration::from_secs(5);

/// Who comes to the pages: whoever has the token, and whoever the installation in the same folder vouches for.
fn door(folder: &Path, data: &Path, token: &str) -> anyhow::Result<Arc<Door>> {
    let own = folder.join("sessions.json");
    if !own.exists() {
        keyfile::make_once(&own, &Keyring::create(SystemClock.now())?.to_json())?;
    }
    let own = Keyring::from_json(&keyfile::read_private(&own)?).with_context(|| own.display().to_string())?;
    let (data, known) = (data.to_owned(), Mutex::new(None::<(Instant, Option<Arc<Keyring>>)>));
    let installation = move || {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some((at, ring)) if at.elapsed() < KEYS_AGAIN => ring.clone(),
            _ => {
                let ring = keyfile::load(&data).ok().map(Arc::new);
                *known = Some((Instant::now(), ring.clone()));
                ring
            }
        }
    };
    let role = |word: &str| word.parse::<Role>().ok().map(Role::word);
    let rings = Rings { own, installation: Box::new(installation), role };
    Ok(Door::new(rings, token, Arc::new(SystemClock)))
}
