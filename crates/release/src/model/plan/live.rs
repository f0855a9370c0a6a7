use serde::{Deserialize, Serialize};

use crate::model::migration::Applied;
use crate::model::value::{Digest, Percent, Version};

/// What runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Live {
    pub versions: Vec<LiveVersion>,
    /// Migrations that ran.
    pub applied: Vec<Applied>,
}

/// A version that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveVersion {
    pub version: Version,
    /// Of the service as its manifest describes it: [`crate::model::manifest::Manifest::spec`].
    pub spec: Digest,
    pub instances: u64,
    pub ready: u64,
    pub weight: Percent,
    pub role: Role,
}

/// What a version is to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The last one that was promoted.
    Stable,
    /// A release is under way, or was broken off.
    Canary,
}

impl Live {
    /// The version that was promoted last.
    pub fn stable(&self) -> Option<&LiveVersion> {
        self.versions.iter().find(|one| one.role == Role::Stable)
    }
}
