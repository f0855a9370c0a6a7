use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::net::{TcpStream, UnixListener};

use super::exec::die_with;
use super::sandbox::program;

/// What it says when it can be reached.
pub(super) const READY: &str = "ready";

/// Runs inside the namespace: brings loopback up and carries connections from a Unix socket, which no network namespace
/// ends, to the service's port.
pub fn relay(shim: u32, port: u16, socket: &Path) -> io::Result<()> {
    die_with(shim)?;
    let ip = program("ip", "iproute2").map_err(io::Error::other)?;
    let up = Command::new(ip).args(["link", "set", "lo", "up"]).stdin(Stdio::null()).status()?;
    if !up.success() {
        let how = up.code().or(up.signal()).unwrap_or_default();
        return Err(io::Error::other(format!("ip link set lo up: {how}")));
    }
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => (),
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = UnixListener::bind(socket)?;
        writeln!(io::stdout(), "{READY}")?;
        loop {
            let Ok((mut outside, _)) = listener.accept().await else {
                // Out of descriptors: others end some time.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            tokio::spawn(async move {
                if let Ok(mut inside) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                    // Either side may break off at any time.
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                }
            });
        }
    })
}
