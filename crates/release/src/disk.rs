//! Small files that are written whole: beside, synced, renamed, the folder synced.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Puts `bytes` into `path`, of which a reader sees the old or the new state and nothing between. Only the owner reads it.
pub(crate) fn store(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// [`store`] as JSON.
pub(crate) fn store_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    store(path, &serde_json::to_vec_pretty(value)?)
}

/// Reads JSON; none where there is no file.
pub(crate) fn load_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
