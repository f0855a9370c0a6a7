//! `signalbox audit list|export|verify|checkpoint|key`

mod checkpoint;
mod export;
mod key;
mod list;
mod verify;

use std::process::ExitCode;

use clap::Subcommand;

use super::Common;

/// Something does not hold.
const TAMPERED: u8 = 1;
/// It could not be looked at.
const UNREADABLE: u8 = 2;

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Show what was changed, the newest first.
    List(list::List),
    /// Write the whole log as JSON lines that can be verified anywhere.
    Export(export::Export),
    /// Say whether the log was tampered with, and where.
    Verify(verify::Verify),
    /// Sign the present end of the log and send it to where checkpoints go.
    Checkpoint(Common),
    /// Print the public key that checks checkpoints and exports.
    Key(Common),
}

impl Audit {
    /// 0: all is well, 1: tampered with, 2: it could not be looked at.
    pub fn run(self) -> ExitCode {
        let done = match self {
            Audit::List(list) => list.run().map(|()| true),
            Audit::Export(export) => export.run().map(|()| true),
            Audit::Verify(verify) => verify.run(),
            Audit::Checkpoint(common) => checkpoint::run(&common),
            Audit::Key(common) => key::run(&common).map(|()| true),
        };
        match done {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(TAMPERED),
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::from(UNREADABLE)
            }
        }
    }
}
