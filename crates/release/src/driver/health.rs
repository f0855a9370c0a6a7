use std::fmt;

use serde::{Deserialize, Serialize};
use signalbox_core::setting::Period;

use crate::model::value::Version;

/// What an instance answered when it was asked how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "health", rename_all = "snake_case")]
pub enum Health {
    /// Status 200, and where the manifest says where, the right version.
    Well { version: Option<Version>, took: Period },
    /// It answers, and says that it is another version: never healthy, whatever the status.
    WrongVersion { said: String },
    /// No answer, not in time, or not 200.
    Unwell { said: String },
    /// No such instance, or it is dead for good.
    Gone,
}

impl Health {
    /// Whether it may get traffic.
    pub fn is_well(&self) -> bool {
        matches!(self, Self::Well { .. })
    }
}

impl fmt::Display for Health {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Well { version: Some(version), took } => write!(out, "well: {version}, in {took}"),
            Self::Well { version: None, took } => write!(out, "well, in {took}"),
            Self::WrongVersion { said } | Self::Unwell { said } => out.write_str(said),
            Self::Gone => write!(out, "it is gone"),
        }
    }
}
