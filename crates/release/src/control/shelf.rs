//! The releases of a service on disk: a folder each, numbered, with what was asked for and the journal.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use signalbox_core::time::Micros;

use crate::disk;
use crate::executor::{FILE, JournalError, JournalFile, Kind, Request};
use crate::model::machine::{Event, Journal, Outcome};
use crate::model::manifest::Manifest;
use crate::model::value::{Name, Version};

/// All releases of all services, under one folder.
#[derive(Debug)]
pub struct Shelf {
    folder: PathBuf,
    /// Those that have ended: nothing of them changes any more.
    ended: Mutex<HashMap<PathBuf, Kept>>,
}

/// One release as it is written down.
#[derive(Debug, Clone)]
pub struct Kept {
    pub id: String,
    pub number: u64,
    pub folder: PathBuf,
    pub request: Request,
    pub journal: Arc<Journal>,
}

impl Shelf {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, ended: Mutex::default() }
    }

    /// Removes what broke off before its first record, and so was never promised. Only before anything can begin.
    pub(super) fn sweep(&self) -> io::Result<()> {
        for folder in
            folders(&self.folder)?.iter().map(|service| folders(service)).collect::<io::Result<Vec<_>>>()?.concat()
        {
            let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.parse::<u64>().is_ok() && !begun(&folder)? {
                tracing::warn!(folder = %folder.display(), "a release that had not begun is removed");
                std::fs::remove_dir_all(&folder)?;
            }
        }
        Ok(())
    }

    /// Every release that has begun, the oldest first.
    pub fn all(&self) -> io::Result<Vec<Kept>> {
        let mut all = Vec::new();
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        for service in folders(&self.folder)? {
            for folder in folders(&service)? {
                let number = folder.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
                let Some(number) = number else { continue };
                if let Some(known) = ended.get(&folder) {
                    all.push(known.clone());
                } else if let Some(kept) = read(&folder, number)? {
                    if kept.ended().is_some() {
                        ended.insert(folder, kept.clone());
                    }
                    all.push(kept);
                }
            }
        }
        all.sort_by_key(|kept| (kept.journal.records()[0].at, kept.number));
        Ok(all)
    }

    /// A new folder for a release, with its request in it.
    pub(super) fn add(&self, service: &Name, request: &Request) -> io::Result<(String, PathBuf)> {
        let place = self.folder.join(service.as_str());
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&place)?;
        let taken = folders(&place)?;
        let numbers = taken.iter().filter_map(|folder| folder.file_name()?.to_str()?.parse::<u64>().ok());
        let number = numbers.max().unwrap_or(0) + 1;
        let folder = place.join(number.to_string());
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
        disk::store_json(&folder.join("request.json"), request)?;
        for synced in [&place, &self.folder] {
            std::fs::File::open(synced)?.sync_all()?;
        }
        Ok((id(service.as_str(), number), folder))
    }
}

fn id(service: &str, number: u64) -> String {
    format!("{service}-{number}")
}

fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    Ok(found)
}

fn read(folder: &Path, number: u64) -> io::Result<Option<Kept>> {
    let journal = match JournalFile::read(folder) {
        Ok(journal) => journal,
        // It may be about to begin at this moment.
        Err(_) if !begun(folder)? => return Ok(None),
        Err(JournalError::Disk { source, .. }) => return Err(source),
        Err(error) => return Err(io::Error::other(error.to_string())),
    };
    let request = disk::load_json::<Request>(&folder.join("request.json"))?;
    let request = request.ok_or_else(|| io::Error::other(format!("{}: request.json is gone", folder.display())))?;
    let id = id(journal.plan().service.as_str(), number);
    Ok(Some(Kept { id, number, folder: folder.to_owned(), request, journal: Arc::new(journal) }))
}

/// Whether a first record is whole.
fn begun(folder: &Path) -> io::Result<bool> {
    match std::fs::read(folder.join(FILE)) {
        Ok(bytes) => Ok(bytes.contains(&b'\n')),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl Kept {
    /// How it ended, and when.
    pub fn ended(&self) -> Option<(Outcome, Micros, &str)> {
        let last = self.journal.records().last()?;
        match &last.event {
            Event::Ended { outcome, said } => Some((*outcome, last.at, said)),
            _ => None,
        }
    }

    /// Where everything of its service is.
    pub(crate) fn service_folder(&self) -> &Path {
        self.folder.parent().unwrap_or(&self.folder)
    }

    /// Its manifest, as its kind carries it out.
    pub fn manifest(&self) -> Result<Manifest, String> {
        manifest_of(&self.request)
    }
}

/// The version that was promoted last, and the release that did it.
pub(super) fn stable(all: &[Kept]) -> Option<&Kept> {
    all.iter().rev().find(|kept| matches!(kept.ended(), Some((Outcome::Promoted, ..))))
}

/// What served before the present version came: not what it came back from.
pub(super) fn before<'a>(all: &'a [Kept], present: &Version) -> Option<&'a Kept> {
    let promoted: Vec<&Kept> =
        all.iter().filter(|kept| matches!(kept.ended(), Some((Outcome::Promoted, ..)))).collect();
    let came =
        promoted.iter().rposition(|kept| kept.request.version == *present && kept.request.kind == Kind::Deploy)?;
    promoted[..came].iter().rev().find(|kept| kept.request.version != *present).copied()
}

/// The manifest of a request. A way back goes in one move, waits for nobody and changes no database.
pub(super) fn manifest_of(request: &Request) -> Result<Manifest, String> {
    let mut manifest = Manifest::parse(&request.file, &request.manifest).map_err(|faults| faults.to_string())?;
    if request.kind == Kind::Rollback {
        manifest.go_back();
    }
    Ok(manifest)
}
