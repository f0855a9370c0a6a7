//! Key files: written whole, synced, readable by its owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use signalbox_core::time::Micros;
use signalbox_crypto::keyring::Keyring;
use zeroize::Zeroizing;

/// Where the keyring of a data directory is.
pub fn path(data: &Path) -> PathBuf {
    data.join("keys").join("keyring.json")
}

/// Makes a keyring where there is none.
pub fn ensure(data: &Path, now: Micros) -> anyhow::Result<()> {
    let path = path(data);
    if path.exists() { Ok(()) } else { make_once(&path, &Keyring::create(now)?.to_json()) }
}

/// Reads the keyring.
pub fn load(data: &Path) -> anyhow::Result<Keyring> {
    let path = path(data);
    Keyring::from_json(&read_private(&path)?).with_context(|| path.display().to_string())
}

/// Writes a file of secrets unless another process has made one in the meantime.
pub fn make_once(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().expect("the path has a folder");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(|| path.display().to_string())?;
    let temporary = write_beside(path, text)?;
    // Unlike a rename, a link never replaces a file that is there.
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error).context(path.display().to_string()),
        _ => sync_folder(path),
    }
}

/// Reads a file of secrets, which nobody else may read.
pub fn read_private(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let text = Zeroizing::new(fs::read_to_string(path).with_context(|| path.display().to_string())?);
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!("{} may be read by others (mode {:o}); run: chmod 600 {}", path.display(), mode & 0o777, path.display());
    }
    Ok(text)
}

/// Puts `ring` in the place of the file.
pub fn replace(data: &Path, ring: &Keyring) -> anyhow::Result<()> {
    let path = path(data);
    let temporary = write_beside(&path, &ring.to_json())?;
    fs::rename(&temporary, &path).with_context(|| path.display().to_string())?;
    sync_folder(&path)
}

/// Whether there is no such file.
pub fn is_missing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::NotFound)
}

fn write_beside(path: &Path, text: &str) -> anyhow::Result<PathBuf> {
    let temporary = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .with_context(|| temporary.display().to_string())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(temporary)
}

fn sync_folder(path: &Path) -> anyhow::Result<()> {
    Ok(File::open(path.parent().expect("the path has a folder"))?.sync_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_is_made_once_and_kept_private() {
        let folder = tempfile::tempdir().unwrap();
        let now = Micros(1_780_000_000_000_000);
        ensure(folder.path(), now).unwrap();
        let made = load(folder.path()).unwrap().to_json();
        ensure(folder.path(), now).unwrap();
        assert_eq!(made, load(folder.path()).unwrap().to_json());
        let file = path(folder.path());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("keys")).unwrap().count(), 1, "no temporary file stays");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(load(folder.path()).unwrap_err().to_string().contains("chmod 600"));
    }
}
