//! Whether a version may go: weighted checks over evidence, signatures, risks, the checklist, and the decision of them all.

mod check;
mod checklist;
mod component;
mod decision;
mod evidence;
mod judge;
mod report;
mod sign_off;

pub use check::{CHECKS, Check};
pub use checklist::{ChecklistState, Done, ItemState, states as checklist_states};
pub use component::Component;
pub use decision::{Decision, Inputs, Obstacle, decide};
pub use evidence::{
    Advisories, Backup, Baseline, Build, Configuration, Database, Documentation, Drill, Evidence, Fact, Findings, Git,
    LoadTest, Monitoring, Performance, Rehearsal, Security, SourceOfFact, Team, Tests,
};
pub use judge::{Finding, Judgement};
pub use report::{Checked, Report, Row, Subject, report};
pub use sign_off::{SignOff, SignOffState, sign_offs};
