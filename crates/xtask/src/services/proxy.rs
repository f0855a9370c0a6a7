//! Reverse proxies before one backend: ours and its peers, each with its log.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::folder::Folder;
use super::port;
use super::service::Service;
use crate::environment;
use crate::guard::Guard;

const BACKEND: &str = include_str!("../../bench/edge/backend.conf");
const NGINX: &str = include_str!("../../bench/edge/nginx.conf");
const HAPROXY: &str = include_str!("../../bench/edge/haproxy.cfg");
/// The shortest line of any of the logs.
const SHORTEST_LINE_BYTES: u64 = 60;

/// The server ends before its folder goes.
pub(crate) struct Proxy {
    pub(crate) name: &'static str,
    service: Service,
    folder: Folder,
    pub(crate) address: SocketAddr,
    log: Option<PathBuf>,
}

impl Proxy {
    /// What all of them pass requests to.
    pub(crate) fn backend(guard: &Arc<Guard>) -> Result<Self> {
        let mut proxy = Self::nginx_with(guard, "backend", BACKEND, None)?;
        proxy.log = None;
        Ok(proxy)
    }

    pub(crate) fn nginx(guard: &Arc<Guard>, backend: SocketAddr) -> Result<Self> {
        Self::nginx_with(guard, "nginx", NGINX, Some(backend))
    }

    pub(crate) fn haproxy(guard: &Arc<Guard>, backend: SocketAddr) -> Result<Self> {
        let program = environment::program("haproxy").context("HAProxy is not installed")?;
        let (folder, address) = place(guard)?;
        let file = folder.path().join("haproxy.cfg");
        fs::write(&file, fill(HAPROXY, folder.path(), address, Some(backend)))?;
        let log = folder.path().join("output.log");
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(&file);
        Self::start(guard, "HAProxy", &mut command, Signal::TERM, folder, address, (&log.clone(), Some(log)))
    }

    pub(crate) fn edge(guard: &Arc<Guard>, binary: &Path, backend: SocketAddr) -> Result<Self> {
        let (folder, address) = place(guard)?;
        let mut command = Command::new(binary);
        command
            .arg("edge")
            .args(["--listen", &address.to_string()])
            .args(["--upstream", &format!("http://{backend}=1")]);
        command.args(["--connections-per-source", "50000"]).arg("--data").arg(folder.path());
        command.current_dir(folder.path()).env_remove("DATABASE_URL");
        let (output, log) = (folder.path().join("output.log"), folder.path().join("edge/access.log"));
        Self::start(guard, "edge", &mut command, Signal::TERM, folder, address, (&output, Some(log)))
    }

    fn nginx_with(
        guard: &Arc<Guard>,
        name: &'static str,
        configuration: &str,
        backend: Option<SocketAddr>,
    ) -> Result<Self> {
        let program = environment::program("nginx").context("nginx is not installed")?;
        let (folder, address) = place(guard)?;
        let file = folder.path().join("nginx.conf");
        fs::write(&file, fill(configuration, folder.path(), address, backend))?;
        let mut command = Command::new(program);
        command.arg("-e").arg(folder.path().join("error.log")).arg("-c").arg(&file);
        let (output, log) = (folder.path().join("output.log"), folder.path().join("access.log"));
        Self::start(guard, name, &mut command, Signal::TERM, folder, address, (&output, Some(log)))
    }

    fn start(
        guard: &Arc<Guard>,
        name: &'static str,
        command: &mut Command,
        signal: Signal,
        folder: Folder,
        address: SocketAddr,
        (output, log): (&Path, Option<PathBuf>),
    ) -> Result<Self> {
        let mut service = Service::start(guard, name, command, signal, Some(output))?;
        service.wait_until(Duration::from_secs(10), || Ok(TcpStream::connect(address).map(drop)?))?;
        Ok(Self { name, service, folder, address, log })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.service.pid()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The bytes of its log.
    pub(crate) fn logged(&self) -> Result<u64> {
        let Some(log) = &self.log else { return Ok(0) };
        Ok(fs::metadata(log).with_context(|| format!("the log of {}", self.name))?.len())
    }

    /// Makes sure that so many requests since `before` left their lines; the last ones may still be in a buffer.
    pub(crate) fn check_log(&self, before: u64, requests: u64) -> Result<()> {
        let bytes = self.logged()? - before;
        if bytes < (requests * 95 / 100) * SHORTEST_LINE_BYTES {
            bail!(
                "{} answered {requests} requests and logged {bytes} bytes: it was not measured with its log",
                self.name
            );
        }
        Ok(())
    }
}

fn place(guard: &Arc<Guard>) -> Result<(Folder, SocketAddr)> {
    let folder = Folder::create(guard, "proxy")?;
    Ok((folder, SocketAddr::from((Ipv4Addr::LOCALHOST, port::free()?))))
}

fn fill(text: &str, folder: &Path, address: SocketAddr, backend: Option<SocketAddr>) -> String {
    let text = text.replace("{port}", &address.port().to_string()).replace("{dir}", &folder.display().to_string());
    text.replace("{backend}", &backend.map(|backend| backend.to_string()).unwrap_or_default())
}
