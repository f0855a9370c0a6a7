use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_core::setting::Period;

use super::canary::Hold;
use crate::model::limits::{Policy, Then};
use crate::model::value::{Count, Percent};

/// How much care a release takes; it fills in what the manifest does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Under 5 minutes.
    Fast,
    /// Up to 35 minutes.
    #[default]
    Standard,
    /// Half an hour at 1 %, and two hours watched at 100 %.
    Careful,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fast, Self::Standard, Self::Careful];

    /// As the manifest writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Standard => "standard",
            Self::Careful => "careful",
        }
    }

    pub(super) fn steps(self) -> Vec<Hold> {
        let hold = |(percent, seconds)| Hold { weight: Percent::whole(percent), hold: Period::from_secs(seconds) };
        let steps: &[(u16, u64)] = match self {
            Self::Fast => &[(10, 20), (50, 20), (100, 20)],
            Self::Standard => &[(1, 180), (5, 180), (10, 180), (25, 180), (50, 180), (100, 180)],
            Self::Careful => &[(1, 1800), (5, 600), (10, 600), (25, 600), (50, 600), (100, 600)],
        };
        steps.iter().copied().map(hold).collect()
    }

    /// For steps that the manifest names without a time of their own.
    pub(super) fn hold(self, weight: Percent) -> Period {
        let like_it = self.steps().into_iter().find(|step| step.weight >= weight);
        like_it.map_or(Period::from_secs(180), |step| step.hold)
    }

    pub(super) fn bake(self) -> Period {
        Period::from_secs(match self {
            Self::Fast => 30,
            Self::Standard => 300,
            Self::Careful => 7200,
        })
    }

    pub(super) fn min_requests(self) -> Count<1, 1_000_000_000> {
        match self {
            // Zero errors in 300 requests are what proves less than 1 % at 95 %.
            Self::Fast => Count::of(300),
            Self::Standard => Count::of(1000),
            Self::Careful => Count::of(3000),
        }
    }

    pub(super) fn policy(self) -> Policy {
        let hold = match self {
            Self::Fast => 30,
            Self::Standard => 300,
            Self::Careful => 900,
        };
        Policy { hold: Some(Period::from_secs(hold)), then: Then::RollBack }
    }

    pub(super) fn roles(self) -> &'static [&'static str] {
        match self {
            Self::Fast | Self::Standard => &[],
            Self::Careful => &["technical", "security", "operations", "product"],
        }
    }
}
