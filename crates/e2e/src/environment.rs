//! What the suites are told from outside, and what they need on the machine. What is missing is an error, never a skip.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result, bail};
use rustix::fs::FlockOperation;
use tempfile::TempDir;

use crate::process;

/// The one place that reads the environment.
#[expect(clippy::disallowed_methods, reason = "a test has no settings: xtask hands it everything this way")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The release binary that is tested.
pub fn binary() -> Result<PathBuf> {
    let path = variable("SIGNALBOX_BIN")
        .context("SIGNALBOX_BIN is not set: run `cargo xtask test`, which builds the binary and sets it")?;
    let path = PathBuf::from(path);
    if !path.is_file() {
        bail!("SIGNALBOX_BIN names {}, which does not exist: run `cargo xtask test`", path.display());
    }
    Ok(path)
}

/// A port of loopback on which nobody listens, for a program that is told its port before it opens it. It is not of those
/// that the system hands out: a connection of another test would take such a port in between.
pub fn free_port() -> Result<u16> {
    const EACH: u16 = 20;
    static USED: AtomicU16 = AtomicU16::new(0);
    // Tests that run at the same time are processes with different ids: each has ports of its own.
    let first = 10_000 + u16::try_from(std::process::id() % 1_000)? * EACH;
    let mut ports = (0..EACH).map(|_| first + USED.fetch_add(1, Ordering::Relaxed) % EACH);
    let free = ports.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    free.with_context(|| format!("none of the ports from {first} to {} is free", first + EACH - 1))
}

/// Where the npm packages of the tests lie.
pub fn node_modules() -> Result<PathBuf> {
    let folder = variable("SIGNALBOX_TEST_NODE_MODULES").context(
        "SIGNALBOX_TEST_NODE_MODULES is not set: run `cargo xtask test`, which installs the npm packages and sets it",
    )?;
    Ok(PathBuf::from(folder))
}

/// The address of the cluster's superuser, whom Signalbox refuses.
pub fn postgres_superuser() -> Result<String> {
    variable("SIGNALBOX_TEST_POSTGRES_SUPER").context(
        "SIGNALBOX_TEST_POSTGRES_SUPER is not set: run `cargo xtask test`, which starts PostgreSQL and sets it",
    )
}

/// How often a round is repeated: few times in the ordinary run, `long` times with `cargo xtask test --long`.
pub fn rounds(short: u32, long: u32) -> u32 {
    if variable("SIGNALBOX_TEST_LONG").is_some() { long } else { short }
}

/// Mounting, tracing and killing other users' processes need it.
pub fn require_root() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("this test mounts file systems or traces processes: run `cargo xtask test` as root");
    }
    Ok(())
}

/// A program by its name, or an error that says which Debian package brings it.
pub fn program(name: &str, package: &str) -> Result<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from));
    let found = folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{name} is not installed (Debian: {package}): run `cargo xtask test`"))
}

/// The folder of `initdb`, `postgres` and `psql`: the oldest version from 15 on.
pub fn postgres_programs() -> Result<PathBuf> {
    let entries = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut versions: Vec<u32> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter(|v| *v >= 15).collect();
    versions.sort_unstable();
    let folders = versions.iter().map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")));
    match folders.into_iter().find(|folder| folder.join("initdb").is_file()) {
        Some(folder) => Ok(folder),
        None => Ok(program("initdb", "postgresql-15")?.parent().context("initdb has no folder")?.to_owned()),
    }
}

/// The program that makes requests from the API's description.
pub fn schemathesis() -> Result<PathBuf> {
    let path = variable("SIGNALBOX_TEST_SCHEMATHESIS");
    path.map(PathBuf::from).context("SIGNALBOX_TEST_SCHEMATHESIS is not set: run `cargo xtask test`, which installs it")
}

/// Where data lies: on a disk, which `/tmp` may not be.
const PLACE: &str = "/var/tmp";
const PREFIX: &str = "signalbox-e2e-";

/// A folder that is gone with the value; PostgreSQL's user may pass through it.
pub fn scratch(name: &str) -> Result<TempDir> {
    sweep();
    tempfile::Builder::new()
        .prefix(&format!("{PREFIX}{}-{name}-", std::process::id()))
        .permissions(std::fs::Permissions::from_mode(0o711))
        .tempdir_in(PLACE)
        .with_context(|| format!("no folder in {PLACE}"))
}

/// Clears away what tests have left that were killed: folders, and file systems mounted in them.
fn sweep() {
    for folder in std::fs::read_dir(PLACE).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())) {
        let name = folder.file_name().and_then(|name| name.to_str()?.strip_prefix(PREFIX)).unwrap_or_default();
        let owner = name.split('-').next().and_then(|pid| pid.parse().ok());
        if owner.is_some_and(|pid| !process::lives(pid)) {
            for mounted in [folder.join("mounted"), folder.clone()] {
                // Mostly nothing is mounted there.
                let _ = process::output(Command::new("umount").arg("--lazy").arg(mounted));
            }
            // Another test may have been faster.
            let _ = std::fs::remove_dir_all(&folder);
        }
    }
}

/// Held by a suite that loads the whole machine or measures time, so that no two of them run at once.
pub struct Alone(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

/// Waits for its turn.
pub fn alone() -> Result<Alone> {
    let path = std::env::temp_dir().join("signalbox-e2e.lock");
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive).context("waiting for the other suites")?;
    Ok(Alone(file))
}

/// A number that nobody chose.
pub fn random(below: u64) -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::hash::RandomState::new().build_hasher().finish() % below
}
