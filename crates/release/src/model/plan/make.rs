use std::collections::BTreeMap;
use std::fmt;

use signalbox_core::setting::Period;

use super::production;
use super::{
    Action, Live, LiveVersion, Phase, PhasePlan, Plan, Role, Step, StepId, SuiteKind, Traffic, TrafficReport, Undo,
};
use crate::model::manifest::{Manifest, Profile};
use crate::model::migration::{Inspection, Problem, Set, inspect};
use crate::model::readiness::Evidence;
use crate::model::value::{Digest, Percent, Version, digest_of};

/// What a plan is made of.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    pub manifest: &'a Manifest,
    pub version: &'a Version,
    pub live: &'a Live,
    /// Of the folder that the manifest names.
    pub migrations: Option<&'a Set>,
    pub evidence: &'a Evidence,
    pub traffic: Option<Traffic>,
    /// How long steps of a kind took in earlier releases, by [`Action::word`].
    pub took: &'a BTreeMap<String, Period>,
}

/// Why there can be no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// What is live has this version and is something else.
    VersionTaken {
        version: Version,
    },
    /// The version that serves is not well: there would be nowhere to go back to.
    NoHealthyTarget {
        version: Version,
    },
    Migrations(Vec<Problem>),
    /// The manifest names migrations and nobody read them.
    MigrationsNotRead,
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VersionTaken { version } => {
                write!(
                    out,
                    "{version} is live and is not what the manifest describes; give what you release a version of its own"
                )
            }
            Self::NoHealthyTarget { version } => {
                write!(
                    out,
                    "no instance of {version} is healthy, so there would be nothing to roll back to; mend it or stop it first"
                )
            }
            Self::Migrations(problems) => {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                out.write_str(&lines.join("\n"))
            }
            Self::MigrationsNotRead => write!(out, "the manifest names migrations, and their folder was not read"),
        }
    }
}

impl std::error::Error for Refusal {}

impl Manifest {
    /// The digest of what runs: the same manifest and version always make the same, and nothing else does.
    pub fn spec(&self, version: &Version) -> Digest {
        let service = &self.service;
        digest_of(&(version, &service.run, &service.env, &service.artifact, &service.limits, &service.health))
    }
}

/// Makes the plan that takes `version` to production; none when it serves already and nothing waits.
pub fn plan(inputs: Inputs<'_>) -> Result<Option<Plan>, Refusal> {
    let Inputs { manifest, version, live, .. } = inputs;
    let spec = manifest.spec(version);
    let migrations = pending(&inputs)?;
    let stable = live.stable();
    let leftovers: Vec<&LiveVersion> = live.versions.iter().filter(|one| one.role == Role::Canary).collect();
    if let Some(stable) = stable.filter(|stable| stable.version == *version) {
        if stable.spec != spec {
            return Err(Refusal::VersionTaken { version: version.clone() });
        }
        // An identical spec is nothing to release, and no way to roll back either.
        let serves = stable.weight == Percent::ALL && stable.ready >= manifest.service.instances.get();
        if serves && leftovers.is_empty() && migrations.before.is_empty() && migrations.contracts.is_empty() {
            return Ok(None);
        }
    }
    if let Some(stable) = stable.filter(|stable| stable.ready == 0 && stable.version != *version) {
        return Err(Refusal::NoHealthyTarget { version: stable.version.clone() });
    }
    let target = stable.filter(|stable| stable.version != *version);
    let mut maker = Maker { inputs, phases: Vec::new(), point_of_no_return: None };
    maker.validation(target, &leftovers);
    maker.backup();
    maker.build_check();
    maker.staging(&migrations);
    production::add(&mut maker, target, &migrations);
    Ok(Some(maker.finish(target)))
}

fn pending(inputs: &Inputs<'_>) -> Result<Inspection, Refusal> {
    let Some(rules) = &inputs.manifest.migrations else { return Ok(Inspection::default()) };
    let set = inputs.migrations.ok_or(Refusal::MigrationsNotRead)?;
    let found = inspect(set, &inputs.live.applied, rules.order);
    if found.problems.is_empty() { Ok(found) } else { Err(Refusal::Migrations(found.problems)) }
}

/// Gathers steps, phase by phase.
pub(super) struct Maker<'a> {
    pub(super) inputs: Inputs<'a>,
    phases: Vec<PhasePlan>,
    point_of_no_return: Option<StepId>,
}

impl Maker<'_> {
    pub(super) fn begin(&mut self, phase: Phase) {
        self.phases.push(PhasePlan { phase, steps: Vec::new() });
    }

    pub(super) fn add(&mut self, action: Action, undo: Undo) {
        let phase = self.phases.last_mut().expect("a phase has begun");
        let id = StepId { phase: phase.phase.number(), step: phase.steps.len() as u16 + 1 };
        if matches!(undo, Undo::Impossible { .. }) && self.point_of_no_return.is_none() {
            self.point_of_no_return = Some(id);
        }
        let usual = action.usual();
        // How long a hold lasts is said; how long work takes is best known from last time.
        let held = matches!(action, Action::Judge { .. } | Action::Bake { .. } | Action::TakeBaseline { .. });
        let took = self.inputs.took.get(action.word()).copied().filter(|_| !held);
        // The first release has no last time, but perhaps a restore was rehearsed.
        let drill = self.inputs.evidence.database.drill.as_ref().filter(|_| action == Action::RestoreCopy);
        let took = took.or_else(|| drill.map(|drill| drill.value.took));
        let expected = took.unwrap_or(usual);
        let at_most = at_most(&action, expected, self.inputs.manifest);
        phase.steps.push(Step { id, action, undo, expected, at_most });
    }

    /// A step that changes nothing.
    pub(super) fn look(&mut self, action: Action) {
        self.add(action, Undo::Nothing);
    }

    fn validation(&mut self, target: Option<&LiveVersion>, leftovers: &[&LiveVersion]) {
        let manifest = self.inputs.manifest;
        self.begin(Phase::Validation);
        self.look(Action::CheckReadiness { threshold: manifest.readiness.threshold.get() });
        self.look(Action::AwaitGo { roles: manifest.approvals.roles.clone() });
        if let Some(target) = target {
            self.look(Action::ProbeTarget { version: target.version.clone() });
        }
        for leftover in leftovers {
            let why = "it was never promoted".to_owned();
            self.add(Action::ClearLeftover { version: leftover.version.clone() }, Undo::Stays { why });
        }
        if target.is_some() {
            let lasting = match manifest.profile {
                Profile::Fast => Period::from_secs(10),
                Profile::Standard | Profile::Careful => Period::from_secs(60),
            };
            // No longer than what it is for: a quick release takes a quick look.
            let hold = manifest.canary.steps.first().map_or(lasting, |step| step.hold);
            self.look(Action::TakeBaseline { lasting: lasting.min(hold) });
        }
    }

    fn backup(&mut self) {
        self.begin(Phase::Backup);
        if self.inputs.manifest.has_database() {
            self.add(Action::Backup, Undo::Stays { why: "a backup does no harm".into() });
            self.look(Action::VerifyBackup);
        }
    }

    fn build_check(&mut self) {
        self.begin(Phase::BuildCheck);
        if let Some(artifact) = &self.inputs.manifest.service.artifact {
            self.look(Action::CheckArtifact { sha256: artifact.sha256 });
        }
    }

    fn staging(&mut self, migrations: &Inspection) {
        let manifest = self.inputs.manifest;
        let version = self.inputs.version.clone();
        self.begin(Phase::StagingDeploy);
        let Some(staging) = &manifest.staging else {
            self.begin(Phase::StagingValidation);
            return;
        };
        if manifest.has_database() {
            self.add(Action::RestoreCopy, Undo::RemoveCopy);
        }
        if manifest.keeps_own_store() {
            let names = vec![format!("those of {version}")];
            self.add(Action::MigrateCopy { migrations: names }, Undo::RemoveCopy);
        }
        if !migrations.before.is_empty() {
            let names = migrations.before.iter().map(ToString::to_string).collect();
            self.add(Action::MigrateCopy { migrations: names }, Undo::RemoveCopy);
        }
        self.add(Action::StartStaging { version }, Undo::StopStaging);
        self.begin(Phase::StagingValidation);
        let suites = [
            (SuiteKind::Smoke, staging.smoke.len()),
            (SuiteKind::Accessibility, staging.accessibility.len()),
            (SuiteKind::WebVitals, staging.web_vitals.len()),
        ];
        for (suite, commands) in suites.into_iter().filter(|(_, commands)| *commands > 0) {
            self.look(Action::RunSuite { suite, commands });
        }
        if !staging.probes.is_empty() {
            self.look(Action::ProbeStaging { probes: staging.probes.len() });
        }
        if let Some(load) = staging.load {
            let lasting = match manifest.profile {
                Profile::Fast => Period::from_secs(10),
                Profile::Standard => Period::from_secs(60),
                Profile::Careful => Period::from_secs(300),
            };
            self.look(Action::LoadStaging { requests_per_second: load.peak.get() * load.factor.get(), lasting });
        }
        self.add(Action::StopStaging, Undo::Stays { why: "staging is started anew where it is needed".into() });
    }

    fn finish(self, target: Option<&LiveVersion>) -> Plan {
        let Inputs { manifest, version, traffic, .. } = self.inputs;
        let steps = self.phases.iter().flat_map(|phase| &phase.steps);
        let report = TrafficReport::new(&manifest.canary, traffic);
        // A hold lasts until the requests have come, where that takes longer.
        let longer = report.steps.iter().filter_map(|step| {
            let limit = step.hold.0 + manifest.canary.insufficient.waits().0;
            Some(step.needs?.0.min(limit).saturating_sub(step.hold.0))
        });
        let expected = steps.map(|step| step.expected.0).sum::<std::time::Duration>() + longer.sum();
        let mut plan = Plan {
            service: manifest.service.name.clone(),
            from: target.map(|target| target.version.clone()),
            to: version.clone(),
            profile: manifest.profile,
            manifest: manifest.digest(),
            phases: self.phases,
            point_of_no_return: self.point_of_no_return,
            expected: Period(std::time::Duration::from_secs(expected.as_secs_f64().ceil() as u64)),
            traffic: report,
            hash: Digest::of(b""),
        };
        plan.hash = plan.compute_hash();
        plan
    }
}

/// How long a step may take: enough that only what hangs is cut off.
fn at_most(action: &Action, expected: Period, manifest: &Manifest) -> Period {
    let minutes = |count: u64| Period::from_secs(count * 60);
    match action {
        Action::AwaitGo { .. } => manifest.approvals.expires,
        Action::Judge { hold, insufficient, .. } => {
            Period(hold.0 + insufficient.map_or_else(Period::default, |policy| policy.waits()).0)
        }
        Action::Scale { .. } | Action::StartStaging { .. } => Period(manifest.service.health.startup.0 * 2),
        Action::SetWeight { .. } => Period::from_secs(30),
        Action::Drain { at_most, .. } => *at_most,
        Action::Stop { .. } => Period(manifest.service.stop.0 * 2),
        Action::ClearLeftover { .. } => Period(manifest.service.drain.0 + manifest.service.stop.0 * 2),
        Action::Migrate { .. }
        | Action::MigrateOwn { .. }
        | Action::MigrateCopy { .. }
        | Action::Backup
        | Action::VerifyBackup
        | Action::RestoreCopy => minutes(24 * 60),
        _ => minutes(10).max(Period(expected.0 * 3)),
    }
}
