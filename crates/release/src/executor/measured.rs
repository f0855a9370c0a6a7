//! What the steps of a release measured, as evidence for it and for later ones.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use signalbox_core::setting::Period;
use signalbox_core::time::Micros;

use super::journal_file::JournalFile;
use super::release::{Kind, Release, Request};
use crate::model::machine::{Direction, Event, Journal, Outcome, Record};
use crate::model::plan::{Action, Plan, Undo};
use crate::model::readiness::{Backup, Baseline, Drill, Evidence, Fact, LoadTest, Rehearsal, SourceOfFact, Tests};
use crate::model::value::{Digest, Percent, Version};

/// Its name in the folder of the release.
const FILE: &str = "measured.json";

/// Of one release.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Measured {
    /// What was measured in staging holds for the same version run the same way.
    spec: Option<Digest>,
    backup: Option<Fact<Backup>>,
    drill: Option<Fact<Drill>>,
    rehearsed: Option<Fact<Rehearsal>>,
    smoke: Option<Fact<Tests>>,
    load: Option<Fact<LoadTest>>,
    /// Of the version that served.
    baseline: Option<(Version, Fact<Baseline>)>,
}

/// Adds to what this release measured. That it could not be written down is no reason to go back.
pub(super) fn note(release: &Release, add: impl FnOnce(&mut Measured, &SourceOfFact)) {
    let path = release.folder.join(FILE);
    let source = source(&release.request.version, &release.id, release.tools.clock.now());
    let noted = crate::disk::load_json::<Measured>(&path).and_then(|found| {
        let mut measured = found.unwrap_or_default();
        measured.spec = Some(release.manifest.spec(&release.request.version));
        add(&mut measured, &source);
        crate::disk::store_json(&path, &measured)
    });
    if let Err(error) = noted {
        tracing::warn!(%error, "what was measured could not be written down");
    }
}

fn source(version: &Version, reference: &str, at: Micros) -> SourceOfFact {
    SourceOfFact { command: format!("signalbox release journal {version}"), reference: reference.to_owned(), at }
}

impl Measured {
    /// A backup that was made at that moment, and read back or not.
    pub(super) fn backup(&mut self, made_at: Micros, verified: bool, source: &SourceOfFact) {
        self.backup = Some(fact(Backup { made_at, verified }, source));
    }

    /// It was read back.
    pub(super) fn verified(&mut self, source: &SourceOfFact) {
        if let Some(made) = &mut self.backup {
            *made = fact(Backup { verified: true, ..made.value }, source);
        }
    }

    /// A restore of it.
    pub(super) fn drill(&mut self, passed: bool, took: Duration, source: &SourceOfFact) {
        self.drill = Some(fact(Drill { passed, at: source.at, took: Period(took) }, source));
    }

    /// Migrations on the copy.
    pub(super) fn rehearsed(&mut self, passed: bool, took: Duration, source: &SourceOfFact) {
        self.rehearsed = Some(fact(Rehearsal { passed, took: Period(took) }, source));
    }

    /// More of what must pass in staging; a suite that is run again counts anew.
    pub(super) fn smoke(&mut self, tests: Tests, source: &SourceOfFact) {
        self.smoke = Some(fact(tests, source));
    }

    pub(super) fn load(&mut self, test: LoadTest, source: &SourceOfFact) {
        self.load = Some(fact(test, source));
    }

    pub(super) fn baseline(&mut self, of: Version, baseline: Baseline, source: &SourceOfFact) {
        self.baseline = Some((of, fact(baseline, source)));
    }
}

fn fact<T>(value: T, source: &SourceOfFact) -> Fact<T> {
    Fact { value, source: source.clone() }
}

/// The folders of this service's releases, the newest first, with the one that is looked at.
fn folders(service: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(service).into_iter().flatten().flatten().map(|entry| entry.path());
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u64>().ok();
    let mut found: Vec<(u64, PathBuf)> = entries.filter_map(|path| Some((number(&path)?, path))).collect();
    found.sort_unstable();
    found.into_iter().rev().map(|(_, path)| path).collect()
}

/// Fills in what nobody handed in, from what this service's releases measured.
pub(super) fn fill(release: &Release, plan: &Plan, evidence: &mut Evidence) -> Result<(), String> {
    let spec = release.manifest.spec(&plan.to);
    for folder in folders(release.service_folder()) {
        let found: Option<Measured> =
            crate::disk::load_json(&folder.join(FILE)).map_err(|error| format!("{}: {error}", folder.display()))?;
        if let Some(found) = found {
            let database = &mut evidence.database;
            database.backup = database.backup.take().or(found.backup);
            database.drill = database.drill.take().or(found.drill);
            if found.spec == Some(spec) {
                evidence.migrations_rehearsed = evidence.migrations_rehearsed.take().or(found.rehearsed);
                evidence.smoke = evidence.smoke.take().or(found.smoke);
                evidence.performance.load_test = evidence.performance.load_test.take().or(found.load);
            }
            if let Some((of, baseline)) = found.baseline
                && Some(&of) == plan.from.as_ref()
            {
                evidence.performance.baseline.get_or_insert(baseline);
            }
        }
        if evidence.rollback_rehearsed.is_none() {
            evidence.rollback_rehearsed = way_back_of(&folder);
        }
    }
    Ok(())
}

/// How the load of the last release that measured one went, other than this one.
pub(super) fn load_before(release: &Release) -> Option<(Version, LoadTest)> {
    let before = folders(release.service_folder()).into_iter().filter(|folder| *folder != release.folder);
    before.into_iter().find_map(|folder| {
        let load = crate::disk::load_json::<Measured>(&folder.join(FILE)).ok()??.load?;
        Some((JournalFile::read(&folder).ok()?.plan().to.clone(), load.value))
    })
}

/// How long the way back took that a release tells of: from the decision until all traffic was seen at the old version.
fn way_back_of(folder: &Path) -> Option<Fact<Rehearsal>> {
    let request: Request = crate::disk::load_json(&folder.join("request.json")).ok()??;
    let journal = JournalFile::read(folder).ok()?;
    match request.kind {
        Kind::Deploy => way_back(&journal),
        Kind::Rollback => went_back(&journal),
    }
}

/// A release that was a way back itself.
fn went_back(journal: &Journal) -> Option<Fact<Rehearsal>> {
    let (plan, records) = (journal.plan(), journal.records());
    let all = |id| matches!(plan.step(id).map(|step| &step.action), Some(Action::SetWeight { weight, .. }) if *weight == Percent::ALL);
    let routed = records
        .iter()
        .find(|record| matches!(&record.event, Event::Confirm { step, direction: Direction::Do, .. } if all(*step)));
    let Event::Ended { outcome, .. } = &records.last()?.event else { return None };
    Some(rehearsal(plan, records.first()?, routed.or(records.last())?, *outcome == Outcome::Promoted))
}

fn rehearsal(plan: &Plan, from: &Record, until: &Record, passed: bool) -> Fact<Rehearsal> {
    let took = Period(Duration::from_micros(u64::try_from(until.at.0 - from.at.0).unwrap_or(0)));
    let reference = format!("journal {} to {}", from.seq, until.seq);
    Fact { value: Rehearsal { passed, took }, source: source(&plan.to, &reference, until.at) }
}

/// A release that was taken back.
fn way_back(journal: &Journal) -> Option<Fact<Rehearsal>> {
    let (plan, records) = (journal.plan(), journal.records());
    let back = records.iter().find(|record| matches!(record.event, Event::RollbackBegun { .. }))?;
    let last = records.last()?;
    let Event::Ended { outcome, .. } = &last.event else { return None };
    // Only where traffic had moved is there something to measure.
    let routed = records.iter().find(|record| match &record.event {
        Event::Confirm { step, direction: Direction::Undo, .. } => {
            plan.step(*step).is_some_and(|step| matches!(step.undo, Undo::RouteAll { .. }))
        }
        _ => false,
    });
    let moved = records.iter().any(|record| match &record.event {
        Event::Intent { step, direction: Direction::Do, .. } => {
            plan.step(*step).is_some_and(|step| matches!(step.action, Action::SetWeight { .. }))
        }
        _ => false,
    });
    let until = match (outcome, routed) {
        (Outcome::RolledBack, Some(routed)) => routed,
        (Outcome::NeedsHands, _) if moved => last,
        _ => return None,
    };
    Some(rehearsal(plan, back, until, *outcome == Outcome::RolledBack))
}
