use super::content::{Block, Line, Mark};
use super::kinds::{Sources, decision_words, heading, in_plan, paragraph, table};
use crate::model::calendar::Decision;
use crate::model::manifest::{Risk, RiskKind};
use crate::model::readiness::ItemState;

pub(super) fn blocks(sources: &Sources<'_>) -> Vec<Block> {
    let decision = sources.decision;
    let at = sources.readiness.subject.at;
    let mut blocks = vec![paragraph(decision_words(sources))];
    blocks.push(heading("Signatures"));
    let signatures = decision.sign_offs.iter().map(|(role, state)| Line {
        evidence: in_plan(sources, at),
        ..Line::judged(state.is_signed(), role.as_str(), state.words())
    });
    let signatures: Vec<Line> = signatures.collect();
    if signatures.is_empty() {
        blocks.push(paragraph("The manifest asks for none.".into()));
    } else {
        blocks.push(table("role", "signature", signatures));
    }
    blocks.push(heading("Window"));
    blocks.push(paragraph(match &decision.window {
        Decision::Open { until: Some(until) } => format!("Open until {until}."),
        Decision::Open { until: None } => "Always open.".into(),
        Decision::Closed { why, .. } => format!("Closed: {}.", why.join(", ")),
    }));
    blocks.push(heading("Risks"));
    let risks: Vec<Line> = sources.manifest.risks.iter().map(risk).collect();
    if risks.is_empty() {
        blocks.push(paragraph("The register is empty.".into()));
    } else {
        blocks.push(table("risk", "level and mitigation", risks));
    }
    if !decision.checklist.is_empty() {
        blocks.push(heading("Checklist"));
        let lines = decision.checklist.iter().map(|item| {
            let (mark, said) = match &item.state {
                ItemState::Done { who, at, note } => {
                    (Mark::Pass, format!("{who} at {at} {note}").trim_end().to_owned())
                }
                ItemState::Waiting => (Mark::Note, format!("due at {}", item.due)),
                ItemState::Due => (Mark::Fail, format!("was due at {}", item.due)),
            };
            Line { mark, ..Line::note(format!("{} {}", item.offset, item.what), said) }
        });
        blocks.push(table("item", "state", lines.collect()));
    }
    if !decision.obstacles.is_empty() {
        blocks.push(heading("What stands in the way"));
        let lines = decision.obstacles.iter().map(|obstacle| {
            let run = obstacle.run.as_ref().map_or(String::new(), |run| format!("run: {run}"));
            Line::judged(false, &obstacle.said, run)
        });
        blocks.push(table("obstacle", "what to do", lines.collect()));
    }
    blocks
}

fn risk(risk: &Risk) -> Line {
    let kind = match risk.kind {
        RiskKind::Technical => "technical",
        RiskKind::Operational => "operational",
        RiskKind::Business => "business",
    };
    let mitigation = risk.mitigation.as_deref().unwrap_or("no mitigation");
    let said = format!("{kind}, {}: {mitigation}", risk.level.word());
    if risk.is_open() { Line::judged(false, &risk.what, said) } else { Line::note(&risk.what, said) }
}
