//! Restoring a snapshot into a place where nothing is: whole, or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde::Serialize;
use signalbox_core::clock::{Clock as _, SystemClock};
use signalbox_core::time::Micros;
use signalbox_crypto::keyring::Keyring;
use signalbox_store::{Conn, EngineName, Faults, Held, Scope};

use super::contents::engine_word;
use super::create::beside;
use super::file::Snapshot;
use super::proof::{Proven, in_tables, look_at_files, unpack};
use super::workshop::Workshop;
use crate::installation::{MIGRATIONS, open_store};
use crate::keyfile;
use crate::progress::Progress;
use crate::settings::Settings;

/// Which keys the copy gets; a snapshot holds none.
#[derive(Debug, Clone)]
pub enum Keys {
    /// New ones, in whose eyes no link of the original is valid.
    New,
    /// Those in this folder: `keyring.json`, and `audit.json` where it is there.
    From(PathBuf),
}

/// What was restored.
#[derive(Debug, Serialize)]
pub struct Restored {
    #[serde(flatten)]
    pub proven: Proven,
    pub data: PathBuf,
    /// Nothing goes out of it.
    pub held: bool,
}

/// Restores into the data directory of `settings`, which is not there or empty, and where they name PostgreSQL into its
/// database, which is empty.
pub fn restore(settings: &Settings, path: &Path, keys: &Keys, live: bool) -> anyhow::Result<Restored> {
    let data = &settings.server.data;
    let snapshot = Snapshot::open(path)?;
    let on_postgres = !settings.database.url.is_empty();
    let target = engine_word(if on_postgres { EngineName::Postgres } else { EngineName::Sqlite });
    let engine = &snapshot.manifest.engine;
    ensure!(
        engine == target,
        "it is a snapshot of {engine}, and the target is {target}: one engine's rows do not fit the other"
    );
    refuse_used(data)?;
    let now = SystemClock.now();
    let held =
        (!live).then(|| Held { since: now, why: format!("restored from a snapshot of {}", snapshot.manifest.made_at) });
    let mark = |conn: &mut Conn<'_>| match &held {
        Some(held) => conn.hold(held),
        None => conn.release(),
    };
    let workshop = Workshop::beside(data, "restoring")?;
    let mut progress = Progress::new("restore");
    give_keys(&workshop.path, keys, now)?;
    let proven = if on_postgres {
        let store = open_store(settings, Faults::default())?;
        let ledger = snapshot.manifest.contents.ledger();
        in_tables(&snapshot, |fill| store.restore_into(&MIGRATIONS, &ledger, fill), mark)?
    } else {
        unpack(&snapshot, &workshop.path, &mut progress)?;
        let store = open_store(&beside(settings, &workshop.path), Faults::default())?;
        let proven = look_at_files(&store, &snapshot.manifest, &mut progress)?;
        store.write_here(&Scope::all(), mark)?;
        store.seal()?;
        proven
    };
    // A database without its keys is refused by every command, should this be the last thing that fails.
    workshop.become_it(data)?;
    let proven = Proven { manifest: snapshot.manifest, proven };
    Ok(Restored { proven, data: data.clone(), held: held.is_some() })
}

fn refuse_used(data: &Path) -> anyhow::Result<()> {
    match fs::read_dir(data) {
        Ok(mut entries) => match entries.next() {
            Some(_) => bail!("{} is not empty; name a new data directory", data.display()),
            None => Ok(()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).context(data.display().to_string()),
    }
}

fn give_keys(data: &Path, keys: &Keys, now: Micros) -> anyhow::Result<()> {
    let folder = match keys {
        Keys::New => return keyfile::ensure(data, now),
        Keys::From(folder) => folder,
    };
    let given = folder.join("keyring.json");
    let ring = Keyring::from_json(&keyfile::read_private(&given)?).with_context(|| given.display().to_string())?;
    keyfile::make_once(&keyfile::path(data), &ring.to_json())?;
    let audit = "audit.json";
    match keyfile::read_private(&folder.join(audit)) {
        Ok(text) => keyfile::make_once(&data.join("keys").join(audit), &text),
        Err(error) if keyfile::is_missing(&error) => Ok(()),
        Err(error) => Err(error),
    }
}
