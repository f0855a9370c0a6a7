//! Migrations: labelled expand, backfill or contract; ordered, checksummed, run once; and how far code can still roll back.

mod file;
mod inspect;
mod order;
mod problem;
mod reach;

pub use file::{Kind, Migration};
pub use inspect::{Applied, Inspection, Situation, inspect};
pub use order::{Set, read};
pub use problem::Problem;
pub use reach::{Reach, reach};
