use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::ProcessDriver;
use crate::driver::{Artifact, DriverError, Fetched};
use crate::model::value::Digest;

/// More would be a mistake: a folder of the system, a home.
const MOST_FILES: usize = 200_000;

/// What is in an artifact.
#[derive(Debug)]
struct Content {
    digest: Digest,
    bytes: u64,
}

/// Copies the artifact into its version's own folder, hashing what is written there, and lets it be seen only when the
/// checksum is right.
pub(super) fn fetch(driver: &ProcessDriver, artifact: &Artifact) -> Result<Fetched, DriverError> {
    let _lock = driver.lock()?;
    let place = driver.root.join("artifacts").join(artifact.service.as_str());
    fs::create_dir_all(&place).map_err(DriverError::file(&place))?;
    let folder = place.join(artifact.version.as_str());
    let version = artifact.version.clone();
    if folder.exists() {
        let found = check(&folder)?;
        if found.digest != artifact.sha256 {
            return Err(DriverError::OtherArtifact { version, wanted: artifact.sha256, found: found.digest });
        }
        return Ok(Fetched { version, sha256: found.digest, folder, bytes: found.bytes });
    }
    // No version begins with a dot. What was left of an earlier try is of no use.
    let new = place.join(format!(".new-{}", artifact.version));
    let clear = || match fs::remove_dir_all(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DriverError::file(&new)(error)),
        _ => Ok(()),
    };
    clear()?;
    let copied = walk(&artifact.path, Some(&new)).and_then(|found| {
        if found.digest != artifact.sha256 {
            let path = artifact.path.clone();
            return Err(DriverError::ChecksumDiffers { path, wanted: artifact.sha256, found: found.digest });
        }
        fs::rename(&new, &folder).map_err(DriverError::file(&folder))?;
        let synced = File::open(&place).and_then(|place| place.sync_all());
        synced.map_err(DriverError::file(&place))?;
        Ok(found)
    });
    match copied {
        Ok(found) => Ok(Fetched { version, sha256: found.digest, folder, bytes: found.bytes }),
        Err(error) => {
            clear()?;
            Err(error)
        }
    }
}

/// Looks again whether what lies there is what was fetched.
pub(super) fn recheck(fetched: &Fetched) -> Result<(), DriverError> {
    let found = check(&fetched.folder)?;
    if found.digest == fetched.sha256 {
        return Ok(());
    }
    let path = fetched.folder.clone();
    Err(DriverError::ChecksumDiffers { path, wanted: fetched.sha256, found: found.digest })
}

/// The digest of a version's folder. Where it was made of one file, that file's.
fn check(folder: &Path) -> Result<Content, DriverError> {
    let only = only_file(folder).map_err(DriverError::file(folder))?;
    walk(only.as_deref().unwrap_or(folder), None)
}

/// A single file stands in a folder of its own with a mark beside it, so that it is not taken for a folder of one file.
const SINGLE: &str = ".single";

fn only_file(folder: &Path) -> io::Result<Option<PathBuf>> {
    if !folder.join(SINGLE).exists() {
        return Ok(None);
    }
    let mut others = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name != SINGLE) {
            others.push(path);
        }
    }
    let only = others.pop().filter(|_| others.is_empty());
    only.map(Some).ok_or_else(|| io::Error::other("there is not one file in it any more"))
}

/// The digest of a file, or of a folder as docs/releases.md says: what a manifest's `sha256` has to be.
pub fn digest_of_path(path: &Path) -> Result<Digest, DriverError> {
    walk(path, None).map(|content| content.digest)
}

/// Reads everything once, hashes it, and writes what was hashed where it is wanted.
fn walk(path: &Path, copy: Option<&Path>) -> Result<Content, DriverError> {
    let kind = fs::symlink_metadata(path).map_err(DriverError::file(path))?;
    if let Some(copy) = copy {
        fs::create_dir(copy).map_err(DriverError::file(copy))?;
    }
    if kind.is_dir() {
        return walk_folder(path, copy);
    }
    let name = path.file_name().ok_or_else(|| refused(path, "it has no name"))?;
    if let Some(copy) = copy {
        File::create(copy.join(SINGLE)).map_err(DriverError::file(copy))?;
    }
    // A link to one file is followed: "current" may point to it.
    let (hash, bytes) = file(path, copy.map(|copy| copy.join(name)).as_deref())?;
    Ok(Content { digest: digest(&hash)?, bytes })
}

fn walk_folder(path: &Path, copy: Option<&Path>) -> Result<Content, DriverError> {
    let mut names = Vec::new();
    find(path, PathBuf::new(), &mut names)?;
    // As LC_ALL=C sort does it.
    names.sort_unstable_by_key(|name| format!("./{name}").into_bytes());
    let (mut list, mut bytes) = (Sha256::new(), 0);
    for name in &names {
        let into = copy.map(|copy| copy.join(name));
        if let Some(parent) = into.as_deref().and_then(Path::parent) {
            fs::create_dir_all(parent).map_err(DriverError::file(parent))?;
        }
        let (hash, size) = file(&path.join(name), into.as_deref())?;
        list.update(format!("{hash}  ./{name}\n"));
        bytes += size;
    }
    if names.is_empty() {
        return Err(refused(path, "it is an empty folder"));
    }
    Ok(Content { digest: digest(&hex(&list.finalize()))?, bytes })
}

/// The files below a folder, as paths from it.
fn find(root: &Path, below: PathBuf, names: &mut Vec<String>) -> Result<(), DriverError> {
    let folder = root.join(&below);
    for entry in fs::read_dir(&folder).map_err(DriverError::file(&folder))? {
        let entry = entry.map_err(DriverError::file(&folder))?;
        let path = below.join(entry.file_name());
        let kind = entry.file_type().map_err(DriverError::file(&folder))?;
        if kind.is_dir() {
            find(root, path, names)?;
        } else if kind.is_file() {
            let name = path.to_str().filter(|name| !name.contains(['\n', '\\', '\r']));
            names.push(name.ok_or_else(|| refused(&entry.path(), "its name is no plain text"))?.to_owned());
        } else {
            return Err(refused(&entry.path(), "it is neither a file nor a folder; links can lead out of an artifact"));
        }
        if names.len() > MOST_FILES {
            return Err(refused(root, "it has too many files"));
        }
    }
    Ok(())
}

/// Hashes a file; where it is copied, nobody can write the copy any more, and it is on disk.
fn file(from: &Path, into: Option<&Path>) -> Result<(String, u64), DriverError> {
    let mut source = File::open(from).map_err(DriverError::file(from))?;
    let metadata = source.metadata().map_err(DriverError::file(from))?;
    if !metadata.is_file() {
        return Err(refused(from, "it is neither a file nor a folder"));
    }
    let mut target = match into {
        Some(into) => {
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(into);
            Some(made.map_err(DriverError::file(into))?)
        }
        None => None,
    };
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let count = source.read(&mut buffer).map_err(DriverError::file(from))?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        bytes += count as u64;
        if let (Some(target), Some(into)) = (&mut target, into) {
            target.write_all(&buffer[..count]).map_err(DriverError::file(into))?;
        }
    }
    if let (Some(target), Some(into)) = (target, into) {
        let mode = if metadata.permissions().mode() & 0o111 == 0 { 0o444 } else { 0o555 };
        let closed = target.set_permissions(fs::Permissions::from_mode(mode)).and_then(|()| target.sync_all());
        closed.map_err(DriverError::file(into))?;
    }
    Ok((hex(&hash.finalize()), bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(hex: &str) -> Result<Digest, DriverError> {
    hex.parse().map_err(|said: String| DriverError::Artifact { path: PathBuf::new(), said })
}

fn refused(path: &Path, said: &str) -> DriverError {
    DriverError::Artifact { path: path.to_owned(), said: said.to_owned() }
}
