//! `signalbox doctor`: is everything as it must be, and if not, what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clap::Args;
use serde::Serialize;
use signalbox_audit::verify::Outside;
use signalbox_core::clock::{Clock as _, SystemClock};
use signalbox_core::time::Micros;
use signalbox_store::{EngineName, Faults, Progress, Scope, Store, StoreError};
use signalbox_tls::acme::{Folder, State};

use super::Common;
use crate::audit;
use crate::health::{Status, free_bytes};
use crate::installation::{MIGRATIONS, is_new, lost_database, lost_keyring, open_store};
use crate::keyfile;
use crate::output::print;
use crate::secure;
use crate::settings::{CertificateSource, Settings};

#[derive(Debug, Args)]
pub struct Doctor {
    #[command(flatten)]
    common: Common,
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    status: Status,
    detail: String,
}

/// Below this a clock is certainly wrong: this program was built later.
const BUILT_AFTER: &str = "2026-01-01T00:00:00Z";
const DISK_LEAST: u64 = 64 << 20;
const DISK_GOOD: u64 = 1 << 30;

impl Doctor {
    /// Whether nothing fails.
    pub fn run(self) -> anyhow::Result<bool> {
        let mut checks = Vec::new();
        match self.common.settings(None, false) {
            Ok(settings) => {
                checks.push(pass("settings", "readable, no unknown keys"));
                look_at(&settings, &mut checks);
            }
            Err(error) => checks.push(fail("settings", format!("{error:#}"))),
        }
        let worst = checks.iter().map(|check| check.status).max().unwrap_or(Status::Pass);
        print(self.common.output, &serde_json::json!({"status": worst, "checks": checks}), |_| {
            checks
                .iter()
                .map(|check| {
                    let mark = match check.status {
                        Status::Pass => "✓",
                        Status::Warn => "!",
                        Status::Fail => "✗",
                    };
                    format!("{mark} {:12} {}\n", check.name, check.detail)
                })
                .collect()
        })?;
        Ok(worst != Status::Fail)
    }
}

fn pass(name: &'static str, detail: impl Into<String>) -> Check {
    Check { name, status: Status::Pass, detail: detail.into() }
}

fn warn(name: &'static str, detail: impl Into<String>) -> Check {
    Check { name, status: Status::Warn, detail: detail.into() }
}

fn fail(name: &'static str, detail: impl Into<String>) -> Check {
    Check { name, status: Status::Fail, detail: detail.into() }
}

fn look_at(settings: &Settings, checks: &mut Vec<Check>) {
    let data = &settings.server.data;
    checks.push(disk(data));
    checks.push(permissions(data));
    checks.push(clock());
    checks.push(limits(settings));
    checks.extend(certificate(settings));
    if let Some(lost) = lost_database(settings) {
        checks.push(fail("database", lost));
        return;
    }
    if is_new(settings) {
        checks.push(warn("database", format!("{} holds no database yet; `signalbox serve` makes one", data.display())));
        return;
    }
    let mut is_made = false;
    match open_store(settings, Faults::default()) {
        Ok(store) => {
            is_made = matches!(store.progress(), Ok(Progress::At(_)));
            database(&store, checks);
            if store.require_schema(&MIGRATIONS).is_ok() {
                checks.push(audit_log(&store, settings));
            }
        }
        Err(error) => checks.push(fail("database", format!("{error:#}"))),
    }
    if !keyfile::path(data).exists() {
        if is_made {
            checks.push(fail("keys", lost_keyring(data)));
            return;
        }
        checks.push(warn("keys", "there are none yet; `signalbox serve` makes them"));
        return;
    }
    checks.push(match keyfile::load(data) {
        Ok(ring) => pass("keys", format!("{} keys, readable by this user alone", ring.list(SystemClock.now()).len())),
        Err(error) => fail("keys", format!("{error:#}")),
    });
}

fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."))
}

fn disk(data: &Path) -> Check {
    let place = existing(data);
    match free_bytes(place) {
        None => warn("disk", format!("the free space of {} cannot be told", place.display())),
        Some(free) if free < DISK_LEAST => {
            fail("disk", format!("{} MiB are free; make room, or nothing more is recorded", free >> 20))
        }
        Some(free) if free < DISK_GOOD => warn("disk", format!("only {} MiB are free", free >> 20)),
        Some(free) => pass("disk", format!("{} GiB are free", free >> 30)),
    }
}

fn permissions(data: &Path) -> Check {
    let place = existing(data);
    let probe = place.join(format!(".doctor-{}", std::process::id()));
    if let Err(error) = fs::write(&probe, b"x").and_then(|()| fs::remove_file(&probe)) {
        return fail("permissions", format!("{} cannot be written: {error}", place.display()));
    }
    match fs::metadata(data).map(|meta| meta.permissions().mode() & 0o007) {
        Ok(0) | Err(_) => pass("permissions", "the data directory can be written, and not by others"),
        Ok(_) => {
            warn("permissions", format!("others may enter {}; run: chmod o-rwx {}", data.display(), data.display()))
        }
    }
}

fn clock() -> Check {
    let now = SystemClock.now();
    let built: Micros = BUILT_AFTER.parse().expect("a valid instant");
    if now < built {
        fail("clock", format!("it says {now}; set it, events would get wrong times"))
    } else {
        pass("clock", now.to_string())
    }
}

fn limits(settings: &Settings) -> Check {
    if settings.limits.enabled {
        pass(
            "limits",
            format!(
                "{} hits and {} API requests per second and source",
                settings.limits.hits_per_second, settings.limits.api_per_second
            ),
        )
    } else {
        warn("limits", "they are off: every source may send as much as it wants")
    }
}

/// The certificate: where it comes from, how long it lasts, and why there is no new one.
fn certificate(settings: &Settings) -> Option<Check> {
    let source = settings.certificate_source()?;
    let (loaded, state) = match source {
        CertificateSource::Files => (secure::files(settings).load().map(Some), State::default()),
        CertificateSource::Acme => {
            let folder = Folder::below(&settings.server.data);
            (folder.certificate(), folder.state())
        }
    };
    let trouble = match state.failures {
        0 => String::new(),
        failures => format!("; the last order failed ({failures} in a row): {}", state.error),
    };
    let facts = match loaded {
        Err(error) => return Some(fail("certificate", error.to_string())),
        Ok(None) if trouble.is_empty() => {
            return Some(warn("certificate", "there is none yet; a running `signalbox serve` orders it"));
        }
        Ok(None) => return Some(fail("certificate", format!("there is none{trouble}"))),
        Ok(Some(certificate)) => certificate.facts,
    };
    let detail = format!("for {} until {}{trouble}", facts.names.join(" "), facts.not_after);
    let left = facts.not_after.0 - SystemClock.now().0;
    // Renewal begins at two thirds; what has passed nine tenths was not renewed.
    let tenth = (facts.not_after.0 - facts.not_before.0) / 10;
    Some(match left {
        left if left <= 0 => fail("certificate", format!("it has expired: renew it; {detail}")),
        left if left < tenth || !trouble.is_empty() => warn("certificate", format!("{detail}; see that it is renewed")),
        _ => pass("certificate", detail),
    })
}

fn database(store: &Store, checks: &mut Vec<Check>) {
    let sql = match store.engine() {
        EngineName::Sqlite => "SELECT sqlite_version()",
        EngineName::Postgres => "SELECT version()",
    };
    let name = match store.engine() {
        EngineName::Sqlite => "SQLite ",
        EngineName::Postgres => "",
    };
    match store.read_here(&Scope::all(), |conn| conn.first(sql, &[], |row| row.text(0))) {
        Ok(version) => checks.push(pass("engine", format!("{name}{}", version.unwrap_or_default()))),
        Err(error) => return checks.push(fail("engine", error.to_string())),
    }
    checks.push(match store.require_schema(&MIGRATIONS) {
        Ok(()) => pass("schema", "up to date"),
        Err(error @ StoreError::NotMigrated { .. }) => warn("schema", error.to_string()),
        Err(error) => fail("schema", error.to_string()),
    });
    if store.require_schema(&MIGRATIONS).is_ok() {
        checks.push(tables(store));
    }
    checks.push(match store.check_integrity() {
        Ok(()) => pass("integrity", "no damage found"),
        Err(error) => fail("integrity", error.to_string()),
    });
    checks.extend(durability(store));
    checks.push(match intake(store) {
        Ok(0) => pass("intake", "empty, and readable"),
        Ok(events) => pass("intake", format!("{events} events in it, every one readable")),
        Err(error) => fail("intake", format!("the intake log cannot be read: {error}")),
    });
}

/// Whether somebody has dropped what the migrations made.
fn tables(store: &Store) -> Check {
    let missing = tempfile::tempdir()
        .map_err(anyhow::Error::from)
        .and_then(|scratch| Ok(store.missing(&MIGRATIONS, scratch.path())?));
    match missing {
        Ok(missing) if missing.is_empty() => pass("tables", "all there"),
        Ok(missing) => fail(
            "tables",
            format!("{} missing although the schema says otherwise; restore the latest backup", missing.join(", ")),
        ),
        Err(error) => fail("tables", format!("{error:#}")),
    }
}

/// What PostgreSQL must not have switched off; of SQLite we set it ourselves.
fn durability(store: &Store) -> Option<Check> {
    const SQL: &str =
        "SELECT name::text, setting::text FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') ORDER BY name";
    if store.engine() != EngineName::Postgres {
        return None;
    }
    let settings = store.read_here(&Scope::all(), |conn| conn.query(SQL, &[], |row| Ok((row.text(0)?, row.text(1)?))));
    Some(match settings {
        Ok(all) => match all.iter().find(|(_, setting)| setting != "on") {
            None => pass("durability", "PostgreSQL syncs what it commits"),
            Some((name, setting)) => fail(
                "durability",
                format!(
                    "{name} is {setting} in PostgreSQL: what was acknowledged may be lost when the power fails; switch it on in postgresql.conf"
                ),
            ),
        },
        Err(error) => fail("durability", error.to_string()),
    })
}

/// Whether the chain of the audit log holds, up to the checkpoints of its file.
fn audit_log(store: &Store, settings: &Settings) -> Check {
    match audit::verify_store(store, settings, Outside::default(), |_| ()) {
        Ok(report) if report.intact => pass("audit log", format!("{} entries, the chain holds", report.found.entries)),
        Ok(_) => fail("audit log", "it was tampered with; run: signalbox audit verify"),
        Err(error) => fail("audit log", format!("{error:#}")),
    }
}

/// Reads the whole intake log, checksums and all, and counts its events.
fn intake(store: &Store) -> Result<u64, StoreError> {
    let reader = store.log().reader()?;
    let (mut seq, mut events) = (0, 0);
    loop {
        let rows = reader.after(seq, 1 << 20)?;
        let Some(last) = rows.last() else { return Ok(events) };
        seq = last.first_seq + i64::from(last.count) - 1;
        events += rows.iter().map(|row| u64::from(row.count)).sum::<u64>();
    }
}
