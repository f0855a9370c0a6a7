use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, UnixStream};
use tokio::process::{Child, Command};

use super::PATH;

/// Beside the shim's own socket, in its folder.
pub(super) const RELAY_SOCKET: &str = "relay.sock";
/// How long a namespace may take to be there.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// What keeps a service from the network: a network namespace of its own with nothing but loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Namespaces {
    /// And a user namespace, so that not even root inside may go back out.
    UserAndNetwork,
    /// Where user namespaces are not permitted: only root can make it, and a service that runs as root could leave it.
    Network,
}

impl Namespaces {
    fn unshare(self) -> &'static [&'static str] {
        match self {
            Self::UserAndNetwork => &["--user", "--map-root-user", "--net"],
            Self::Network => &["--net"],
        }
    }

    pub(super) fn nsenter(self) -> &'static [&'static str] {
        match self {
            Self::UserAndNetwork => &["--user", "--net", "--preserve-credentials"],
            Self::Network => &["--net"],
        }
    }

    /// For people.
    pub(crate) fn how(self) -> &'static str {
        match self {
            Self::UserAndNetwork => "a network namespace without a way out, in a user namespace of its own",
            Self::Network => "a network namespace without a way out, which a service that runs as root could leave",
        }
    }
}

/// Tries what is possible here, the strongest first; why nothing is, where nothing is.
pub(crate) async fn possible() -> Result<Namespaces, String> {
    let mut why = Vec::new();
    let ip = program("ip", "iproute2")?;
    for namespaces in [Namespaces::UserAndNetwork, Namespaces::Network] {
        let mut command = Command::new(program("unshare", "util-linux")?);
        command.args(namespaces.unshare()).arg("--").arg(&ip).args(["link", "set", "lo", "up"]);
        let tried = command.env_clear().stdin(Stdio::null()).output().await.map_err(|error| error.to_string())?;
        if tried.status.success() {
            program("nsenter", "util-linux")?;
            return Ok(namespaces);
        }
        why.push(String::from_utf8_lossy(&tried.stderr).trim().replace('\n', "; "));
    }
    Err(why.join("; "))
}

/// A program of the system; no variable of anybody's environment leads elsewhere.
pub(super) fn program(name: &str, package: &str) -> Result<PathBuf, String> {
    let mut places = PATH.split(':').map(|folder| PathBuf::from(folder).join(name));
    places.find(|path| path.is_file()).ok_or_else(|| format!("{name} is not installed (Debian: {package})"))
}

/// The process that holds the namespace open and carries connections into it. It dies with the shim.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) child: Child,
    pub(super) pid: u32,
}

impl Relay {
    /// Returns when it can be reached.
    pub(super) async fn start(namespaces: Namespaces, port: u16) -> io::Result<Self> {
        let unshare = program("unshare", "util-linux").map_err(io::Error::other)?;
        // The program of this process as a descriptor: its file may be another one by now.
        let own = File::open("/proc/self/exe")?;
        let mut command = std::process::Command::new(unshare);
        command.args(namespaces.unshare()).args(["--", "/proc/self/fd/0", "shim", "relay", "--shim"]);
        command.arg(std::process::id().to_string()).arg("--port").arg(port.to_string()).arg(RELAY_SOCKET);
        command.env_clear().env("PATH", PATH).process_group(0);
        command.stdin(own).stdout(Stdio::piped());
        let mut child = Command::from(command).kill_on_drop(true).spawn()?;
        let ended = || io::Error::other("the sandbox ended at once; the shim's log says why");
        let pid = child.id().ok_or_else(ended)?;
        let mut said = BufReader::new(child.stdout.take().ok_or_else(ended)?).lines();
        match tokio::time::timeout(READY_WITHIN, said.next_line()).await {
            Ok(Ok(Some(line))) if line == super::relay::READY => Ok(Self { child, pid }),
            Ok(Ok(_)) => Err(ended()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::Error::other(format!("the sandbox was not there within {READY_WITHIN:?}"))),
        }
    }
}

/// Carries every connection to the relay, as long as the shim lives.
pub(super) async fn forward(listener: TcpListener) {
    loop {
        let Ok((mut outside, _)) = listener.accept().await else {
            // Out of descriptors: others end some time.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        tokio::spawn(async move {
            if let Ok(mut inside) = UnixStream::connect(RELAY_SOCKET).await {
                // Either side may break off at any time.
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            }
        });
    }
}
