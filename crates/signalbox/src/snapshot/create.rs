//! Taking a snapshot.

use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::{Context as _, ensure};
use signalbox_core::clock::{Clock as _, SystemClock};
use signalbox_store::{EngineName, Faults, Scope, Store, StoreError};

use super::contents::{Contents, engine_word};
use super::file::{Manifest, Writer};
use super::workshop::Workshop;
use crate::installation::open_store;
use crate::progress::Progress;
use crate::settings::Settings;

const MADE: &str = "snapshot";

/// Takes a snapshot of `store` into `path`, where nothing may be.
pub fn create(settings: &Settings, store: &Store, path: &Path) -> anyhow::Result<Manifest> {
    ensure!(!path.exists(), "{} is there already; name another file", path.display());
    let workshop = Workshop::beside(path, "new")?;
    let mut progress = Progress::new("snapshot");
    let mut writer = Writer::create(&workshop.path.join(MADE))?;
    // The moment before the first byte: everything that was acknowledged until then is in it.
    let now = SystemClock.now();
    let contents = match store.engine() {
        EngineName::Sqlite => from_files(settings, store, &workshop, &mut writer, &mut progress)?,
        EngineName::Postgres => from_tables(store, &mut writer, &mut progress)?,
    };
    let manifest = writer.finish(now, engine_word(store.engine()), contents)?;
    workshop.hand_over(MADE, path)?;
    Ok(manifest)
}

fn from_files(
    settings: &Settings,
    store: &Store,
    workshop: &Workshop,
    writer: &mut Writer,
    progress: &mut Progress,
) -> anyhow::Result<Contents> {
    let folder = workshop.path.join("copy");
    std::fs::create_dir(&folder)?;
    store.copy_into(&folder, |file| progress.at(format!("copying {file}")))?;
    let copy = open_store(&beside(settings, &folder), Faults::default())?;
    let log = copy.log().reader()?;
    progress.at("counting");
    let contents = in_transaction(&copy, |conn| Contents::of(conn, Some(&log)))?;
    drop(log);
    copy.seal()?;
    for name in Store::FILES {
        progress.at(format!("compressing {name}"));
        let path = folder.join(name);
        let mut file = File::open(&path).with_context(|| path.display().to_string())?;
        writer.part(name, &[], |out| io::copy(&mut file, out).map(drop))?;
        // Room for the next one.
        std::fs::remove_file(&path)?;
    }
    Ok(contents)
}

/// One transaction sees one moment of every table.
fn from_tables(store: &Store, writer: &mut Writer, progress: &mut Progress) -> anyhow::Result<Contents> {
    in_transaction(store, |conn| {
        progress.at("counting");
        let contents = Contents::of(conn, None)?;
        for table in conn.tables()? {
            progress.at(format!("copying {}", table.name));
            writer.part(&table.name, &table.columns, |out| conn.copy_out(&table, out).map_err(anyhow::Error::from))?;
        }
        Ok(contents)
    })
}

/// The settings for a store in this folder.
pub(super) fn beside(settings: &Settings, folder: &Path) -> Settings {
    let mut own = settings.clone();
    own.server.data = folder.to_owned();
    own.database.url = String::new();
    own
}

/// Reads in one transaction, with errors of any kind.
pub(super) fn in_transaction<T>(
    store: &Store,
    run: impl FnOnce(&mut signalbox_store::Conn<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut failed = None;
    let done = store.read_here(&Scope::all(), |conn| {
        run(conn).map_err(|error| {
            failed = Some(error);
            StoreError::Aborted("it failed".into())
        })
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(done?),
    }
}
