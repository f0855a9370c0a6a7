use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::{Spec, Status};

const SPEC: &str = "spec.json";
const STATUS: &str = "status.json";
const LOCK: &str = "shim.lock";
pub(super) const SOCKET: &str = "shim.sock";
const SHIM_LOG: &str = "shim.log";

/// The folder of one instance: what is asked of its shim, and what the shim tells. For the owner alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// A new one; an error when it is there.
    pub(crate) fn make(path: PathBuf) -> io::Result<Self> {
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn spec(&self) -> io::Result<Spec> {
        self.read(SPEC)?.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no {SPEC}")))
    }

    pub(crate) fn write_spec(&self, spec: &Spec) -> io::Result<()> {
        self.write(SPEC, spec)
    }

    /// What the shim last wrote; nothing before it wrote anything.
    pub(crate) fn status(&self) -> io::Result<Option<Status>> {
        self.read(STATUS)
    }

    pub(super) fn write_status(&self, status: &Status) -> io::Result<()> {
        self.write(STATUS, status)
    }

    /// Takes the lock that a shim holds as long as it lives; nothing when somebody holds it.
    pub(crate) fn lock(&self) -> io::Result<Option<File>> {
        let file = private().open(self.0.join(LOCK))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether this is the lock, held by whoever has the descriptor.
    pub(super) fn is_lock(&self, file: &File) -> io::Result<bool> {
        let own = match fs::metadata(self.0.join(LOCK)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            found => found?,
        };
        let other = file.metadata()?;
        let same = (own.dev(), own.ino()) == (other.dev(), other.ino());
        Ok(same && flock(file, FlockOperation::NonBlockingLockExclusive).is_ok())
    }

    /// Whether a shim lives, or is about to: the lock is handed to it before it begins, so that there is no gap. The lock
    /// ends with its process, whatever number that had.
    pub(crate) fn is_supervised(&self) -> io::Result<bool> {
        match File::open(self.0.join(LOCK)) {
            Ok(file) => match flock(&file, FlockOperation::NonBlockingLockShared) {
                Ok(()) => Ok(false),
                Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
                Err(error) => Err(error.into()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Where the shim writes what goes wrong with itself.
    pub(crate) fn shim_log(&self) -> io::Result<File> {
        private().append(true).open(self.0.join(SHIM_LOG))
    }

    /// The shim's socket. The path of a socket is short, that of a folder may be long: so it is reached by its descriptor.
    pub(crate) async fn connect(&self) -> io::Result<UnixStream> {
        let folder = File::open(&self.0)?;
        UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd())).await
    }

    pub(crate) fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.0)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        match fs::read(self.0.join(name)) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{name} is damaged: {error}"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whole or not at all, as long as the machine runs. It is not synced: no instance outlives a loss of power, and what
    /// that damaged is seen when it is read.
    fn write<T: Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
        let temporary = self.0.join(format!("{name}.new"));
        let mut file = private().truncate(true).open(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(value)?)?;
        fs::rename(&temporary, self.0.join(name))
    }
}

/// Opens files that nobody else may read: environments hold secrets.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    options
}
