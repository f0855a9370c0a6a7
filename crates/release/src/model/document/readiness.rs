use super::content::{Block, Line, Mark};
use super::kinds::{Sources, decision_words, heading, paragraph, table};
use crate::model::readiness::Judgement;

pub(super) fn blocks(sources: &Sources<'_>) -> Vec<Block> {
    let report = sources.readiness;
    let row = |row: &crate::model::readiness::Row| {
        let passed = row.checks.iter().filter(|check| check.judgement == Judgement::Pass).count();
        let applies = row.checks.iter().filter(|check| check.judgement != Judgement::NotApplicable).count();
        match row.score {
            None => Line::note(row.component.title(), "nothing in it applies"),
            Some(score) => {
                let said = format!("{score} of 100, {passed} of {applies} checks, weight {}", row.weight);
                Line::judged(passed == applies, row.component.title(), said)
            }
        }
    };
    let mut blocks = vec![
        paragraph(decision_words(sources)),
        paragraph(format!(
            "Confidence is the share of the weight that rests on evidence not older than {}. What nobody looked at is never a pass. Judged at {}.",
            sources.manifest.readiness.evidence_age, report.subject.at
        )),
        heading("Matrix"),
        table("component", "score", report.rows.iter().map(row).collect()),
    ];
    for row in &report.rows {
        blocks.push(heading(row.component.title()));
        let lines = row.checks.iter().map(|check| {
            let mark = match check.judgement {
                Judgement::Pass => Mark::Pass,
                Judgement::Fail => Mark::Fail,
                Judgement::NoEvidence => Mark::Unknown,
                Judgement::NotApplicable => Mark::Note,
            };
            let must = if check.must { " (must pass)" } else { "" };
            let run = check.run.map_or(String::new(), |run| format!("; run: {run}"));
            let said = format!("{}{run}", check.said);
            Line { mark, evidence: check.source.clone(), ..Line::note(format!("{}{must}", check.what), said) }
        });
        blocks.push(table("check", "result", lines.collect()));
    }
    blocks
}
