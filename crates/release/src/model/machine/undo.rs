use super::progress::Progress;
use crate::model::plan::{StepId, Undo};

/// Something to take back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UndoTask<'j> {
    /// The last step that it takes back.
    pub step: StepId,
    pub undo: &'j Undo,
}

/// What is to be taken back, in order: capacity of the old version, then the traffic, then the rest. Steps that share an
/// undo are taken back at once: traffic goes back in one move, not step by step.
pub fn undo_tasks<'j>(progress: &Progress<'j>) -> Vec<UndoTask<'j>> {
    let touched = progress.plan.steps().filter(|step| progress.touched(step.id));
    let mut tasks: Vec<UndoTask<'j>> = Vec::new();
    for step in touched.filter(|step| rank(&step.undo).is_some()) {
        tasks.retain(|task| rank(task.undo) != rank(&step.undo));
        tasks.push(UndoTask { step: step.id, undo: &step.undo });
    }
    tasks.sort_by_key(|task| rank(task.undo));
    tasks
}

/// In which order kinds of undo come; none: there is nothing to do.
fn rank(undo: &Undo) -> Option<u8> {
    match undo {
        Undo::Nothing | Undo::Stays { .. } | Undo::Impossible { .. } => None,
        Undo::StartAgain { .. } => Some(0),
        Undo::RouteAll { .. } => Some(1),
        Undo::StopInstances { .. } => Some(2),
        Undo::StopStaging => Some(3),
        Undo::RemoveCopy => Some(4),
    }
}
