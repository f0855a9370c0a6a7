//! `signalbox doctor`: is everything as it must be, and if not, what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clap::Args;
use serde::Serialize;
use signalbox_core::clock::{Clock as _, SystemClock};
use signalbox_core::time::Micros;
use signalbox_store::{EngineName, Faults, Scope, Store, StoreError};

use super::Common;
use crate::health::{Status, free_bytes};
use crate::installation::{MIGRATIONS, is_new, open_store};
use crate::keyfile;
use crate::output::print;
use crate::settings::Settings;

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
    if is_new(settings) {
        checks.push(warn("database", format!("{} holds no database yet; `signalbox serve` makes one", data.display())));
        return;
    }
    match open_store(settings, Faults::default()) {
        Ok(store) => database(&store, checks),
        Err(error) => checks.push(fail("database", format!("{error:#}"))),
    }
    if !keyfile::path(data).exists() {
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
    checks.push(match store.check_integrity() {
        Ok(()) => pass("integrity", "no damage found"),
        Err(error) => fail("integrity", error.to_string()),
    });
}
