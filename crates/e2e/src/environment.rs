//! What the suites are told from outside, and what they need on the machine. What is missing is an error, never a skip.

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use rustix::fs::FlockOperation;

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

/// A folder on a disk (`/tmp` may lie in memory) that is gone with the value; PostgreSQL's user may pass through it.
pub fn scratch(name: &str) -> Result<tempfile::TempDir> {
    use std::os::unix::fs::PermissionsExt as _;
    tempfile::Builder::new()
        .prefix(&format!("signalbox-e2e-{name}-"))
        .permissions(std::fs::Permissions::from_mode(0o711))
        .tempdir_in("/var/tmp")
        .context("no folder in /var/tmp")
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
