//! `cargo fmt`.

use super::outcome::Outcome;
use crate::process;
use crate::workspace::Workspace;

pub(crate) fn check(workspace: &Workspace, fix: bool) -> Outcome {
    let mut command = workspace.cargo();
    command.args(["fmt", "--all"]);
    if !fix {
        // Names of files, not what would change in them.
        command.args(["--check", "--", "--files-with-diff"]);
    }
    Outcome::of_program(process::run(&mut command))
}
