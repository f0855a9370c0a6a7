//! Judging opens and clicks: which signals are seen, what they weigh, and how later events re-label earlier ones.
//! A verdict depends on the logged events in order of seq and on nothing else; never on how they were batched.

mod burst;
mod fold;
mod own;
mod reason;

pub use fold::{Change, Fold, Hit, MessageState, Needs, SourceRecord, Window};
pub use own::{Facts, own_reasons};
pub use reason::{REASONS, RULE_VERSION, Reason, Reasons, Verdict, weigh};
