//! `cargo fmt`.

use super::outcome::Outcome;
use crate::process;
use crate::workspace::Workspace;

pub(crate) fn check(workspace: &Workspace, fix: bool) -> Outcome {
    let mut command = workspace.cargo();
    command.args(["fmt", "--all"]);
    if !fix {
        command.arg("--check");
    }
    Outcome::of_program(process::run(&mut command))
}
