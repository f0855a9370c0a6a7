use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_core::setting_file::Reader;

use super::Said;

/// Something that may go wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Risk {
    pub what: String,
    pub kind: RiskKind,
    pub level: Level,
    /// What is done about it.
    pub mitigation: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RiskKind {
    Technical,
    Operational,
    Business,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Low,
    Medium,
    High,
    Critical,
}

impl Risk {
    /// Whether it stands in the way of a release.
    pub fn is_open(&self) -> bool {
        self.level >= Level::High && self.mitigation.is_none()
    }
}

impl Level {
    /// As the manifest writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Something that may go wrong.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Risk", extend("required" = ["what", "kind", "level"]))]
pub(super) struct RiskWire {
    /// In words.
    what: Said<String>,
    /// technical, operational or business.
    kind: Said<RiskKind>,
    /// low, medium, high or critical.
    level: Said<Level>,
    /// What is done about it; without it a high or critical risk is a no-go.
    mitigation: Said<String>,
}

impl RiskWire {
    pub(super) fn read(self, reader: &mut Reader<'_, '_>, number: usize) -> Option<Risk> {
        let section = format!("risk[{number}]");
        let what = reader.needed(&section, "what", self.what);
        let kind = reader.needed(&section, "kind", self.kind);
        let level = reader.needed(&section, "level", self.level);
        let mitigation = reader.take(self.mitigation).filter(|text| !text.trim().is_empty());
        Some(Risk { what: what?, kind: kind?, level: level?, mitigation })
    }
}
