use serde::{Deserialize, Serialize};
use signalbox_core::setting::Period;
use signalbox_core::time::Micros;

use crate::model::migration::Problem;
use crate::model::value::Digest;

/// What collectors found. What nobody looked at is `None`, which is never a pass.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    pub configuration: Configuration,
    pub git: Git,
    pub build: Build,
    pub dependencies: Option<Fact<Advisories>>,
    /// Dependencies under licences that are not allowed.
    pub licences_refused: Option<Fact<Vec<String>>>,
    pub database: Database,
    /// What is wrong with the migrations; empty: nothing.
    pub migrations: Option<Fact<Vec<Problem>>>,
    /// The pending migrations ran on a restored copy.
    pub migrations_rehearsed: Option<Fact<Rehearsal>>,
    pub security: Security,
    pub monitoring: Monitoring,
    /// A rollback of this service was tried.
    pub rollback_rehearsed: Option<Fact<Rehearsal>>,
    /// The smoke suite of staging.
    pub smoke: Option<Fact<Tests>>,
    pub performance: Performance,
    pub documentation: Documentation,
    pub team: Team,
}

/// Something that was looked at: what was seen, and where that can be looked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact<T> {
    pub value: T,
    pub source: SourceOfFact,
}

/// Where a fact is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceOfFact {
    /// What shows it again: `signalbox backup drill`.
    pub command: String,
    /// Where the figure stands: `journal 4411`, `bench 88`.
    pub reference: String,
    pub at: Micros,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Configuration {
    /// What is wrong with the settings that the new version would start with.
    pub problems: Option<Fact<Vec<String>>>,
    /// Files with secrets that the manifest names and that are missing or readable by others.
    pub bad_secrets: Option<Fact<Vec<String>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Git {
    /// Files that are changed and not committed.
    pub changed_files: Option<Fact<u64>>,
    /// The tag that points at the commit.
    pub tag: Option<Fact<Option<String>>>,
    /// Whether the checks of that commit passed.
    pub checks_passed: Option<Fact<bool>>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Build {
    pub artifact: Option<Fact<Digest>>,
    pub tests: Option<Fact<Tests>>,
    /// Percent of the lines.
    pub coverage: Option<Fact<f64>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tests {
    pub passed: u64,
    pub failed: u64,
}

/// Known vulnerabilities by severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advisories {
    pub critical: u64,
    pub high: u64,
    pub other: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Database {
    /// Whether there is one yet; the first version of Signalbox itself makes it.
    pub is_there: Option<Fact<bool>>,
    /// How long it took to answer.
    pub answered_in: Option<Fact<Period>>,
    pub backup: Option<Fact<Backup>>,
    pub drill: Option<Fact<Drill>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    pub made_at: Micros,
    /// Its data was read back and compared.
    pub verified: bool,
}

/// A restore that was rehearsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    pub passed: bool,
    pub at: Micros,
    pub took: Period,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Security {
    /// Of static and dynamic analysis.
    pub findings: Option<Fact<Findings>>,
    /// Secrets that were found in the artifact or its source.
    pub leaked_secrets: Option<Fact<u64>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    pub errors: u64,
    pub warnings: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Monitoring {
    /// Whether the present version is watched and well.
    pub healthy: Option<Fact<bool>>,
    /// Critical alerts that fire.
    pub firing: Option<Fact<Vec<String>>>,
    /// A test alert reached a person, after so long.
    pub alert_delivered: Option<Fact<Period>>,
    /// Metrics of the manifest that have no data for the present version.
    pub metrics_without_data: Option<Fact<Vec<String>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsal {
    pub passed: bool,
    pub took: Period,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Performance {
    pub baseline: Option<Fact<Baseline>>,
    pub load_test: Option<Fact<LoadTest>>,
}

/// The present version under its usual load.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    pub at: Micros,
    pub requests_per_second: f64,
    #[serde(default)]
    pub p50: Period,
    pub p99: Period,
}

/// The new version in staging, under so many requests a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LoadTest {
    pub requests_per_second: f64,
    #[serde(default)]
    pub p50: Period,
    pub p99: Period,
    pub failed: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Documentation {
    /// Alerts without a runbook.
    pub missing_runbooks: Option<Fact<Vec<String>>>,
    /// Whether the changelog has this version.
    pub in_changelog: Option<Fact<bool>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Team {
    /// Who is on call while the release runs.
    pub on_call: Option<Fact<Vec<String>>>,
    /// Whether those concerned were told.
    pub announced: Option<Fact<bool>>,
}
