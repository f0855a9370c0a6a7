//! Documents that write themselves from evidence. Every line names the command and the figure behind it; `verify` makes the
//! document anew and compares line by line.

mod authorization;
mod content;
mod html;
mod kinds;
mod markdown;
mod plan;
mod readiness;
mod summary;
mod verify;

pub use content::{Block, Document, Kind, Line, Mark};
pub use html::html;
pub use kinds::{Measured, Sources, document};
pub use markdown::markdown;
pub use verify::{Difference, Verified, verify};
