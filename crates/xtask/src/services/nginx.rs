//! nginx as the peer in a bench: `bench/nginx.conf` in a throwaway folder.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
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

const CONFIGURATION: &str = include_str!("../../bench/nginx.conf");

/// The server ends before its folder goes.
pub(crate) struct Nginx {
    service: Service,
    folder: Folder,
    pub(crate) address: SocketAddr,
}

impl Nginx {
    pub(crate) fn start(guard: &Arc<Guard>) -> Result<Self> {
        let program = environment::program("nginx").context("nginx is not installed")?;
        let folder = Folder::create(guard, "nginx")?;
        let port = port::free()?;
        let text = CONFIGURATION.replace("{port}", &port.to_string());
        let text = text.replace("{dir}", &folder.path().display().to_string());
        let file = folder.path().join("nginx.conf");
        fs::write(&file, text)?;
        let mut command = Command::new(program);
        command.arg("-e").arg(folder.path().join("error.log")).arg("-c").arg(&file);
        let log = folder.path().join("output.log");
        let mut service = Service::start(guard, "nginx", &mut command, Signal::TERM, Some(&log))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        service.wait_until(Duration::from_secs(10), || Ok(TcpStream::connect(address).map(drop)?))?;
        Ok(Self { service, folder, address })
    }

    /// Makes sure that every request left its line, and empties the access log; nginx appends, and so goes on.
    pub(crate) fn check_log(&self, requests: u64) -> Result<()> {
        const SHORTEST_LINE_BYTES: u64 = 60;
        let log = self.folder.path().join("access.log");
        let bytes = fs::metadata(&log).context("nginx's access log")?.len();
        if bytes < requests * SHORTEST_LINE_BYTES {
            bail!("nginx answered {requests} requests and logged {bytes} bytes: it was not measured with its log");
        }
        fs::File::create(&log).context("emptying nginx's access log")?;
        Ok(())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.service.pid()
    }
}
