//! `signalbox snapshot create|verify|restore`

mod create;
mod restore;
mod verify;

use clap::Subcommand;

use crate::snapshot::Manifest;

#[derive(Debug, Subcommand)]
pub enum Snapshot {
    /// Take the whole store into one file, while others write. Keys are not in it.
    Create(create::Create),
    /// Restore it for a moment, look at everything, and say what that proved.
    Verify(verify::Verify),
    /// Restore it into a new data directory.
    Restore(restore::Restore),
}

impl Snapshot {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Snapshot::Create(create) => create.run(),
            Snapshot::Verify(verify) => verify.run(),
            Snapshot::Restore(restore) => restore.run(),
        }
    }
}

/// For people: what it is.
fn told(manifest: &Manifest) -> String {
    let contents = &manifest.contents;
    let events = contents.tables.get("event").copied().unwrap_or_default();
    format!(
        "{} of {}, schema {}: {events} events, {} more in the intake log, {:.1} MB",
        manifest.engine,
        manifest.made_at,
        contents.schema,
        contents.log.waiting,
        manifest.bytes() as f64 / 1e6
    )
}
