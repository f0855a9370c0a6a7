use signalbox_core::setting::Period;

use super::Component;
use super::judge::{Case, Finding, ago};

/// One thing that is looked at.
pub struct Check {
    /// Stable: `database.backup`.
    pub id: &'static str,
    pub component: Component,
    /// Against the other checks of the component.
    pub weight: u64,
    /// Without it, it is a no-go whatever the score.
    pub must: bool,
    pub what: &'static str,
    /// What to run when it does not pass.
    pub run: &'static str,
    pub(super) judge: fn(&Case<'_>) -> Finding,
}

/// Every check, component by component.
pub const CHECKS: &[Check] = &[
    Check {
        id: "configuration.settings",
        component: Component::Configuration,
        weight: 2,
        must: true,
        what: "the settings of the new version are right",
        run: "signalbox doctor",
        judge: |case| {
            case.judge(case.evidence.configuration.problems.as_ref(), "the settings", |problems| {
                none(problems, "problem")
            })
        },
    },
    Check {
        id: "configuration.secrets",
        component: Component::Configuration,
        weight: 1,
        must: true,
        what: "files with secrets are there and private",
        run: "signalbox release validate",
        judge: |case| {
            let files = case.evidence.configuration.bad_secrets.as_ref();
            case.judge(files, "the files with secrets", |files| none(files, "missing or open file"))
        },
    },
    Check {
        id: "git.clean",
        component: Component::GitState,
        weight: 1,
        must: false,
        what: "everything is committed",
        run: "git status",
        judge: |case| {
            case.judge(case.evidence.git.changed_files.as_ref(), "the working tree", |files| {
                (*files == 0, count(*files, "file is changed and not committed", "files are changed and not committed"))
            })
        },
    },
    Check {
        id: "git.tag",
        component: Component::GitState,
        weight: 1,
        must: false,
        what: "the commit is tagged",
        run: "git tag",
        judge: |case| {
            case.judge(case.evidence.git.tag.as_ref(), "the tag", |tag| match tag {
                Some(tag) => (true, format!("tagged {tag}")),
                None => (false, "the commit has no tag".into()),
            })
        },
    },
    Check {
        id: "git.checks",
        component: Component::GitState,
        weight: 2,
        must: false,
        what: "the checks of the commit passed",
        run: "your continuous integration",
        judge: |case| {
            case.judge(case.evidence.git.checks_passed.as_ref(), "the checks of the commit", |passed| {
                (*passed, if *passed { "passed" } else { "failed" }.into())
            })
        },
    },
    Check {
        id: "build.artifact",
        component: Component::Build,
        weight: 2,
        must: true,
        what: "the artifact is the one that the manifest names",
        run: "sha256sum of the artifact",
        judge: |case| {
            let Some(artifact) = &case.manifest.service.artifact else {
                return Finding::not_applicable("the manifest names no artifact");
            };
            case.judge(case.evidence.build.artifact.as_ref(), "the artifact", |seen| {
                let told = if *seen == artifact.sha256 {
                    String::new()
                } else {
                    format!(", the manifest says {}", artifact.sha256.short())
                };
                (*seen == artifact.sha256, format!("sha256 {}{told}", seen.short()))
            })
        },
    },
    Check {
        id: "build.tests",
        component: Component::Build,
        weight: 2,
        must: true,
        what: "all tests passed",
        run: "your test suite",
        judge: |case| {
            case.judge(case.evidence.build.tests.as_ref(), "the tests", |tests| {
                let all = tests.passed + tests.failed;
                (tests.failed == 0 && all > 0, format!("{} of {all} passed", tests.passed))
            })
        },
    },
    Check {
        id: "build.coverage",
        component: Component::Build,
        weight: 1,
        must: false,
        what: "tests cover at least 90 % of the lines",
        run: "your coverage report",
        judge: |case| {
            case.judge(case.evidence.build.coverage.as_ref(), "the coverage", |percent| {
                (*percent >= 90.0, format!("{percent:.1} % of the lines"))
            })
        },
    },
    Check {
        id: "dependencies.advisories",
        component: Component::Dependencies,
        weight: 2,
        must: true,
        what: "no dependency has a critical or high advisory",
        run: "cargo deny check advisories",
        judge: |case| {
            case.judge(case.evidence.dependencies.as_ref(), "advisories", |seen| {
                let said = format!("{} critical, {} high, {} other", seen.critical, seen.high, seen.other);
                (seen.critical + seen.high == 0, said)
            })
        },
    },
    Check {
        id: "dependencies.licences",
        component: Component::Dependencies,
        weight: 1,
        must: false,
        what: "all licences are allowed",
        run: "cargo deny check licenses",
        judge: |case| {
            case.judge(case.evidence.licences_refused.as_ref(), "the licences", |refused| {
                none(refused, "refused licence")
            })
        },
    },
    Check {
        id: "database.reachable",
        component: Component::Database,
        weight: 1,
        must: true,
        what: "the database answers within 2 s",
        run: "signalbox doctor",
        judge: |case| {
            if let Some(none) = no_database(case) {
                return none;
            }
            case.judge(case.evidence.database.answered_in.as_ref(), "the database", |time| {
                (*time <= Period::from_secs(2), format!("answered in {time}"))
            })
        },
    },
    Check {
        id: "database.backup",
        component: Component::Database,
        weight: 3,
        must: true,
        what: "there is a fresh, verified backup",
        run: "signalbox backup create --verify",
        judge: |case| {
            if let Some(none) = no_database(case) {
                return none;
            }
            // What is older was taken before another release; this one begins with its own.
            let backup = case.evidence.database.backup.as_ref();
            if case.manifest.keeps_own_store() && backup.is_none_or(|backup| !case.is_fresh(backup)) {
                return Finding::not_applicable(
                    "this release takes a snapshot and verifies it before anything changes, and ends where that fails",
                );
            }
            case.judge(case.evidence.database.backup.as_ref(), "backups", |backup| {
                let age = case.now.0 - backup.made_at.0;
                let fresh = (0..=case.manifest.readiness.backup_age.micros()).contains(&age);
                let kind = if backup.verified { "verified" } else { "unverified" };
                (backup.verified && fresh, format!("last {kind} backup was made {}", ago(age)))
            })
        },
    },
    Check {
        id: "database.drill",
        component: Component::Database,
        weight: 1,
        must: false,
        what: "a restore was rehearsed",
        run: "signalbox backup drill",
        judge: |case| {
            if let Some(none) = no_database(case) {
                return none;
            }
            case.judge(case.evidence.database.drill.as_ref(), "restore drills", |drill| {
                let age = case.now.0 - drill.at.0;
                let fresh = (0..=case.manifest.readiness.drill_age.micros()).contains(&age);
                let kind = if drill.passed { "passed" } else { "failed" };
                (drill.passed && fresh, format!("last drill {kind} {}, in {}", ago(age), drill.took))
            })
        },
    },
    Check {
        id: "migrations.sound",
        component: Component::Migrations,
        weight: 2,
        must: true,
        what: "migrations are in order, unchanged and complete",
        run: "signalbox release plan",
        judge: |case| {
            if case.manifest.keeps_own_store() {
                return Finding::not_applicable("the version brings its own migrations, which run on the copy first");
            }
            if case.manifest.migrations.is_none() {
                return Finding::not_applicable("the manifest names no migrations");
            }
            case.judge(case.evidence.migrations.as_ref(), "the migrations", |problems| {
                let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
                none(&words, "problem")
            })
        },
    },
    Check {
        id: "migrations.rehearsed",
        component: Component::Migrations,
        weight: 1,
        must: false,
        what: "the pending migrations ran on a restored copy",
        run: "signalbox release deploy --until staging",
        judge: |case| {
            if !case.manifest.has_database() {
                return Finding::not_applicable("the manifest names no migrations");
            }
            case.judge(case.evidence.migrations_rehearsed.as_ref(), "a rehearsal of the migrations", |rehearsal| {
                (rehearsal.passed, format!("{} in {}", passed(rehearsal.passed), rehearsal.took))
            })
        },
    },
    Check {
        id: "security.findings",
        component: Component::Security,
        weight: 2,
        must: true,
        what: "analysis found no error",
        run: "your static and dynamic analysis",
        judge: |case| {
            case.judge(case.evidence.security.findings.as_ref(), "the analysis", |found| {
                (found.errors == 0, format!("{} errors, {} warnings", found.errors, found.warnings))
            })
        },
    },
    Check {
        id: "security.secrets",
        component: Component::Security,
        weight: 1,
        must: true,
        what: "no secret is in the source or the artifact",
        run: "your secret scanner",
        judge: |case| {
            case.judge(case.evidence.security.leaked_secrets.as_ref(), "leaked secrets", |found| {
                (*found == 0, count(*found, "secret found", "secrets found"))
            })
        },
    },
    Check {
        id: "monitoring.healthy",
        component: Component::Monitoring,
        weight: 2,
        must: true,
        what: "the present version is well",
        run: "signalbox status",
        judge: |case| {
            case.judge(case.evidence.monitoring.healthy.as_ref(), "the present version", |healthy| {
                (*healthy, if *healthy { "healthy" } else { "not healthy" }.into())
            })
        },
    },
    Check {
        id: "monitoring.alerts",
        component: Component::Monitoring,
        weight: 2,
        must: false,
        what: "no critical alert fires",
        run: "signalbox alert list",
        judge: |case| {
            case.judge(case.evidence.monitoring.firing.as_ref(), "alerts", |firing| none(firing, "firing alert"))
        },
    },
    Check {
        id: "monitoring.delivery",
        component: Component::Monitoring,
        weight: 1,
        must: false,
        what: "an alert reaches a person within 5 minutes",
        run: "signalbox alert test",
        judge: |case| {
            case.judge(case.evidence.monitoring.alert_delivered.as_ref(), "the way of alerts", |time| {
                (*time < Period::from_secs(300), format!("a test alert took {time}"))
            })
        },
    },
    Check {
        id: "monitoring.metrics",
        component: Component::Monitoring,
        weight: 1,
        must: false,
        what: "every metric of the manifest has data for the present version",
        run: "signalbox release validate",
        judge: |case| {
            let silent = case.evidence.monitoring.metrics_without_data.as_ref();
            case.judge(silent, "the metrics", |silent| none(silent, "metric without data"))
        },
    },
    Check {
        id: "automation.rollback",
        component: Component::Automation,
        weight: 2,
        must: false,
        what: "a rollback was rehearsed and took less than 5 minutes",
        run: "signalbox release rehearse",
        judge: |case| {
            case.judge(case.evidence.rollback_rehearsed.as_ref(), "a rehearsal of the rollback", |rehearsal| {
                let good = rehearsal.passed && rehearsal.took < Period::from_secs(300);
                (good, format!("{} in {}", passed(rehearsal.passed), rehearsal.took))
            })
        },
    },
    Check {
        id: "automation.smoke",
        component: Component::Automation,
        weight: 1,
        must: false,
        what: "the smoke suite passed",
        run: "signalbox release deploy --until staging",
        judge: |case| {
            let staging = case.manifest.staging.as_ref();
            if staging.is_none_or(|staging| staging.smoke.is_empty() && staging.probes.is_empty()) {
                return Finding::not_applicable("the manifest names no smoke suite");
            }
            case.judge(case.evidence.smoke.as_ref(), "the smoke suite", |tests| {
                let all = tests.passed + tests.failed;
                (tests.failed == 0 && all > 0, format!("{} of {all} passed", tests.passed))
            })
        },
    },
    Check {
        id: "performance.baseline",
        component: Component::PerformanceBaseline,
        weight: 1,
        must: false,
        what: "there is a fresh baseline of the present version",
        run: "signalbox release baseline",
        judge: |case| {
            case.judge(case.evidence.performance.baseline.as_ref(), "the baseline", |baseline| {
                let age = case.now.0 - baseline.at.0;
                let fresh = (0..=case.manifest.readiness.baseline_age.micros()).contains(&age);
                (fresh, format!("p99 {} at {:.0} requests/s, {}", baseline.p99, baseline.requests_per_second, ago(age)))
            })
        },
    },
    Check {
        id: "performance.load",
        component: Component::PerformanceBaseline,
        weight: 1,
        must: false,
        what: "staging bears the load that the manifest names",
        run: "signalbox release deploy --until staging",
        judge: |case| {
            let Some(load) = case.manifest.staging.as_ref().and_then(|staging| staging.load) else {
                return Finding::not_applicable("the manifest names no load");
            };
            let wanted = (load.peak.get() * load.factor.get()) as f64;
            case.judge(case.evidence.performance.load_test.as_ref(), "the load test", |test| {
                let good = test.failed == 0 && test.requests_per_second >= wanted;
                (
                    good,
                    format!(
                        "p99 {} at {:.0} of {wanted:.0} requests/s, {} failed",
                        test.p99, test.requests_per_second, test.failed
                    ),
                )
            })
        },
    },
    Check {
        id: "documentation.runbooks",
        component: Component::Documentation,
        weight: 1,
        must: false,
        what: "every alert has a runbook",
        run: "docs/runbooks",
        judge: |case| {
            let missing = case.evidence.documentation.missing_runbooks.as_ref();
            case.judge(missing, "the runbooks", |missing| none(missing, "alert without runbook"))
        },
    },
    Check {
        id: "documentation.changelog",
        component: Component::Documentation,
        weight: 1,
        must: false,
        what: "the changelog has this version",
        run: "the changelog",
        judge: |case| {
            case.judge(case.evidence.documentation.in_changelog.as_ref(), "the changelog", |there| {
                (*there, if *there { "it is there" } else { "it is not there" }.into())
            })
        },
    },
    Check {
        id: "team.on_call",
        component: Component::Team,
        weight: 1,
        must: false,
        what: "somebody is on call",
        run: "the rota",
        judge: |case| {
            case.judge(case.evidence.team.on_call.as_ref(), "the rota", |people| match people.is_empty() {
                true => (false, "nobody is on call".into()),
                false => (true, people.join(", ")),
            })
        },
    },
    Check {
        id: "team.announced",
        component: Component::Team,
        weight: 1,
        must: false,
        what: "those concerned were told",
        run: "the announcement",
        judge: |case| {
            case.judge(case.evidence.team.announced.as_ref(), "the announcement", |told| {
                (*told, if *told { "told" } else { "not told" }.into())
            })
        },
    },
];

/// Where there is no database, nothing of it is asked.
fn no_database(case: &Case<'_>) -> Option<Finding> {
    if !case.manifest.has_database() {
        return Some(Finding::not_applicable("the manifest names no database"));
    }
    let there = case.evidence.database.is_there.as_ref();
    let none = there.is_some_and(|there| !there.value && case.is_fresh(there)) && case.manifest.keeps_own_store();
    none.then(|| Finding::not_applicable("there is no store yet: the first version makes it"))
}

fn none(list: &[String], what: &str) -> (bool, String) {
    match list {
        [] => (true, format!("no {what}")),
        list => (false, list.join("; ")),
    }
}

fn count(number: u64, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

fn passed(passed: bool) -> &'static str {
    if passed { "passed" } else { "failed" }
}
