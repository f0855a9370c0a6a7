use serde::Serialize;
use signalbox_core::time::Micros;

use super::checklist::{ChecklistState, Done, states};
use super::report::Report;
use super::sign_off::{SignOff, SignOffState, sign_offs};
use crate::model::calendar;
use crate::model::exit::Exit;
use crate::model::manifest::{Level, Manifest};
use crate::model::plan::{Lint, Plan, Severity};
use crate::model::value::Name;

/// What a decision is made of.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    pub manifest: &'a Manifest,
    pub plan: &'a Plan,
    pub lints: &'a [Lint],
    pub readiness: &'a Report,
    pub sign_offs: &'a [SignOff],
    pub done: &'a [Done],
    /// When the release is to begin.
    pub start: Micros,
    pub now: Micros,
}

/// Go or no-go, and everything that it rests on: kept as evidence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    pub go: bool,
    /// That of the readiness report: how much of it rests on fresh evidence.
    pub confidence: f64,
    /// The highest level among the risks.
    pub risk: Level,
    /// What stands in the way, the gravest first.
    pub obstacles: Vec<Obstacle>,
    pub sign_offs: Vec<(Name, SignOffState)>,
    pub checklist: Vec<ChecklistState>,
    pub window: calendar::Decision,
}

/// Something that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    /// What kind of refusal it is.
    pub exit: Exit,
    pub said: String,
    /// What to run about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

impl Decision {
    /// What a command ends with.
    pub fn exit(&self) -> Exit {
        self.obstacles.first().map_or(Exit::Done, |obstacle| obstacle.exit)
    }
}

/// Joins readiness, signatures, risks, checklist, the linter and the calendar.
pub fn decide(inputs: Inputs<'_>) -> Decision {
    let Inputs { manifest, plan, lints, readiness, now, .. } = inputs;
    let mut obstacles = Vec::new();
    let mut add = |exit, said: String, run: Option<String>| obstacles.push(Obstacle { exit, said, run });
    if readiness.subject.version != plan.to {
        let said = format!("the readiness report is about {}, the plan about {}", readiness.subject.version, plan.to);
        add(Exit::NoGo, said, None);
    }
    if readiness.score < readiness.threshold as f64 {
        add(Exit::NoGo, format!("readiness {} of 100 (needs {})", readiness.score, readiness.threshold), None);
    }
    for (component, check) in readiness.missed() {
        let said = format!("{}: {}", component.title(), check.said);
        add(Exit::NoGo, said, check.run.map(str::to_owned));
    }
    for lint in lints.iter().filter(|lint| lint.severity == Severity::Refuses) {
        add(Exit::Refused, format!("the plan: {}", lint.said), None);
    }
    for risk in manifest.risks.iter().filter(|risk| risk.is_open()) {
        let said = format!("risk {:?} is {} and has no mitigation", risk.what, risk.level.word());
        add(Exit::NoGo, said, None);
    }
    let checklist = states(&manifest.checklist, inputs.done, inputs.start, now);
    for item in checklist.iter().filter(|item| item.blocks()) {
        add(Exit::NoGo, format!("checklist {}: {:?} is not done", item.offset, item.what), None);
    }
    let sign_offs = sign_offs(&manifest.approvals, inputs.sign_offs, plan.hash, now);
    for (role, state) in sign_offs.iter().filter(|(_, state)| !state.is_signed()) {
        let run = format!("signalbox release approve --role {role} --plan {}", plan.hash.short());
        add(Exit::AwaitingApproval, format!("{role} {}", state.words()), Some(run));
    }
    let window = manifest.calendar.decide(inputs.start);
    if let calendar::Decision::Closed { why, opens } = &window {
        let opens = opens.map_or("it does not open within a year".into(), |at| format!("it opens at {at}"));
        add(Exit::WindowClosed, format!("the window is closed: {}; {opens}", why.join(", ")), None);
    }
    obstacles.sort_by_key(|obstacle| obstacle.exit.gravity());
    let risk = manifest.risks.iter().map(|risk| risk.level).max().unwrap_or(Level::Low);
    Decision {
        go: obstacles.is_empty(),
        confidence: readiness.confidence,
        risk,
        obstacles,
        sign_offs,
        checklist,
        window,
    }
}
