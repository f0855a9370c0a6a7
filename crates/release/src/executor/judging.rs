//! The judge of one release: fed by windows of the edge and by samples of Prometheus, asked at every look.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use signalbox_canary::criteria::Criteria;
use signalbox_canary::judge::Judge;
use signalbox_canary::verdict::{Outcome, Verdict as Said};
use signalbox_canary::window::{Measured, Reading};
use signalbox_core::time::{Micros, SECOND};

use super::plane::Counts;
use super::windows::Windows;
use crate::disk;
use crate::model::machine::{Judged, TriggerKind, Tripped, Verdict};
use crate::model::plan::StepId;
use crate::model::value::Percent;

/// How often what was seen is written down. What is lost by a crash is seen again.
const STORE_EVERY: i64 = 2 * SECOND;

/// The verdict at the moment of the decision, beside the journal.
const VERDICT: &str = "verdict.json";

/// What is said of a release that does not run: when it was decided, else by what was written down last, else before
/// anything was seen.
pub(crate) fn last_said(folder: &Path, criteria: Criteria) -> Result<Said, String> {
    match disk::load_json::<Said>(&folder.join(VERDICT)) {
        Ok(Some(said)) => Ok(said),
        _ => Ok(Judging::new(folder, criteria, false)?.verdict()),
    }
}

/// Watches one release.
pub(super) struct Judging {
    path: PathBuf,
    windows: Windows,
    kept: Kept,
    readings: Vec<Reading>,
    stored: Micros,
    is_first: bool,
    decided: Option<Said>,
}

/// What survives a restart.
#[derive(Serialize, Deserialize)]
struct Kept {
    judge: Judge,
    /// The share that the new version has had since the present step of evidence began.
    weight: Percent,
    /// Why the last sample of a metric is none, by metric.
    silent: Vec<(String, String)>,
}

impl Judging {
    /// Goes on with what was written down for this release, or begins.
    pub(super) fn new(folder: &Path, criteria: Criteria, is_first: bool) -> Result<Self, String> {
        let path = folder.join("judge.json");
        let kept = match disk::load_json::<Kept>(&path) {
            Ok(Some(kept)) if *kept.judge.criteria() == criteria => kept,
            // Evidence that cannot be read is gathered again.
            _ => {
                let judge = Judge::new(criteria).map_err(|error| error.to_string())?;
                Kept { judge, weight: Percent::NONE, silent: Vec::new() }
            }
        };
        Ok(Self {
            path,
            windows: Windows::default(),
            kept,
            readings: Vec::new(),
            stored: Micros(0),
            is_first,
            decided: None,
        })
    }

    /// Takes in what was counted. `weight` is what the new version has at this moment.
    pub(super) fn look(&mut self, at: Micros, counts: &Counts, weight: Percent) {
        let criteria = self.kept.judge.criteria();
        let (canary, baseline) = (criteria.canary.clone(), criteria.baseline.clone());
        let window = self.windows.next(at, counts, &canary, (!self.is_first).then_some(baseline.as_str()));
        if let Some(mut window) = window {
            window.readings = std::mem::take(&mut self.readings);
            self.kept.judge.observe(&window);
        }
        if weight != self.kept.weight {
            self.kept.weight = weight;
            self.kept.judge.begin_step();
        }
        if at.0 - self.stored.0 >= STORE_EVERY {
            self.stored = at;
            if let Err(error) = disk::store_json(&self.path, &self.kept) {
                tracing::warn!(%error, "the evidence of the canary could not be written down");
            }
        }
    }

    /// Nobody counted for a while.
    pub(super) fn lost_sight(&mut self) {
        self.windows.forget();
    }

    /// Takes in a sample of a metric of both versions; what is missing says why.
    pub(super) fn sample(&mut self, metric: &str, canary: Result<f64, String>, baseline: Result<f64, String>) {
        self.kept.silent.retain(|(name, _)| name != metric);
        let why = [canary.as_ref().err(), baseline.as_ref().err()].into_iter().flatten().next();
        if let Some(why) = why {
            self.kept.silent.push((metric.to_owned(), why.clone()));
        }
        let value = Measured::Sample { canary: canary.ok(), baseline: baseline.ok() };
        self.readings.push(Reading { metric: metric.to_owned(), value });
    }

    /// It is decided: what is said now is what counted.
    pub(super) fn decide(&mut self) {
        self.decided = Some(self.verdict());
    }

    /// Keeps what counted for whoever looks at the release later.
    pub(super) fn keep(&self) {
        let said = self.decided.clone().unwrap_or_else(|| self.verdict());
        if let Err(error) = disk::store_json(&self.path.with_file_name(VERDICT), &said) {
            tracing::warn!(%error, "the last verdict could not be written down");
        }
    }

    /// Everything that can be said now.
    pub(super) fn verdict(&self) -> Said {
        let mut said = self.kept.judge.verdict();
        for metric in &mut said.metrics {
            let why = self.kept.silent.iter().find(|(name, _)| *name == metric.metric);
            if let Some((_, why)) = why.filter(|_| metric.outcome == Outcome::NoData) {
                metric.words = format!("{} ({why})", metric.words);
                said.words = format!("{}; {why}", said.words);
            }
        }
        said
    }

    /// The verdict on the step that holds this weight.
    pub(super) fn judged(&self, step: StepId, weight: Percent) -> Judged {
        let said = self.verdict();
        let judged = |verdict, said: String| Judged { step, verdict, said };
        if said.outcome == Outcome::Fail {
            return judged(Verdict::Fail, said.words);
        }
        if weight != self.kept.weight {
            return judged(Verdict::NoData, format!("the weight is not {weight}"));
        }
        if weight == Percent::ALL || self.is_first {
            let (verdict, words) = self.alone(&said);
            return judged(verdict, words);
        }
        let verdict = match said.outcome {
            Outcome::Pass => Verdict::Pass,
            Outcome::Insufficient => Verdict::Insufficient,
            Outcome::NoData | Outcome::Fail => Verdict::NoData,
        };
        if verdict == Verdict::NoData && said.requests == 0 {
            let canary = &self.kept.judge.criteria().canary;
            return judged(verdict, format!("no requests of {canary} at {weight} so far"));
        }
        judged(verdict, said.words)
    }

    /// At 100 % there is nobody to compare with: enough requests, and limits that hold.
    fn alone(&self, said: &Said) -> (Verdict, String) {
        let criteria = self.kept.judge.criteria();
        let rules: Vec<&str> = said.rules.iter().map(|rule| rule.words.as_str()).collect();
        let rules = rules.join("; ");
        if self.is_first && said.requests == 0 {
            return (Verdict::Pass, "a first release, nobody to compare with; no requests yet".into());
        }
        if self.is_first {
            let said = format!("a first release, nobody to compare with; {} requests; {rules}", said.requests);
            return (Verdict::Pass, said);
        }
        let wanted = criteria.min_requests;
        match said.requests {
            0 => (Verdict::NoData, format!("no requests at 100 %; {rules}")),
            few if few < wanted => {
                (Verdict::Insufficient, format!("insufficient ({few} of {wanted} requests at 100 %); {rules}"))
            }
            enough => {
                (Verdict::Pass, format!("{enough} requests at 100 %, where nobody is left to compare with; {rules}"))
            }
        }
    }

    /// Limits and breaker that have tripped: they are heard whatever is being done.
    pub(super) fn tripped(&self) -> Vec<Tripped> {
        let limits = &self.kept.judge.criteria().limits;
        let mut kinds = Vec::new();
        kinds.extend(limits.errors.map(|_| TriggerKind::Errors));
        kinds.extend(limits.latency.map(|_| TriggerKind::Latency));
        kinds.extend(limits.breaker.map(|_| TriggerKind::Breaker));
        let rules = self.kept.judge.verdict().rules;
        let failed = rules.into_iter().zip(kinds).filter(|(rule, _)| rule.outcome == Outcome::Fail);
        failed.map(|(rule, kind)| Tripped { kind, said: rule.words }).collect()
    }
}
