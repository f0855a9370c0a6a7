use serde::{Deserialize, Serialize};

/// What the readiness of is looked at, a row of the matrix each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    Configuration,
    GitState,
    Build,
    Dependencies,
    Database,
    Migrations,
    Security,
    Monitoring,
    Automation,
    PerformanceBaseline,
    Documentation,
    Team,
}

impl Component {
    /// All of them, in the order of the matrix.
    pub const ALL: [Self; 12] = [
        Self::Configuration,
        Self::GitState,
        Self::Build,
        Self::Dependencies,
        Self::Database,
        Self::Migrations,
        Self::Security,
        Self::Monitoring,
        Self::Automation,
        Self::PerformanceBaseline,
        Self::Documentation,
        Self::Team,
    ];

    /// As the manifest and JSON write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::GitState => "git_state",
            Self::Build => "build",
            Self::Dependencies => "dependencies",
            Self::Database => "database",
            Self::Migrations => "migrations",
            Self::Security => "security",
            Self::Monitoring => "monitoring",
            Self::Automation => "automation",
            Self::PerformanceBaseline => "performance_baseline",
            Self::Documentation => "documentation",
            Self::Team => "team",
        }
    }

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::GitState => "git state",
            Self::PerformanceBaseline => "performance baseline",
            other => other.word(),
        }
    }

    /// What it weighs unless the manifest says otherwise: more, the more it hurts when it is missing.
    pub fn usual_weight(self) -> u64 {
        match self {
            Self::Configuration | Self::Build | Self::Database | Self::Migrations | Self::Security => 10,
            Self::Dependencies | Self::Monitoring | Self::Automation | Self::PerformanceBaseline => 8,
            Self::GitState => 6,
            Self::Documentation | Self::Team => 4,
        }
    }
}
