//! Verifying a snapshot by restoring it into a place that is gone afterwards.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde::Serialize;
use signalbox_audit::verify::{Outside, within};
use signalbox_store::{Conn, EngineName, Faults, Store, StoreError, Table};

use super::contents::{Contents, engine_word};
use super::create::{beside, in_transaction};
use super::file::{Manifest, Snapshot};
use super::workshop::Workshop;
use crate::installation::{MIGRATIONS, open_store};
use crate::progress::Progress;
use crate::settings::Settings;

/// What was looked at and found to be right.
#[derive(Debug, Serialize)]
pub struct Proven {
    #[serde(flatten)]
    pub manifest: Manifest,
    pub proven: Vec<String>,
}

/// Restores it, looks at it, and removes it again. A snapshot of PostgreSQL is restored into the database of `settings`, in
/// a schema of its own and in a transaction that is always undone.
pub fn verify(settings: &Settings, path: &Path) -> anyhow::Result<Proven> {
    let snapshot = Snapshot::open(path)?;
    let mut progress = Progress::new("verify");
    let proven = if snapshot.manifest.engine == engine_word(EngineName::Sqlite) {
        let workshop = Workshop::beside(path, "verify")?;
        unpack(&snapshot, &workshop.path, &mut progress)?;
        let store = open_store(&beside(settings, &workshop.path), Faults::default())?;
        look_at_files(&store, &snapshot.manifest, &mut progress)?
    } else {
        if settings.database.url.is_empty() {
            bail!(
                "it is a snapshot of PostgreSQL: name a database with DATABASE_URL; it is restored there into a schema of its own, in a transaction that is undone"
            );
        }
        let store = open_store(settings, Faults::default())?;
        in_tables(
            &snapshot,
            |fill| store.rehearse(&MIGRATIONS, &snapshot.manifest.contents.ledger(), fill),
            |_| Ok(()),
        )?
    };
    Ok(Proven { manifest: snapshot.manifest, proven })
}

/// Writes the files of SQLite; each is what was written, or this fails.
pub(super) fn unpack(snapshot: &Snapshot, folder: &Path, progress: &mut Progress) -> anyhow::Result<()> {
    let names: Vec<&str> = snapshot.manifest.parts.iter().map(|part| part.name.as_str()).collect();
    ensure!(names == Store::FILES, "it holds {} instead of {}", names.join(", "), Store::FILES.join(", "));
    for part in &snapshot.manifest.parts {
        progress.at(format!("writing {}", part.name));
        let path = folder.join(&part.name);
        let mut file = std::fs::OpenOptions::new();
        let file = file.write(true).create_new(true).mode(0o600).open(&path);
        let mut file = file.with_context(|| path.display().to_string())?;
        std::io::copy(&mut snapshot.part(part)?, &mut file).with_context(|| path.display().to_string())?;
        file.flush()?;
        file.sync_all()?;
    }
    Ok(())
}

/// Looks at a restored SQLite store.
pub(super) fn look_at_files(
    store: &Store,
    manifest: &Manifest,
    progress: &mut Progress,
) -> anyhow::Result<Vec<String>> {
    progress.at("reading every page");
    store.check_every_page()?;
    let log = store.log().reader()?;
    progress.at("counting");
    let mut proven = vec![
        format!("{} parts are what was written, by SHA-256", manifest.parts.len()),
        "PRAGMA integrity_check finds nothing in both files".into(),
    ];
    proven.extend(in_transaction(store, |conn| {
        let contents = Contents::of(conn, Some(&log))?;
        look_at(conn, &contents, &manifest.contents)
    })?);
    Ok(proven)
}

/// Restores tables by `restore` and looks at them in the same transaction; `last` is done in it at the end.
pub(super) fn in_tables(
    snapshot: &Snapshot,
    restore: impl FnOnce(
        &mut dyn FnMut(&mut Conn<'_>) -> Result<Vec<String>, StoreError>,
    ) -> Result<Vec<String>, StoreError>,
    last: impl Fn(&mut Conn<'_>) -> Result<(), StoreError>,
) -> anyhow::Result<Vec<String>> {
    let mut failed = None;
    let mut fill = |conn: &mut Conn<'_>| {
        fill(conn, snapshot).and_then(|proven| last(conn).map(|()| proven).map_err(Into::into)).map_err(|error| {
            failed = Some(error);
            StoreError::Aborted("it failed".into())
        })
    };
    let done = restore(&mut fill);
    match failed {
        Some(error) => Err(error),
        None => Ok(done?),
    }
}

fn fill(conn: &mut Conn<'_>, snapshot: &Snapshot) -> anyhow::Result<Vec<String>> {
    let manifest = &snapshot.manifest;
    let mut progress = Progress::new("restore");
    for part in &manifest.parts {
        progress.at(format!("filling {}", part.name));
        let table = Table { name: part.name.clone(), columns: part.columns.clone() };
        let mut content = snapshot.part(part)?;
        conn.copy_in(&table, &mut content)?;
    }
    let contents = Contents::of(conn, None)?;
    let mut proven = vec![format!("{} tables are what was written, by SHA-256", manifest.parts.len())];
    proven.extend(look_at(conn, &contents, &manifest.contents)?);
    Ok(proven)
}

fn look_at(conn: &mut Conn<'_>, found: &Contents, written: &Contents) -> anyhow::Result<Vec<String>> {
    if let Some(differs) = found.differs(written) {
        bail!("{differs}");
    }
    let rows: i64 = found.tables.values().sum();
    let audit = within(conn, &Outside::default())?;
    if let Some(fault) = audit.first() {
        bail!("the chain of the audit log does not hold at entry {}: {}", fault.seq, fault.detail);
    }
    let log = &found.log;
    Ok(vec![
        format!("{rows} rows in {} tables, as many as were written", found.tables.len()),
        format!(
            "events are projected up to {}, {} wait in the intake log, and none between is missing",
            found.seq, log.waiting
        ),
        format!("the chain of the audit log holds: {} entries, up to {}", audit.found.entries, found.audit.seq),
    ])
}
