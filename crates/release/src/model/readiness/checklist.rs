use serde::{Deserialize, Serialize};
use signalbox_core::time::Micros;

use crate::model::manifest::{ChecklistItem, Offset};

/// An item was done, by a person or by its command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What the item says; two items never say the same at the same time.
    pub what: String,
    pub offset: Offset,
    pub who: String,
    pub at: Micros,
    pub note: String,
}

/// An item at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChecklistState {
    pub what: String,
    pub offset: Offset,
    pub due: Micros,
    pub state: ItemState,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum ItemState {
    Done {
        who: String,
        at: Micros,
        note: String,
    },
    /// Not yet due.
    Waiting,
    /// Its time has come and it is not done.
    Due,
}

impl ChecklistState {
    /// Whether it stands in the way of a release that begins now: items for afterwards never do.
    pub fn blocks(&self) -> bool {
        self.offset.is_before() && !matches!(self.state, ItemState::Done { .. })
    }
}

/// The items in order of time, for a release that begins at `start`.
pub fn states(items: &[ChecklistItem], done: &[Done], start: Micros, now: Micros) -> Vec<ChecklistState> {
    let mut states: Vec<ChecklistState> = items
        .iter()
        .map(|item| {
            let due = item.at.from(start);
            let tick = done.iter().find(|done| done.what == item.what && done.offset == item.at && done.at <= now);
            let state = match tick {
                Some(done) => ItemState::Done { who: done.who.clone(), at: done.at, note: done.note.clone() },
                None if due > now => ItemState::Waiting,
                None => ItemState::Due,
            };
            ChecklistState { what: item.what.clone(), offset: item.at, due, state }
        })
        .collect();
    states.sort_by_key(|state| state.due);
    states
}
