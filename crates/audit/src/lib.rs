//! The audit log: what was changed and what touched security, by whom, from where. Append-only, hash-chained, with
//! signed checkpoints that leave the machine. It never sees secrets, and personal values stay outside the chain, so that
//! they can be erased. docs/audit.md describes the formats.

pub mod checkpoint;
mod draft;
mod entry;
pub mod export;
pub mod read;
mod rows;
pub mod schema;
pub mod verify;

pub use entry::{Actor, Entry, append, append_all};
pub use rows::head;
