use std::collections::HashMap;

use serde::Serialize;
use signalbox_core::setting::Period;
use signalbox_core::time::Micros;

use super::traffic::Decides;
use super::{Action, Phase, Plan, Step, StepId, Undo};
use crate::model::calendar::Decision;
use crate::model::manifest::Manifest;
use crate::model::migration::Kind;
use crate::model::value::{Percent, Version};

/// Something in a plan that is wrong, or that one should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lint {
    pub code: LintCode,
    pub severity: Severity,
    pub step: Option<StepId>,
    pub said: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The plan is not run.
    Refuses,
    Warns,
}

macro_rules! codes {
    ($($name:ident $word:literal $severity:ident $about:literal,)*) => {
        /// What is looked for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum LintCode { $($name,)* }

        impl LintCode {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As JSON and documents write it.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// Whether the plan is refused.
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            /// What it means, as the documents tell it.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $about,)* }
            }
        }
    };
}

codes! {
    PhasesOutOfOrder "phases-out-of-order" Refuses "the eight phases are not there once each, in order",
    WeightBeforeCapacity "weight-before-capacity" Refuses "traffic before there are instances to carry it",
    NoUndo "no-undo" Refuses "a step changes something and has no undo, and is not a contract",
    StepsNotRising "steps-not-rising" Refuses "a weight is not higher than the one before",
    LastStepNotAll "last-step-not-all" Refuses "the last weight is not 100 %",
    UnjudgedStep "unjudged-step" Refuses "a weight is not followed by a judgement",
    NoMetric "no-metric" Refuses "nothing decides: there is no metric, or all are shadows",
    NoPolicy "no-policy" Refuses "nothing says what happens when too few requests come",
    ContractTooEarly "contract-too-early" Refuses "a contract before the old version is stopped",
    RetireBeforeDrained "retire-before-drained" Refuses "a version is stopped before it is routed away and drained",
    BackupAfterMigration "backup-after-migration" Refuses "a migration without a verified backup before it",
    TargetNotProbed "target-not-probed" Refuses "traffic moves before the version to go back to was probed",
    HashDiffers "hash-differs" Refuses "the plan is not the one that its hash names",
    WindowTooShort "window-too-short" Refuses "the window closes before the plan ends",
    CannotDecide "cannot-decide" Warns "too little traffic: the policy will decide, not the requests",
    HoldTooShort "hold-too-short" Warns "the requests for a verdict need longer than the hold",
    TrafficUnknown "traffic-unknown" Warns "nobody saw the traffic, so no one can say how long verdicts take",
    NoTrigger "no-trigger" Warns "no trigger rolls back by itself",
    NoProbe "no-probe" Warns "nothing looks at the content of answers: wrong bodies with status 200 pass",
    NoVersionInHealth "no-version-in-health" Warns "the health check does not tell the version: a wrong one passes",
    NoArtifact "no-artifact" Warns "nothing proves that what was tested is what runs",
    NoStaging "no-staging" Warns "nothing is tried before production",
}

/// Everything that is to be said about a plan that begins at `start`: refusals first.
pub fn lint(plan: &Plan, manifest: &Manifest, start: Micros) -> Vec<Lint> {
    let mut lints = Lints { found: Vec::new() };
    lints.order(plan);
    lints.migrations(plan);
    lints.traffic(plan);
    lints.surroundings(plan, manifest);
    lints.window(plan, manifest, start);
    lints.found.sort_by_key(|lint| lint.severity == Severity::Warns);
    lints.found
}

struct Lints {
    found: Vec<Lint>,
}

impl Lints {
    fn add(&mut self, code: LintCode, step: Option<&Step>, said: String) {
        self.found.push(Lint { code, severity: code.severity(), step: step.map(|step| step.id), said });
    }

    /// What comes before what.
    fn order(&mut self, plan: &Plan) {
        if !plan.phases.iter().map(|phase| phase.phase).eq(Phase::ALL) {
            self.add(LintCode::PhasesOutOfOrder, None, "the eight phases are not there once each, in order".into());
        }
        let target = plan.from.as_ref();
        let all = plan.steps().filter_map(|step| match &step.action {
            Action::Scale { version, instances } if *version == plan.to => Some(*instances),
            _ => None,
        });
        let full = all.max().unwrap_or(0);
        let mut capacity: HashMap<&Version, u64> = HashMap::new();
        let mut last = Percent::NONE;
        let mut last_weight: Option<&Step> = None;
        let mut unjudged: Option<&Step> = None;
        let mut probed = false;
        let mut drained: Vec<&Version> = Vec::new();
        for step in plan.steps() {
            match &step.action {
                Action::ProbeTarget { version } => probed |= Some(version) == target,
                Action::Scale { version, instances } => {
                    capacity.insert(version, *instances);
                }
                Action::SetWeight { version, weight } => {
                    let have = capacity.get(version).copied().unwrap_or(0);
                    let needs = weight.of_instances(full).max(1);
                    if have < needs {
                        let said = format!(
                            "step {} gives {version} {weight}, which needs {needs} instances, and has {have}",
                            step.id
                        );
                        self.add(LintCode::WeightBeforeCapacity, Some(step), said);
                    }
                    if target.is_some() && !probed {
                        let said =
                            format!("step {} moves traffic before the version to go back to was probed", step.id);
                        self.add(LintCode::TargetNotProbed, Some(step), said);
                        probed = true;
                    }
                    if *weight <= last {
                        let said = format!("step {} sets {weight} after {last}; steps rise", step.id);
                        self.add(LintCode::StepsNotRising, Some(step), said);
                    }
                    if let Some(before) = unjudged.replace(step) {
                        self.add(
                            LintCode::UnjudgedStep,
                            Some(before),
                            format!("step {} is not followed by a judgement", before.id),
                        );
                    }
                    (last, last_weight) = (*weight, Some(step));
                }
                Action::Judge { metrics, insufficient, .. } => {
                    unjudged = None;
                    if *metrics == 0 {
                        self.add(
                            LintCode::NoMetric,
                            Some(step),
                            format!("step {} has no metric that decides", step.id),
                        );
                    }
                    if insufficient.is_none() {
                        let said = format!("step {} does not say what happens when too few requests come", step.id);
                        self.add(LintCode::NoPolicy, Some(step), said);
                    }
                }
                Action::Drain { version, .. } => drained.push(version),
                Action::Stop { version } if last != Percent::ALL || !drained.contains(&version) => {
                    let said = format!("step {} stops {version} before it is routed away and drained", step.id);
                    self.add(LintCode::RetireBeforeDrained, Some(step), said);
                }
                _ => (),
            }
            let contract = matches!(step.action, Action::Migrate { kind: Kind::Contract, .. });
            if step.action.changes() && !contract && matches!(step.undo, Undo::Nothing | Undo::Impossible { .. }) {
                self.add(LintCode::NoUndo, Some(step), format!("step {} ({}) has no undo", step.id, step.action));
            }
        }
        if let Some(step) = unjudged {
            self.add(LintCode::UnjudgedStep, Some(step), format!("step {} is not followed by a judgement", step.id));
        }
        if last != Percent::ALL {
            self.add(LintCode::LastStepNotAll, last_weight, format!("the last weight is {last}, not 100 %"));
        }
        if plan.hash != plan.compute_hash() {
            self.add(LintCode::HashDiffers, None, "the plan was changed after its hash was made; plan again".into());
        }
    }

    fn migrations(&mut self, plan: &Plan) {
        let mut verified = false;
        let mut stopped = plan.from.is_none();
        for step in plan.steps() {
            match &step.action {
                Action::VerifyBackup => verified = true,
                Action::Stop { version } => stopped |= Some(version) == plan.from.as_ref(),
                Action::MigrateOwn { version } if !verified => {
                    let said = format!("step {} migrates to {version} without a verified backup before it", step.id);
                    self.add(LintCode::BackupAfterMigration, Some(step), said);
                }
                Action::Migrate { migration, kind, .. } => {
                    if !verified {
                        let said = format!("step {} runs {migration} without a verified backup before it", step.id);
                        self.add(LintCode::BackupAfterMigration, Some(step), said);
                    }
                    if *kind == Kind::Contract && !stopped {
                        let said = format!("step {} runs {migration} before the old version is stopped", step.id);
                        self.add(LintCode::ContractTooEarly, Some(step), said);
                    }
                }
                _ => (),
            }
        }
    }

    fn traffic(&mut self, plan: &Plan) {
        // Nobody is compared with in a first release.
        if plan.from.is_none() {
            return;
        }
        if plan.traffic.traffic.is_none() {
            self.add(
                LintCode::TrafficUnknown,
                None,
                "nobody saw the traffic; how long verdicts take is not known".into(),
            );
        }
        for row in &plan.traffic.steps {
            let step =
                plan.steps().find(|step| matches!(&step.action, Action::Judge { weight, .. } if *weight == row.weight));
            let needs = row.needs.map_or("longer than a year".to_owned(), |needs| rounded(needs).to_string());
            let text = format!("at {} {} requests take {needs}", row.weight, row.requests);
            match row.decides {
                Decides::WithinPolicy => {
                    self.add(LintCode::HoldTooShort, step, format!("{text}, the hold is {}", row.hold));
                }
                Decides::Never => {
                    let said = format!("{text}: the policy will decide, not the requests");
                    self.add(LintCode::CannotDecide, step, said);
                }
                Decides::WithinHold | Decides::Unknown => (),
            }
        }
    }

    fn surroundings(&mut self, plan: &Plan, manifest: &Manifest) {
        let mut warn = |code: LintCode, when: bool, said: &str| {
            if when {
                self.add(code, None, said.to_owned());
            }
        };
        let probes = manifest.staging.as_ref().is_some_and(|staging| !staging.probes.is_empty());
        warn(
            LintCode::NoTrigger,
            manifest.rollback.all_off(),
            "errors, latency, breaker and health are off: nothing rolls back by itself between judgements",
        );
        warn(
            LintCode::NoProbe,
            !probes,
            "no [[staging.probe]] looks at the content of answers: wrong bodies with status 200 pass",
        );
        warn(
            LintCode::NoVersionInHealth,
            manifest.service.health.version.is_none(),
            "service.health.version is not said: a wrong version passes as healthy",
        );
        let artifact = plan.steps().any(|step| matches!(step.action, Action::CheckArtifact { .. }));
        warn(
            LintCode::NoArtifact,
            !artifact,
            "service.artifact is not said: nothing proves that what was tested is what runs",
        );
        warn(
            LintCode::NoStaging,
            manifest.staging.is_none(),
            "there is no [staging]: nothing is tried before production",
        );
    }

    fn window(&mut self, plan: &Plan, manifest: &Manifest, start: Micros) {
        // A closed window is no fault of the plan; the decision tells it.
        let Decision::Open { until: Some(until) } = manifest.calendar.decide(start) else { return };
        let ends = start.plus(plan.expected.micros());
        if ends > until {
            let said = format!(
                "it takes about {} and would end at {ends}, and the window closes at {until}; begin earlier or take a faster profile",
                rounded(plan.expected)
            );
            self.add(LintCode::WindowTooShort, None, said);
        }
    }
}

/// To whole seconds, minutes from ten on: an estimate looks like one.
pub(super) fn rounded(period: Period) -> Period {
    let seconds = period.0.as_secs();
    Period::from_secs(if seconds > 600 { seconds.div_ceil(60) * 60 } else { seconds })
}
