use serde::{Deserialize, Serialize};

/// The eight phases of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Validation,
    Backup,
    BuildCheck,
    StagingDeploy,
    StagingValidation,
    ProductionDeploy,
    ProductionValidation,
    PostDeployment,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [
        Self::Validation,
        Self::Backup,
        Self::BuildCheck,
        Self::StagingDeploy,
        Self::StagingValidation,
        Self::ProductionDeploy,
        Self::ProductionValidation,
        Self::PostDeployment,
    ];

    /// 1 to 8.
    pub fn number(self) -> u8 {
        self as u8 + 1
    }

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::Backup => "backup",
            Self::BuildCheck => "build check",
            Self::StagingDeploy => "staging deploy",
            Self::StagingValidation => "staging validation",
            Self::ProductionDeploy => "production deploy",
            Self::ProductionValidation => "production validation",
            Self::PostDeployment => "post-deployment",
        }
    }
}
