//! A long audit log: how long it takes to verify it, in the store and in an export.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;

use super::figures::Engine;
use super::machine::Machine;
use crate::guard::Guard;
use crate::process;
use crate::services::folder::Folder;
use crate::services::postgres::Postgres;
use crate::services::signalbox::Installation;

pub(crate) struct Audit {
    pub(crate) guard: Arc<Guard>,
    pub(crate) binary: PathBuf,
    /// The example of the crate that appends entries.
    pub(crate) fill: PathBuf,
    pub(crate) entries: u64,
    pub(crate) rounds: usize,
    pub(crate) engine: Engine,
    pub(crate) folder: Option<PathBuf>,
    /// Started by the caller when the engine is PostgreSQL.
    pub(crate) postgres: Option<Postgres>,
}

#[derive(Serialize, Debug)]
pub(crate) struct AuditFigures {
    machine: Machine,
    engine: Engine,
    /// As `verify` counts them: those of the bench, and the few that making the store leaves.
    entries: u64,
    personal_values: u64,
    appended_per_second: f64,
    export_seconds: f64,
    export_bytes: u64,
    /// Wall time of `signalbox audit verify`, from start to end of the process; one figure per round.
    verify_store_seconds: Vec<f64>,
    verify_export_seconds: Vec<f64>,
}

impl Audit {
    pub(crate) fn run(&self) -> Result<AuditFigures> {
        let folder = match &self.folder {
            Some(parent) => Folder::create_in(&self.guard, parent, "audit")?,
            None => Folder::create(&self.guard, "audit")?,
        };
        let data = folder.path().join("data");
        let database_url = self.postgres.as_ref().map(|postgres| postgres.url("bench"));
        let installation =
            Installation { binary: self.binary.clone(), data: data.clone(), database_url: database_url.clone() };
        installation.run(&["migrate"])?;
        let mut fill = Command::new(&self.fill);
        fill.arg(&data).arg(self.entries.to_string()).env_remove("DATABASE_URL");
        if let Some(url) = &database_url {
            fill.env("DATABASE_URL", url);
        }
        let started = Instant::now();
        process::output(&mut fill)?;
        let filled = started.elapsed();
        eprintln!("  {} entries appended within {:.0} s", self.entries, filled.as_secs_f64());
        let file = folder.path().join("export.jsonl");
        let name = file.to_str().context("the folder's name is no text")?;
        let started = Instant::now();
        installation.run(&["audit", "export", "--file", name])?;
        let exported = started.elapsed();
        eprintln!("  exported within {:.1} s", exported.as_secs_f64());
        let (mut store_seconds, mut export_seconds) = (Vec::new(), Vec::new());
        let mut report = Value::Null;
        for _ in 0..self.rounds {
            let (seconds, found) = verify(&installation, &["audit", "verify", "--output", "json"])?;
            store_seconds.push(seconds);
            let (seconds, of_export) = verify(&installation, &["audit", "verify", "--output", "json", "--file", name])?;
            export_seconds.push(seconds);
            if of_export["entries"] != found["entries"] || found["entries"].as_u64() < Some(self.entries) {
                bail!("entries are missing: {found} in the store, {of_export} in the export");
            }
            report = found;
        }
        let count = |name: &str| report[name].as_u64().with_context(|| format!("`verify` tells no {name}"));
        Ok(AuditFigures {
            machine: Machine::look(folder.path()),
            engine: self.engine,
            entries: count("entries")?,
            personal_values: count("personal")?,
            appended_per_second: self.entries as f64 / filled.as_secs_f64(),
            export_seconds: exported.as_secs_f64(),
            export_bytes: std::fs::metadata(&file)?.len(),
            verify_store_seconds: store_seconds,
            verify_export_seconds: export_seconds,
        })
    }
}

fn verify(installation: &Installation, arguments: &[&str]) -> Result<(f64, Value)> {
    let started = Instant::now();
    let printed = installation.run(arguments)?;
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("  {} within {seconds:.2} s", arguments.join(" "));
    Ok((seconds, serde_json::from_str(&printed)?))
}
