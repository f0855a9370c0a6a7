//! A release as a state machine: the journal is its memory, and `resume` says what comes next, whenever it is asked: after
//! every record, after every crash. Nothing here acts.

mod command;
mod journal;
mod lease;
mod observation;
mod place;
mod progress;
mod record;
mod resume;
mod state;
mod undo;

pub use command::{Verb, VerbRefusal, command};
pub use journal::{Journal, JournalFault};
pub use lease::{Lease, LeaseRefusal, take};
pub use observation::{Gate, Judged, Observation, Seen, TriggerKind, Tripped, Verdict};
pub use progress::{Attempt, Progress, Rollback};
pub use record::{Direction, Event, Outcome, Record, Why};
pub use resume::{Next, resume};
pub use state::State;
pub use undo::{UndoTask, undo_tasks};
