use signalbox_core::time::Micros;

use super::content::{Block, Document, Kind, Line};
use super::{authorization, plan, readiness, summary};
use crate::model::machine::Journal;
use crate::model::manifest::Manifest;
use crate::model::plan::{Lint, Plan};
use crate::model::readiness::{Decision, Fact, Report, SourceOfFact};

/// What documents are made of. The same sources always make the same document.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    pub manifest: &'a Manifest,
    pub plan: &'a Plan,
    pub lints: &'a [Lint],
    pub readiness: &'a Report,
    pub decision: &'a Decision,
    /// Of the release; none before it has begun.
    pub journal: Option<&'a Journal>,
    /// What was measured: the edge's receipt, comparisons, drills.
    pub measured: &'a [Measured],
}

/// A figure, whether it is as it should be, and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// With its limit: `error rate < 0.1 %`.
    pub what: String,
    /// The figure, and whether it is within the limit.
    pub figure: Fact<(bool, String)>,
}

/// Makes a document; none where there is nothing to tell yet: a summary before the release has begun.
pub fn document(kind: Kind, sources: &Sources<'_>) -> Option<Document> {
    let blocks = match kind {
        Kind::Readiness => readiness::blocks(sources),
        Kind::Plan => plan::blocks(sources),
        Kind::Authorization => authorization::blocks(sources),
        Kind::Summary => summary::blocks(sources, sources.journal?),
    };
    let (service, version) = (&sources.plan.service, &sources.plan.to);
    Some(Document {
        kind,
        title: format!("{}: {service} {version}", kind.title()),
        blocks,
        again: format!("signalbox release report {version} --kind {} --verify FILE", kind.word()),
    })
}

pub(super) fn heading(text: &str) -> Block {
    Block::Heading { text: text.to_owned() }
}

pub(super) fn paragraph(text: String) -> Block {
    Block::Paragraph { text }
}

pub(super) fn table(what: &str, said: &str, lines: Vec<Line>) -> Block {
    Block::Table { heads: [what.to_owned(), said.to_owned()], lines }
}

/// Where a record of the journal can be looked up.
pub(super) fn in_journal(sources: &Sources<'_>, seq: u64, at: Micros) -> Option<SourceOfFact> {
    let command = format!("signalbox release journal {}", sources.plan.to);
    Some(SourceOfFact { command, reference: format!("journal {seq}"), at })
}

/// The plan by its hash, for what is computed rather than seen.
pub(super) fn in_plan(sources: &Sources<'_>, at: Micros) -> Option<SourceOfFact> {
    let command = format!("signalbox release plan {}", sources.plan.to);
    Some(SourceOfFact { command, reference: format!("plan {}", sources.plan.hash.short()), at })
}

pub(super) fn measured(sources: &Sources<'_>) -> Vec<Line> {
    let line = |one: &Measured| {
        let (passes, said) = &one.figure.value;
        Line { evidence: Some(one.figure.source.clone()), ..Line::judged(*passes, &one.what, said) }
    };
    sources.measured.iter().map(line).collect()
}

/// `Decision: go, confidence 97 % · risk low`
pub(super) fn decision_words(sources: &Sources<'_>) -> String {
    let decision = sources.decision;
    let go = if decision.go { "go" } else { "no-go" };
    format!(
        "Decision: {go}, confidence {} % · risk {} · readiness {} of 100 (needs {}) · plan {}",
        decision.confidence,
        decision.risk.word(),
        sources.readiness.score,
        sources.readiness.threshold,
        sources.plan.hash.short()
    )
}
