//! `signalbox control`: leads the releases of one service.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use signalbox_core::clock::SystemClock;
use signalbox_release::control::{self as releases, Controller, LateDriver, Lead, router, token};
use signalbox_release::driver::Driver;
use signalbox_release::driver::process::{ProcessDriver, ShimProgram};
use signalbox_release::executor::{CHANGES, DataPlane, FailPoint, Known, Router, Tools};
use signalbox_release::model::exit::Exit;
use tokio::signal::unix::{SignalKind, signal};

use super::Common;
use crate::control::{EdgePlane, EngageBusiness, open_socket, serve_socket, serve_tcp};
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
        let plane: Arc<dyn DataPlane> = Arc::new(EdgePlane::new(&edge));
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
        let socket = folder.join("control.sock");
        let token = token(&folder).with_context(|| folder.join("token").display().to_string())?;
        let listener = tokio::net::TcpListener::bind(self.listen).await;
        let listener = listener.with_context(|| format!("{} cannot be used; choose another --listen", self.listen))?;
        let address = listener.local_addr()?;
        let unix = open_socket(&socket)?;
        let services = folder.join("services");
        let controller = Controller::start(lead, releases::Settings { tools, driver, services }).await?;
        let doors = router(Arc::clone(&controller), &token);
        tokio::spawn(serve_socket(unix, doors.clone()));
        tokio::spawn(serve_tcp(listener, doors));
        let lines = [format!("epoch {epoch}, socket {}", socket.display()), format!("listening on http://{address}")];
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
