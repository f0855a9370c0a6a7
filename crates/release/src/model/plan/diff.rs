use serde::Serialize;

use super::{Action, Live, Plan};
use crate::model::exit::Exit;
use crate::model::value::Percent;

/// What a plan changes in what is live, as `terraform plan` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diff {
    pub changes: Vec<Change>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    pub sign: Sign,
    pub what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    Add,
    Change,
    Remove,
}

impl Diff {
    /// 0: nothing to do, 2: changes.
    pub fn exit(&self) -> Exit {
        if self.changes.is_empty() { Exit::Done } else { Exit::Changes }
    }
}

impl Sign {
    /// `+`, `~`, `-`
    pub fn symbol(self) -> char {
        match self {
            Self::Add => '+',
            Self::Change => '~',
            Self::Remove => '-',
        }
    }
}

/// What is other than now when the plan has run.
pub fn diff(plan: Option<&Plan>, live: &Live) -> Diff {
    let Some(plan) = plan else { return Diff { changes: Vec::new() } };
    let mut changes = Vec::new();
    let mut add = |sign, what| changes.push(Change { sign, what });
    let instances = plan.steps().filter_map(|step| match &step.action {
        Action::Scale { instances, .. } => Some(*instances),
        _ => None,
    });
    let wanted = instances.max().unwrap_or(0);
    match live.versions.iter().find(|one| one.version == plan.to) {
        None => add(Sign::Add, format!("version {}: {wanted} instances, 100 %", plan.to)),
        Some(one) if one.weight != Percent::ALL || one.ready < wanted => {
            add(
                Sign::Change,
                format!("version {}: {} instances, {} → {wanted} instances, 100 %", plan.to, one.ready, one.weight),
            );
        }
        Some(_) => (),
    }
    for one in live.versions.iter().filter(|one| one.version != plan.to) {
        add(Sign::Remove, format!("version {}: {} instances, {}", one.version, one.instances, one.weight));
    }
    for step in plan.steps() {
        if let Action::Migrate { migration, .. } = &step.action {
            add(Sign::Add, format!("migration {migration}"));
        }
    }
    Diff { changes }
}
