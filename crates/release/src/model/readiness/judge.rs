use serde::{Deserialize, Serialize};
use signalbox_core::time::Micros;

use super::evidence::{Evidence, Fact, SourceOfFact};
use crate::model::manifest::Manifest;

/// What a check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    Pass,
    Fail,
    /// Nobody looked, or too long ago: not a pass.
    NoEvidence,
    /// It cannot apply here; it weighs nothing.
    NotApplicable,
}

/// What was found, in words, and where that is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub judgement: Judgement,
    pub said: String,
    pub source: Option<SourceOfFact>,
}

/// What a check looks at.
pub(super) struct Case<'a> {
    pub manifest: &'a Manifest,
    pub evidence: &'a Evidence,
    pub now: Micros,
}

impl Finding {
    pub(super) fn not_applicable(why: &str) -> Self {
        Self { judgement: Judgement::NotApplicable, said: why.to_owned(), source: None }
    }
}

impl Case<'_> {
    /// Whether a fact is from now or not long ago.
    pub(super) fn is_fresh<T>(&self, fact: &Fact<T>) -> bool {
        let age = self.now.0.saturating_sub(fact.source.at.0);
        // Something from the future is a clock that is wrong, and proves nothing.
        (-signalbox_core::time::MINUTE..=self.manifest.readiness.evidence_age.micros()).contains(&age)
    }

    /// Judges a fact that is there and fresh; `what` says what is missing otherwise.
    pub(super) fn judge<T>(
        &self,
        fact: Option<&Fact<T>>,
        what: &str,
        rule: impl FnOnce(&T) -> (bool, String),
    ) -> Finding {
        let Some(fact) = fact else {
            return Finding {
                judgement: Judgement::NoEvidence,
                said: format!("nobody looked at {what}"),
                source: None,
            };
        };
        let source = Some(fact.source.clone());
        let age = self.now.0.saturating_sub(fact.source.at.0);
        if !self.is_fresh(fact) {
            let said = format!("{what}: last looked at {}", ago(age));
            return Finding { judgement: Judgement::NoEvidence, said, source };
        }
        let (passes, said) = rule(&fact.value);
        Finding { judgement: if passes { Judgement::Pass } else { Judgement::Fail }, said, source }
    }
}

/// `9 days ago`, for an age in microseconds.
pub(crate) fn ago(age: i64) -> String {
    if age < 0 {
        return "in the future".into();
    }
    format!("{} ago", lasting(age))
}

/// `9 days`, for a time in microseconds.
pub(crate) fn lasting(micros: i64) -> String {
    let seconds = micros.max(0) / signalbox_core::time::SECOND;
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
