use serde::Serialize;
use signalbox_core::time::Micros;

use super::check::{CHECKS, Check};
use super::component::Component;
use super::evidence::{Evidence, SourceOfFact};
use super::judge::{Case, Judgement};
use crate::model::manifest::Manifest;
use crate::model::value::{Name, Version};

/// Of what readiness is asked, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subject {
    pub service: Name,
    pub version: Version,
    pub at: Micros,
}

/// The readiness of a version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub subject: Subject,
    /// Whether the score reaches the threshold and everything that must pass does.
    pub ready: bool,
    /// 0 to 100, rounded down to a tenth. Each component counts with its weight, and in it each check that applies.
    pub score: f64,
    pub threshold: u64,
    /// 0 to 100: how much of that weight rests on fresh evidence, passed or failed. What nobody looked at lowers it.
    pub confidence: f64,
    /// The matrix, a row per component.
    pub rows: Vec<Row>,
}

/// A row of the matrix.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    pub component: Component,
    pub weight: u64,
    /// None: nothing in it applies.
    pub score: Option<f64>,
    pub checks: Vec<Checked>,
}

/// A check and what it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    pub id: &'static str,
    pub what: &'static str,
    pub must: bool,
    pub judgement: Judgement,
    pub said: String,
    /// What to run when it did not pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<&'static str>,
    /// What shows the figure again, and where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceOfFact>,
}

impl Report {
    /// Every check of the matrix with its component.
    pub fn checks(&self) -> impl Iterator<Item = (Component, &Checked)> {
        self.rows.iter().flat_map(|row| row.checks.iter().map(|check| (row.component, check)))
    }

    /// Those that must pass and do not.
    pub fn missed(&self) -> impl Iterator<Item = (Component, &Checked)> {
        self.checks().filter(|(_, check)| check.must && !check.passes())
    }
}

impl Checked {
    /// Whether it stands in nobody's way.
    pub fn passes(&self) -> bool {
        matches!(self.judgement, Judgement::Pass | Judgement::NotApplicable)
    }
}

/// Judges a version by what the collectors found.
pub fn report(subject: Subject, manifest: &Manifest, evidence: &Evidence) -> Report {
    let case = Case { manifest, evidence, now: subject.at };
    let rows: Vec<Row> = Component::ALL.into_iter().map(|component| row(&case, component)).collect();
    let share = |counts: fn(Judgement) -> bool| {
        let weights = rows.iter().filter_map(|row| Some((row.weight, share_of(row, counts)?)));
        let (sum, all) = weights.fold((0.0, 0.0), |(sum, all), (weight, share)| {
            let weight = weight as f64;
            (sum + weight * share, all + weight)
        });
        if all > 0.0 { floor_to_tenth(100.0 * sum / all) } else { 0.0 }
    };
    let score = share(|judgement| judgement == Judgement::Pass);
    let confidence = share(|judgement| judgement != Judgement::NoEvidence);
    let threshold = manifest.readiness.threshold.get();
    let mut report = Report { subject, ready: score >= threshold as f64, score, threshold, confidence, rows };
    let missed = report.missed().next().is_some();
    report.ready &= !missed;
    report
}

fn row(case: &Case<'_>, component: Component) -> Row {
    let rules = &case.manifest.readiness;
    let checks: Vec<Checked> = CHECKS
        .iter()
        .filter(|check| check.component == component)
        .map(|check| {
            let finding = (check.judge)(case);
            let passes = matches!(finding.judgement, Judgement::Pass | Judgement::NotApplicable);
            Checked {
                id: check.id,
                what: check.what,
                must: check.must || rules.must.iter().any(|id| id == check.id),
                judgement: finding.judgement,
                said: finding.said,
                run: (!passes).then_some(check.run),
                source: finding.source,
            }
        })
        .collect();
    let weight = rules.weights.get(&component).copied().unwrap_or_else(|| component.usual_weight());
    let mut row = Row { component, weight, score: None, checks };
    row.score = share_of(&row, |judgement| judgement == Judgement::Pass).map(|share| floor_to_tenth(100.0 * share));
    row
}

/// The share of the weight that applies whose judgement counts.
fn share_of(row: &Row, counts: fn(Judgement) -> bool) -> Option<f64> {
    let weight = |id: &str| CHECKS.iter().find(|check: &&Check| check.id == id).map_or(0, |check| check.weight);
    let applies = row.checks.iter().filter(|check| check.judgement != Judgement::NotApplicable);
    let (sum, all) = applies.fold((0, 0), |(sum, all), check| {
        let weight = weight(check.id);
        (sum + if counts(check.judgement) { weight } else { 0 }, all + weight)
    });
    (all > 0).then(|| sum as f64 / all as f64)
}

/// Down, so that 94.99 never looks like 95; a hair of room for the arithmetic.
fn floor_to_tenth(number: f64) -> f64 {
    (number * 10.0 + 1e-6).floor() / 10.0
}
