//! Readiness at the moment of the release: what was handed in, what commands of the manifest say, what can be seen here.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use signalbox_core::setting::Period;
use signalbox_core::time::Micros;

use super::release::{Kind, Release};
use super::{backup, collect, commands, measured};
use crate::driver::{Role, State};
use crate::model::manifest::Manifest;
use crate::model::migration::inspect;
use crate::model::plan::Plan;
use crate::model::readiness::{
    Advisories, Evidence, Fact, Findings, Rehearsal, Report, SourceOfFact, Subject, Tests, report,
};
use crate::model::value::Digest;

/// Its name in the folder of the release.
const EVIDENCE: &str = "evidence.json";

/// Everything that was known when readiness was judged.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Found {
    pub at: Micros,
    pub evidence: Evidence,
}

/// Checks it; the error names the score and everything that is missed.
pub(super) async fn check(release: &Release, plan: &Plan) -> Result<String, String> {
    if release.request.kind == Kind::Rollback {
        return Ok("a way back is always allowed".into());
    }
    let found = gather(release, plan).await?;
    let report = found.report(plan, &release.manifest);
    let store = |name: &str, stored: std::io::Result<()>| stored.map_err(|error| format!("{name}: {error}"));
    store("evidence.json", crate::disk::store_json(&release.folder.join(EVIDENCE), &found))?;
    store("readiness.json", crate::disk::store_json(&release.folder.join("readiness.json"), &report))?;
    let said =
        format!("readiness {} of 100 (needs {}), confidence {}", report.score, report.threshold, report.confidence);
    let missed: Vec<String> =
        report.missed().map(|(component, check)| format!("{}: {}", component.title(), check.said)).collect();
    if report.ready {
        return Ok(said);
    }
    Err(if missed.is_empty() { said } else { format!("{said}; {}", missed.join("; ")) })
}

/// The report, on the evidence of this moment.
pub async fn look(release: &Release, plan: &Plan) -> Result<Report, String> {
    Ok(gather(release, plan).await?.report(plan, &release.manifest))
}

async fn gather(release: &Release, plan: &Plan) -> Result<Found, String> {
    let now = release.tools.clock.now();
    let mut evidence = release.request.evidence.clone();
    for (id, command) in &release.manifest.readiness.commands {
        let words = release.words(command, release.manifest.service.ports.first, &release.tools.data);
        let went = commands::run(&words, &release.request.base, &[("SIGNALBOX_CHECK", id.clone())]).await;
        let source = SourceOfFact { command: words.join(" "), reference: "its end".into(), at: now };
        take(&mut evidence, id, went, source);
    }
    collect(release, plan, &mut evidence, now).await?;
    measured::fill(release, plan, &mut evidence)?;
    collect::fill(release, plan, &mut evidence).await?;
    Ok(Found { at: release.tools.clock.now(), evidence })
}

impl Found {
    /// What a release was judged by; none where that was not done yet.
    pub(crate) fn of(folder: &Path) -> std::io::Result<Option<Self>> {
        crate::disk::load_json(&folder.join(EVIDENCE))
    }

    /// The same evidence always makes the same report.
    pub(crate) fn report(&self, plan: &Plan, manifest: &Manifest) -> Report {
        let subject = Subject { service: plan.service.clone(), version: plan.to.clone(), at: self.at };
        report(subject, manifest, &self.evidence)
    }
}

/// The end of a command as the fact that the check looks at.
fn take(evidence: &mut Evidence, id: &str, went: Result<String, String>, source: SourceOfFact) {
    let passed = went.is_ok();
    let wrong: Vec<String> = went.err().into_iter().collect();
    let count = u64::from(!passed);
    let words = || Some(fact(wrong.clone(), &source));
    let tests = Tests { passed: u64::from(passed), failed: count };
    match id {
        "configuration.settings" => evidence.configuration.problems = words(),
        "git.clean" => evidence.git.changed_files = Some(fact(count, &source)),
        "git.checks" => evidence.git.checks_passed = Some(fact(passed, &source)),
        "build.tests" => evidence.build.tests = Some(fact(tests, &source)),
        "dependencies.advisories" => {
            evidence.dependencies = Some(fact(Advisories { critical: count, high: 0, other: 0 }, &source));
        }
        "dependencies.licences" => evidence.licences_refused = words(),
        "migrations.rehearsed" => {
            evidence.migrations_rehearsed = Some(fact(Rehearsal { passed, took: Period::default() }, &source));
        }
        "security.findings" => {
            evidence.security.findings = Some(fact(Findings { errors: count, warnings: 0 }, &source));
        }
        "security.secrets" => evidence.security.leaked_secrets = Some(fact(count, &source)),
        "monitoring.alerts" => evidence.monitoring.firing = words(),
        "automation.smoke" => evidence.smoke = Some(fact(tests, &source)),
        "documentation.runbooks" => evidence.documentation.missing_runbooks = words(),
        "documentation.changelog" => evidence.documentation.in_changelog = Some(fact(passed, &source)),
        "team.announced" => evidence.team.announced = Some(fact(passed, &source)),
        // The manifest knows no other ones.
        _ => (),
    }
}

fn fact<T>(value: T, source: &SourceOfFact) -> Fact<T> {
    Fact { value, source: source.clone() }
}

/// What nobody has to say, because it is seen here.
async fn collect(release: &Release, plan: &Plan, evidence: &mut Evidence, now: Micros) -> Result<(), String> {
    let source = |command: &str| SourceOfFact { command: command.into(), reference: release.id.clone(), at: now };
    let manifest = &release.manifest;
    if let Some(artifact) = &manifest.service.artifact {
        let place = release.placeholders(manifest.service.ports.first, &release.tools.data);
        let path = release.path(&artifact.path.fill(&place));
        if path.is_file() {
            let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            evidence.build.artifact = Some(fact(Digest::of(&bytes), &source("sha256sum")));
        } else if path.is_dir() {
            // The driver alone knows how a folder is hashed, and refuses one that differs.
            evidence.build.artifact = Some(fact(artifact.sha256, &source("the driver checks it")));
        }
    }
    let port = manifest.service.ports.first;
    let secrets = manifest.notifications.iter().filter_map(|one| one.secret_file.as_ref());
    let secrets = secrets.map(|file| release.path(&file.fill(&release.placeholders(port, &release.tools.data))));
    let bad = secrets.filter(|path| !is_private(path)).map(|path| path.display().to_string()).collect();
    evidence.configuration.bad_secrets = Some(fact(bad, &source("ls -l")));
    if let Some(rules) = &manifest.migrations {
        let set = backup::set_of(release)?;
        let applied = backup::applied(release.service_folder())?;
        let found = inspect(&set, &applied, rules.order);
        evidence.migrations = Some(fact(found.problems, &source("signalbox release plan")));
    }
    if let Some(from) = &plan.from {
        let living = release.living(from, Role::Production).await?;
        let well = living.iter().any(|one| one.state == State::Healthy);
        evidence.monitoring.healthy = Some(fact(well, &source("signalbox status")));
    } else {
        evidence.monitoring.healthy = Some(fact(true, &source("nothing is live yet")));
    }
    Ok(())
}

/// A file of secrets that only its owner reads.
fn is_private(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o077 == 0)
}
