use std::fmt;

use serde::{Deserialize, Serialize};
use signalbox_core::setting::Period;

use crate::model::limits::Policy;
use crate::model::migration::Kind;
use crate::model::value::{Digest, Name, Percent, Version};

/// What a step does. Doing it twice does no more than doing it once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    CheckReadiness {
        threshold: u64,
    },
    /// Waits for signatures, and for a window.
    AwaitGo {
        roles: Vec<Name>,
    },
    /// Takes what an earlier release left half done out of the traffic, drains and stops it.
    ClearLeftover {
        version: Version,
    },
    /// Asks the version to which a rollback would go whether it is well.
    ProbeTarget {
        version: Version,
    },
    Backup,
    VerifyBackup,
    CheckArtifact {
        sha256: Digest,
    },
    RestoreCopy,
    MigrateCopy {
        migrations: Vec<String>,
    },
    StartStaging {
        version: Version,
    },
    RunSuite {
        suite: SuiteKind,
        commands: usize,
    },
    ProbeStaging {
        probes: usize,
    },
    LoadStaging {
        requests_per_second: u64,
        lasting: Period,
    },
    StopStaging,
    /// How the present version does before anything changes.
    TakeBaseline {
        lasting: Period,
    },
    Migrate {
        number: u32,
        migration: String,
        kind: Kind,
        checksum: Digest,
    },
    /// The version's own program brings the store to its schema, on which the old version runs as well.
    MigrateOwn {
        version: Version,
    },
    VerifyMigrations,
    /// Starts as many more instances of the version as are missing, and waits until all are healthy and tell the right version.
    Scale {
        version: Version,
        instances: u64,
    },
    /// Moves traffic, and waits until the observed share follows.
    SetWeight {
        version: Version,
        weight: Percent,
    },
    /// Holds the weight, compares both versions, and decides.
    Judge {
        weight: Percent,
        hold: Period,
        min_requests: u64,
        insufficient: Option<Policy>,
        metrics: usize,
    },
    ProbeProduction {
        probes: usize,
    },
    /// Watches at 100 % while the old version is warm.
    Bake {
        lasting: Period,
    },
    /// Waits until nothing is in flight on a version without traffic.
    Drain {
        version: Version,
        at_most: Period,
    },
    Stop {
        version: Version,
    },
    CleanUp,
    Record,
}

/// What the manifest's commands look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuiteKind {
    Smoke,
    Accessibility,
    WebVitals,
}

/// What takes a step back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
pub enum Undo {
    /// It changed nothing.
    Nothing,
    /// What it did may stay, and why.
    Stays {
        why: String,
    },
    StopStaging,
    RemoveCopy,
    StopInstances {
        version: Version,
    },
    /// All traffic to that version, once it is seen to be healthy.
    RouteAll {
        to: Version,
    },
    StartAgain {
        version: Version,
        instances: u64,
    },
    /// There is none: the point of no return.
    Impossible {
        why: String,
    },
}

impl Action {
    /// The word of its kind, as JSON has it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::CheckReadiness { .. } => "check_readiness",
            Self::AwaitGo { .. } => "await_go",
            Self::ClearLeftover { .. } => "clear_leftover",
            Self::ProbeTarget { .. } => "probe_target",
            Self::Backup => "backup",
            Self::VerifyBackup => "verify_backup",
            Self::CheckArtifact { .. } => "check_artifact",
            Self::RestoreCopy => "restore_copy",
            Self::MigrateCopy { .. } => "migrate_copy",
            Self::StartStaging { .. } => "start_staging",
            Self::RunSuite { .. } => "run_suite",
            Self::ProbeStaging { .. } => "probe_staging",
            Self::LoadStaging { .. } => "load_staging",
            Self::StopStaging => "stop_staging",
            Self::TakeBaseline { .. } => "take_baseline",
            Self::Migrate { .. } => "migrate",
            Self::MigrateOwn { .. } => "migrate_own",
            Self::VerifyMigrations => "verify_migrations",
            Self::Scale { .. } => "scale",
            Self::SetWeight { .. } => "set_weight",
            Self::Judge { .. } => "judge",
            Self::ProbeProduction { .. } => "probe_production",
            Self::Bake { .. } => "bake",
            Self::Drain { .. } => "drain",
            Self::Stop { .. } => "stop",
            Self::CleanUp => "clean_up",
            Self::Record => "record",
        }
    }

    /// Whether it changes anything outside of the journal.
    pub fn changes(&self) -> bool {
        matches!(
            self,
            Self::ClearLeftover { .. }
                | Self::RestoreCopy
                | Self::StartStaging { .. }
                | Self::Migrate { .. }
                | Self::MigrateOwn { .. }
                | Self::Scale { .. }
                | Self::SetWeight { .. }
                | Self::Stop { .. }
        )
    }

    /// How long it takes where no earlier release says.
    pub fn usual(&self) -> Period {
        match self {
            Self::Judge { hold: lasting, .. }
            | Self::Bake { lasting }
            | Self::TakeBaseline { lasting }
            | Self::LoadStaging { lasting, .. } => *lasting,
            Self::ClearLeftover { .. } => Period::from_secs(10),
            Self::Backup | Self::VerifyBackup | Self::RestoreCopy | Self::MigrateCopy { .. } => Period::from_secs(5),
            Self::RunSuite { commands, .. } => Period::from_secs(5 * *commands as u64),
            Self::Migrate { .. } | Self::MigrateOwn { .. } => Period::from_secs(5),
            Self::StartStaging { .. } | Self::Scale { .. } => Period::from_secs(3),
            Self::Drain { at_most, .. } => (*at_most).min(Period::from_secs(5)),
            _ => Period::from_secs(1),
        }
    }
}

impl SuiteKind {
    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Accessibility => "accessibility",
            Self::WebVitals => "web vitals",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        match self {
            Self::CheckReadiness { threshold } => write!(out, "check readiness: at least {threshold} of 100"),
            Self::AwaitGo { roles } if roles.is_empty() => write!(out, "wait for the go"),
            Self::AwaitGo { roles } => {
                let roles: Vec<&str> = roles.iter().map(Name::as_str).collect();
                write!(out, "wait for the go, signed by {}", roles.join(", "))
            }
            Self::ClearLeftover { version } => write!(out, "take {version} out of the traffic, drain and stop it"),
            Self::ProbeTarget { version } => write!(out, "probe {version}, to which a rollback would go"),
            Self::Backup => write!(out, "back up the database"),
            Self::VerifyBackup => write!(out, "verify the backup by reading it back"),
            Self::CheckArtifact { sha256 } => write!(out, "check the artifact: sha256 {}", sha256.short()),
            Self::RestoreCopy => write!(out, "restore the backup beside production"),
            Self::MigrateCopy { migrations } => write!(out, "migrate the copy: {}", migrations.join(", ")),
            Self::StartStaging { version } => write!(out, "start {version} in staging"),
            Self::RunSuite { suite, commands } => {
                write!(out, "run the {} suite: {commands} command{}", suite.title(), plural(*commands))
            }
            Self::ProbeStaging { probes } => {
                write!(out, "probe the content of staging: {probes} probe{}", plural(*probes))
            }
            Self::LoadStaging { requests_per_second, lasting } => {
                write!(out, "load staging with {requests_per_second} requests/s for {lasting}")
            }
            Self::StopStaging => write!(out, "stop staging and remove the copy"),
            Self::TakeBaseline { lasting } => write!(out, "take the performance baseline for {lasting}"),
            Self::Migrate { migration, .. } => write!(out, "run migration {migration}"),
            Self::MigrateOwn { version } => write!(out, "bring the store to the schema of {version}"),
            Self::VerifyMigrations => write!(out, "verify the migrations"),
            Self::Scale { version, instances } => {
                write!(out, "have {instances} healthy instance{} of {version}", plural(*instances as usize))
            }
            Self::SetWeight { version, weight } => write!(out, "set {version} to {weight} and see the share follow"),
            Self::Judge { weight, hold, min_requests, .. } => {
                write!(out, "hold {weight} for {hold} and judge, from {min_requests} requests on")
            }
            Self::ProbeProduction { probes } => {
                write!(out, "probe the content of production: {probes} probe{}", plural(*probes))
            }
            Self::Bake { lasting } => write!(out, "watch for {lasting} while the old version is warm"),
            Self::Drain { version, at_most } => write!(out, "drain {version}, at most {at_most}"),
            Self::Stop { version } => write!(out, "stop {version}"),
            Self::CleanUp => write!(out, "clean up"),
            Self::Record => write!(out, "write the summary"),
        }
    }
}

impl fmt::Display for Undo {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => write!(out, "nothing to undo"),
            Self::Stays { why } => write!(out, "stays: {why}"),
            Self::StopStaging => write!(out, "stop staging"),
            Self::RemoveCopy => write!(out, "remove the copy"),
            Self::StopInstances { version } => write!(out, "drain and stop {version}"),
            Self::RouteAll { to } => write!(out, "all traffic to {to}"),
            Self::StartAgain { version, instances } => write!(out, "start {instances} of {version} again"),
            Self::Impossible { why } => write!(out, "NO UNDO: {why}"),
        }
    }
}
