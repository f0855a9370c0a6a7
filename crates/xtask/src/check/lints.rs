//! clippy, with warnings denied.

use super::outcome::Outcome;
use crate::process;
use crate::workspace::Workspace;

pub(crate) fn check(workspace: &Workspace, fix: bool) -> Outcome {
    let mut command = workspace.cargo();
    command.args(["clippy", "--workspace", "--all-targets", "--quiet", "--keep-going"]);
    if fix {
        command.args(["--fix", "--allow-dirty", "--allow-staged"]);
    }
    command.args(["--", "-D", "warnings"]);
    Outcome::of_program(process::run(&mut command))
}
