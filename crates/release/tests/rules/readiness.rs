//! Readiness, and go or no-go.

use serde::{Deserialize, Serialize};
use signalbox_core::setting::Period;
use signalbox_core::time::{DAY, Micros};
use signalbox_release::model::calendar;
use signalbox_release::model::exit::Exit;
use signalbox_release::model::manifest::{Manifest, Profile};
use signalbox_release::model::plan::{Plan, lint};
use signalbox_release::model::readiness::{
    Advisories, Backup, Baseline, Decision, Done, Drill, Evidence, Fact, Findings, Inputs, Judgement, LoadTest,
    Rehearsal, Report, SignOff, SourceOfFact, Subject, Tests, decide, report,
};
use signalbox_release::model::value::Digest;

use crate::given::{full, live, migrations, monday, planned, version};

pub fn seen<T>(value: T) -> Option<Fact<T>> {
    let source = SourceOfFact { command: "signalbox doctor".into(), reference: "check 7".into(), at: monday() };
    Some(Fact { value, source })
}

/// Everything was looked at and is well.
pub fn all_well() -> Evidence {
    let mut evidence = Evidence::default();
    evidence.configuration.problems = seen(Vec::new());
    evidence.configuration.bad_secrets = seen(Vec::new());
    evidence.git.changed_files = seen(0);
    evidence.git.tag = seen(Some("v2.0.0".into()));
    evidence.git.checks_passed = seen(true);
    evidence.build.artifact = seen(Digest::of(b"artifact"));
    evidence.build.tests = seen(Tests { passed: 900, failed: 0 });
    evidence.build.coverage = seen(92.5);
    evidence.dependencies = seen(Advisories { critical: 0, high: 0, other: 2 });
    evidence.licences_refused = seen(Vec::new());
    evidence.database.answered_in = seen(Period::from_millis(3));
    evidence.database.backup = seen(Backup { made_at: monday().plus(-DAY / 2), verified: true });
    evidence.database.drill = seen(Drill { passed: true, at: monday().plus(-9 * DAY), took: Period::from_secs(40) });
    evidence.migrations = seen(Vec::new());
    evidence.migrations_rehearsed = seen(Rehearsal { passed: true, took: Period::from_secs(2) });
    evidence.security.findings = seen(Findings { errors: 0, warnings: 3 });
    evidence.security.leaked_secrets = seen(0);
    evidence.monitoring.healthy = seen(true);
    evidence.monitoring.firing = seen(Vec::new());
    evidence.monitoring.alert_delivered = seen(Period::from_secs(4));
    evidence.monitoring.metrics_without_data = seen(Vec::new());
    evidence.rollback_rehearsed = seen(Rehearsal { passed: true, took: Period::from_millis(300) });
    evidence.smoke = seen(Tests { passed: 14, failed: 0 });
    let p99 = Period::from_millis(61);
    evidence.performance.baseline = seen(Baseline { at: monday(), requests_per_second: 50.0, p50: p99, p99 });
    evidence.performance.load_test = seen(LoadTest { requests_per_second: 100.0, p50: p99, p99, failed: 0 });
    evidence.documentation.missing_runbooks = seen(Vec::new());
    evidence.documentation.in_changelog = seen(true);
    evidence.team.on_call = seen(vec!["ann".into()]);
    evidence.team.announced = seen(true);
    evidence
}

pub fn judged(manifest: &Manifest, evidence: &Evidence) -> Report {
    let subject = Subject { service: manifest.service.name.clone(), version: version("2.0.0"), at: monday() };
    report(subject, manifest, evidence)
}

#[test]
fn everything_well_is_a_hundred() {
    let report = judged(&full(Profile::Standard, 2, ""), &all_well());
    assert_eq!((report.score, report.confidence, report.ready), (100.0, 100.0, true), "{report:#?}");
    assert_eq!(report.rows.len(), 12);
}

#[test]
fn no_evidence_is_never_a_pass() {
    let report = judged(&full(Profile::Standard, 2, ""), &Evidence::default());
    assert_eq!((report.score, report.confidence, report.ready), (0.0, 0.0, false));
    assert!(report.checks().all(|(_, check)| check.judgement != Judgement::Pass));
    assert!(report.checks().filter(|(_, check)| !check.passes()).all(|(_, check)| check.run.is_some()));
}

/// The database of Signalbox itself: there is none yet, or each release saves it.
#[test]
fn signalbox_itself_is_ready_without_a_backup_and_not_with_a_bad_one() {
    let text = format!("{}kind = \"engage\"\n", crate::given::LEAST);
    let manifest = crate::given::manifest(&text);
    let said = |evidence: &Evidence, id: &str| {
        let report = judged(&manifest, evidence);
        report.checks().find(|(_, check)| check.id == id).map(|(_, check)| check.judgement).unwrap()
    };
    let mut evidence = Evidence::default();
    assert_eq!(said(&evidence, "database.reachable"), Judgement::NoEvidence);
    assert_eq!(said(&evidence, "database.backup"), Judgement::NotApplicable);
    evidence.database.is_there = seen(false);
    assert_eq!(said(&evidence, "database.reachable"), Judgement::NotApplicable);
    evidence.database.is_there = seen(true);
    evidence.database.answered_in = seen(Period::from_secs(3));
    assert_eq!(said(&evidence, "database.reachable"), Judgement::Fail);
    evidence.database.backup = seen(Backup { made_at: monday(), verified: false });
    assert_eq!(said(&evidence, "database.backup"), Judgement::Fail);
    evidence.database.backup = seen(Backup { made_at: monday(), verified: true });
    assert_eq!(said(&evidence, "database.backup"), Judgement::Pass);
    // Of another service a database that is not there is told by nobody.
    let other = full(Profile::Standard, 2, "");
    let report = judged(&other, &Evidence { database: evidence.database.clone(), ..Evidence::default() });
    let reachable = report.checks().find(|(_, check)| check.id == "database.reachable").unwrap().1;
    assert_eq!(reachable.judgement, Judgement::Fail);
}

/// Each piece of evidence is taken away alone: the score falls, and with it the confidence.
#[test]
fn every_piece_of_evidence_counts() {
    let manifest = full(Profile::Standard, 2, "");
    let whole = serde_json::to_value(all_well()).unwrap();
    let mut pointers = Vec::new();
    for (key, value) in whole.as_object().unwrap() {
        match value.get("source") {
            Some(_) => pointers.push(format!("/{key}")),
            None => pointers.extend(value.as_object().unwrap().keys().map(|inner| format!("/{key}/{inner}"))),
        }
    }
    assert_eq!(pointers.len(), 30);
    // That there is a database is said by whoever looked at it.
    let counts = |pointer: &&String| !["/build/artifact", "/database/is_there"].contains(&pointer.as_str());
    for pointer in pointers.iter().filter(counts) {
        let mut less = whole.clone();
        *less.pointer_mut(pointer).unwrap() = serde_json::Value::Null;
        let report = judged(&manifest, &serde_json::from_value(less).unwrap());
        assert!(report.score < 100.0 && report.score == report.confidence, "{pointer}");
    }
}

#[test]
fn evidence_grows_old_and_does_not_come_from_the_future() {
    let manifest = full(Profile::Standard, 2, "");
    let mut evidence = all_well();
    let judgement = |evidence: &Evidence| {
        let report = judged(&manifest, evidence);
        let found =
            report.checks().find(|(_, check)| check.id == "build.tests").map(|(_, check)| check.clone()).unwrap();
        (found.judgement, found.said)
    };
    let mut move_to = |at: Micros| {
        evidence.build.tests.as_mut().unwrap().source.at = at;
        judgement(&evidence)
    };
    assert_eq!(move_to(monday().plus(-DAY)), (Judgement::Pass, "900 of 900 passed".into()));
    assert_eq!(
        move_to(monday().plus(-9 * DAY)),
        (Judgement::NoEvidence, "the tests: last looked at 9 days ago".into())
    );
    assert_eq!(move_to(monday().plus(DAY)).0, Judgement::NoEvidence);
}

#[test]
fn a_check_that_must_pass_is_a_no_go_whatever_the_score() {
    let manifest = full(Profile::Standard, 2, "[readiness]\nthreshold = 10");
    let mut evidence = all_well();
    evidence.database.backup = seen(Backup { made_at: monday().plus(-9 * DAY), verified: true });
    let report = judged(&manifest, &evidence);
    assert!(report.score > 90.0 && !report.ready);
    let missed: Vec<&str> = report.missed().map(|(_, check)| check.said.as_str()).collect();
    assert_eq!(missed, ["last verified backup was made 9 days ago"]);
    // Coverage must not pass unless the manifest says so.
    let mut evidence = all_well();
    evidence.build.coverage = seen(10.0);
    assert!(judged(&manifest, &evidence).ready);
    let strict = full(Profile::Standard, 2, "[readiness]\nthreshold = 10\nmust = [\"build.coverage\"]");
    assert!(!judged(&strict, &evidence).ready);
}

#[test]
fn just_below_the_threshold_is_below() {
    let mut evidence = all_well();
    evidence.team.announced = None;
    evidence.documentation.in_changelog = None;
    let manifest = full(Profile::Standard, 2, "");
    let report = judged(&manifest, &evidence);
    // Two of 96 of the weight are missing.
    assert_eq!(report.score, 95.8);
    let at_96 = full(Profile::Standard, 2, "[readiness]\nthreshold = 96");
    assert!(report.ready && !judged(&at_96, &evidence).ready);
    let weightless =
        full(Profile::Standard, 2, "[readiness]\nthreshold = 96\nweights = { team = 0, documentation = 0 }");
    assert_eq!(judged(&weightless, &evidence).score, 100.0);
}

pub struct Case {
    pub manifest: Manifest,
    pub plan: Plan,
    pub report: Report,
    pub sign_offs: Vec<SignOff>,
    pub done: Vec<Done>,
}

impl Case {
    pub fn new(more: &str) -> Self {
        let manifest = full(Profile::Fast, 2, more);
        let plan = planned(&manifest, &live(&manifest, "1.0.0"), Some(&migrations())).unwrap().unwrap();
        let report = judged(&manifest, &all_well());
        Self { manifest, plan, report, sign_offs: Vec::new(), done: Vec::new() }
    }

    pub fn decide(&self) -> Decision {
        decide(Inputs {
            manifest: &self.manifest,
            plan: &self.plan,
            lints: &lint(&self.plan, &self.manifest, monday()),
            readiness: &self.report,
            sign_offs: &self.sign_offs,
            done: &self.done,
            start: monday(),
            now: monday(),
        })
    }
}

#[test]
fn all_well_is_a_go() {
    let decision = Case::new("").decide();
    assert!(decision.go, "{decision:#?}");
    assert_eq!(decision.exit(), Exit::Done);
}

#[test]
fn every_kind_of_obstacle_is_told_and_the_gravest_decides() {
    let exit = |case: &Case| {
        let decision = case.decide();
        assert!(!decision.go);
        (decision.exit(), decision.obstacles[0].said.clone())
    };
    let mut case = Case::new("");
    case.manifest.approvals.roles = vec!["security".parse().unwrap()];
    assert_eq!(exit(&case), (Exit::AwaitingApproval, "security has not signed".into()));
    case.sign_offs = vec![SignOff {
        role: "security".parse().unwrap(),
        who: "eve".into(),
        at: monday().plus(-1),
        plan: case.plan.hash,
    }];
    assert!(case.decide().go);

    let case = Case::new("[windows]\nallow = [\"Tue 09:00-16:00 UTC\"]");
    let (code, said) = exit(&case);
    assert_eq!(code, Exit::WindowClosed);
    assert!(said.contains("it opens at 2026-11-24T09:00:00"), "{said}");
    assert!(matches!(case.decide().window, calendar::Decision::Closed { .. }));

    let case = Case::new("[[risk]]\nwhat = \"data\"\nkind = \"technical\"\nlevel = \"high\"");
    assert_eq!(exit(&case), (Exit::NoGo, "risk \"data\" is high and has no mitigation".into()));

    let mut case = Case::new(
        "[[checklist]]\nat = \"T-24h\"\nwhat = \"tell support\"\n[[checklist]]\nat = \"T+30min\"\nwhat = \"look\"",
    );
    assert_eq!(exit(&case), (Exit::NoGo, "checklist T-1d: \"tell support\" is not done".into()));
    let offset = case.manifest.checklist[0].at;
    case.done =
        vec![Done { what: "tell support".into(), offset, who: "ann".into(), at: monday(), note: String::new() }];
    assert!(case.decide().go);

    let mut case = Case::new("[windows]\nallow = [\"Tue 09:00-16:00 UTC\"]");
    case.report = judged(&case.manifest, &Evidence::default());
    let decision = case.decide();
    assert_eq!(decision.obstacles[0].said, "readiness 0 of 100 (needs 95)");
    assert_eq!(decision.obstacles.last().unwrap().exit, Exit::WindowClosed);
    let mut case = Case::new("");
    case.plan.phases.swap(0, 1);
    assert_eq!(exit(&case).0, Exit::Refused);
    let mut case = Case::new("");
    case.report.subject.version = version("1.9.0");
    assert_eq!(exit(&case).0, Exit::NoGo);
}

#[test]
fn evidence_and_report_have_a_json() {
    fn both_ways<T: Serialize + for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug>(value: T) {
        assert_eq!(serde_json::from_str::<T>(&serde_json::to_string(&value).unwrap()).unwrap(), value);
    }
    both_ways(all_well());
    both_ways(Evidence::default());
    let report = serde_json::to_value(judged(&full(Profile::Standard, 2, ""), &all_well())).unwrap();
    assert_eq!(report["rows"][4]["component"], "database");
    assert_eq!(report["rows"][4]["checks"][1]["source"]["reference"], "check 7");
}
