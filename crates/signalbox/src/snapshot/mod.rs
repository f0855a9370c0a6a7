//! A snapshot: the store of an installation at one moment, in one file, taken while others write.

mod contents;
mod create;
mod file;
mod proof;
mod restore;
mod workshop;

pub use create::create;
pub use file::Manifest;
pub use proof::verify;
pub use restore::{Keys, restore};
