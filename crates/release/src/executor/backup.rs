//! Backups, copies and migrations, by the commands that the manifest names.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::journal_file::sync_folder;
use super::release::Release;
use super::{commands, measured, own_store};
use crate::model::manifest::Migrations;
use crate::model::migration::{Applied, Set, read};
use crate::model::plan::{Action, Plan};
use crate::model::value::Command;

/// What ran, a line of JSON each, in the folder of the service.
const APPLIED: &str = "migrations.jsonl";

/// What a first release of Signalbox itself finds.
const NO_STORE: &str = "there is no store yet: the first version makes it";

/// What a backup was when it was made.
#[derive(Serialize, Deserialize)]
struct Made {
    sha256: String,
    bytes: u64,
}

fn rules(release: &Release) -> Result<&Migrations, String> {
    release.manifest.migrations.as_ref().ok_or_else(|| "the manifest has no [migrations]".into())
}

fn named<'a>(command: Option<&'a Command>, key: &str) -> Result<&'a Command, String> {
    command.ok_or_else(|| format!("the manifest names no migrations.{key}"))
}

fn file(release: &Release) -> PathBuf {
    release.folder.join("backup")
}

async fn run(release: &Release, command: &Command, data: &Path, last: &Path) -> Result<String, String> {
    let mut words = release.words(command, release.manifest.service.ports.first, data);
    words.push(last.display().to_string());
    commands::run(&words, &release.request.base, &[]).await
}

/// Backs the database up.
pub(super) async fn make(release: &Release) -> Result<String, String> {
    let own = release.manifest.keeps_own_store();
    let (file, beside) = (file(release), release.folder.join("backup.new"));
    // What an earlier try left is of no use.
    let _ = std::fs::remove_file(&beside);
    let at = release.tools.clock.now();
    let what = if own {
        if !own_store::is_there(release)? {
            return Ok(NO_STORE.into());
        }
        own_store::save(release, &beside).await? + ", "
    } else {
        let command = named(rules(release)?.backup.as_ref(), "backup")?;
        run(release, command, &release.tools.data, &beside).await?;
        String::new()
    };
    let told = |error: std::io::Error| format!("{}: {error}", beside.display());
    let made = digest(&beside).await.map_err(told)?;
    if made.bytes == 0 {
        return Err("the backup is empty".into());
    }
    File::open(&beside).and_then(|file| file.sync_all()).map_err(told)?;
    std::fs::rename(&beside, &file).and_then(|()| sync_folder(&release.folder)).map_err(told)?;
    let said = format!("{what}{} bytes, sha256 {}", made.bytes, &made.sha256[..8]);
    crate::disk::store_json(&release.folder.join("backup.json"), &made).map_err(told)?;
    measured::note(release, |measured, source| measured.backup(at, false, source));
    Ok(said)
}

/// Reads the backup back.
pub(super) async fn verify(release: &Release) -> Result<String, String> {
    let file = file(release);
    let told = |error: std::io::Error| format!("{}: {error}", file.display());
    let made: Option<Made> = crate::disk::load_json(&release.folder.join("backup.json")).map_err(told)?;
    let own = release.manifest.keeps_own_store();
    if made.is_none() && own && !own_store::is_there(release)? {
        return Ok(NO_STORE.into());
    }
    let made = made.ok_or("there is no backup")?;
    let now = digest(&file).await.map_err(told)?;
    if now.sha256 != made.sha256 {
        return Err(format!("the backup reads back as {}, it was written as {}", &now.sha256[..8], &made.sha256[..8]));
    }
    let proven = if own { format!("; {}", own_store::prove(release, &file).await?) } else { String::new() };
    // When it was made is when its first byte was read.
    measured::note(release, |measured, source| measured.verified(source));
    Ok(format!("{} bytes read back, sha256 {}{proven}", now.bytes, &now.sha256[..8]))
}

async fn digest(path: &Path) -> std::io::Result<Made> {
    let path = path.to_owned();
    let read = move || {
        let mut hash = Sha256::new();
        let mut file = File::open(path)?;
        let (mut bytes, mut buffer) = (0, vec![0; 1 << 16]);
        loop {
            let count = std::io::Read::read(&mut file, &mut buffer)?;
            if count == 0 {
                break;
            }
            hash.update(&buffer[..count]);
            bytes += count as u64;
        }
        let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Made { sha256, bytes })
    };
    tokio::task::spawn_blocking(read).await.map_err(std::io::Error::other)?
}

/// Restores the backup beside production.
pub(super) async fn restore(release: &Release) -> Result<String, String> {
    let own = release.manifest.keeps_own_store();
    remove_copy(release)?;
    let copy = release.copy();
    let beside = release.folder.join("copy.new");
    let told = |error: std::io::Error| format!("{}: {error}", beside.display());
    let _ = std::fs::remove_dir_all(&beside);
    std::fs::create_dir(&beside).map_err(told)?;
    let begun = Instant::now();
    let restored = if !own {
        let command = named(rules(release)?.restore.as_ref(), "restore")?;
        run(release, command, &beside, &file(release)).await.map(|_| "restored".to_owned())
    } else if file(release).exists() {
        own_store::restore(release, &file(release), &beside).await
    } else {
        std::fs::rename(&beside, &copy).map_err(told)?;
        return Ok(NO_STORE.into());
    };
    measured::note(release, |measured, source| measured.drill(restored.is_ok(), begun.elapsed(), source));
    let said = restored?;
    std::fs::rename(&beside, &copy).map_err(told)?;
    Ok(said)
}

/// Nothing where there is none.
pub(super) fn remove_copy(release: &Release) -> Result<(), String> {
    let copy = release.copy();
    match std::fs::remove_dir_all(&copy) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {error}", copy.display())),
        _ => Ok(()),
    }
}

/// Runs the pending migrations on the copy.
pub(super) async fn migrate_copy(release: &Release, plan: &Plan) -> Result<String, String> {
    let begun = Instant::now();
    let went = if release.manifest.keeps_own_store() {
        own_store::migrate(release, &release.copy()).await
    } else {
        migrate_files(release, plan).await
    };
    measured::note(release, |measured, source| measured.rehearsed(went.is_ok(), begun.elapsed(), source));
    went
}

async fn migrate_files(release: &Release, plan: &Plan) -> Result<String, String> {
    let rules = rules(release)?;
    let command = named(rules.command.as_ref(), "command")?;
    let mut ran = 0;
    for step in plan.steps() {
        if let Action::Migrate { number, checksum, kind, .. } = &step.action
            && *kind != crate::model::migration::Kind::Contract
        {
            let path = migration(release, *number, &checksum.to_string())?;
            run(release, command, &release.copy(), &path).await?;
            ran += 1;
        }
    }
    Ok(format!("{ran} migrations ran on the copy"))
}

/// Runs one migration on the database and writes down that it ran.
pub(super) async fn migrate(release: &Release, number: u32) -> Result<String, String> {
    let rules = rules(release)?;
    let command = named(rules.command.as_ref(), "command")?;
    let set = set_of(release)?;
    let one = set.get(number).ok_or_else(|| format!("migration {number:04} is gone"))?;
    let path = migration(release, number, &one.checksum.to_string())?;
    let said = run(release, command, &release.tools.data, &path).await?;
    let applied = Applied {
        number,
        kind: one.kind,
        checksum: one.checksum,
        at: release.tools.clock.now(),
        version: release.request.version.clone(),
    };
    write_down(release, &applied).map_err(|error| format!("{APPLIED}: {error}"))?;
    Ok(if said.is_empty() { format!("{one} ran") } else { said })
}

/// Everything of the plan that should have run by now has.
pub(super) fn verify_migrations(release: &Release, plan: &Plan) -> Result<String, String> {
    let applied = applied(release.service_folder())?;
    let set = set_of(release)?;
    let mut seen = 0;
    for one in &applied {
        let known = set.get(one.number).ok_or_else(|| format!("migration {:04} ran and is gone", one.number))?;
        if known.checksum != one.checksum {
            return Err(format!("{known} was changed after it ran"));
        }
        seen += 1;
    }
    let pending = plan.steps().filter_map(|step| match &step.action {
        Action::Migrate { number, kind, migration, .. } if *kind != crate::model::migration::Kind::Contract => {
            (!applied.iter().any(|one| one.number == *number)).then_some(migration.as_str())
        }
        _ => None,
    });
    let pending: Vec<&str> = pending.collect();
    if !pending.is_empty() {
        return Err(format!("{} did not run", pending.join(", ")));
    }
    Ok(format!("{seen} migrations are as they ran"))
}

/// The migrations of the manifest's folder.
pub(super) fn set_of(release: &Release) -> Result<Set, String> {
    let rules = rules(release)?;
    let files = files(release, rules)?;
    let files = files.iter().map(|(name, content)| (name.as_str(), content.as_slice()));
    read(files, rules.order).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        lines.join("; ")
    })
}

fn folder(release: &Release, rules: &Migrations) -> PathBuf {
    let port = release.manifest.service.ports.first;
    release.path(&rules.dir.fill(&release.placeholders(port, &release.tools.data)))
}

fn files(release: &Release, rules: &Migrations) -> Result<Vec<(String, Vec<u8>)>, String> {
    let folder = folder(release, rules);
    let told = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(told)? {
        let path = entry.map_err(told)?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.push((name, std::fs::read(&path).map_err(told)?));
        }
    }
    Ok(files)
}

/// The file of a migration, where it still is what was planned.
fn migration(release: &Release, number: u32, checksum: &str) -> Result<PathBuf, String> {
    let rules = rules(release)?;
    let one = set_of(release)?.get(number).cloned().ok_or_else(|| format!("migration {number:04} is gone"))?;
    if one.checksum.to_string() != checksum {
        return Err(format!("{one} was changed after the plan was made"));
    }
    Ok(folder(release, rules).join(format!("{one}.sql")))
}

/// What ran so far.
pub fn applied(service: &Path) -> Result<Vec<Applied>, String> {
    let path = service.join(APPLIED);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    // A last line that was torn speaks of a migration that is run again.
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).map_err(|error| format!("{}: {error}", path.display())))
        .collect()
}

fn write_down(release: &Release, one: &Applied) -> std::io::Result<()> {
    let folder = release.service_folder();
    let mut all = applied(folder).map_err(std::io::Error::other)?;
    all.retain(|other| other.number != one.number);
    all.push(one.clone());
    let mut bytes = Vec::new();
    for one in &all {
        serde_json::to_writer(&mut bytes, one)?;
        bytes.write_all(b"\n")?;
    }
    crate::disk::store(&folder.join(APPLIED), &bytes)
}

/// The set of a request, for a plan; none where its manifest has no migrations.
pub fn set_for(release: &Release) -> Result<Option<Set>, String> {
    if release.manifest.migrations.is_none() {
        return Ok(None);
    }
    set_of(release).map(Some)
}
