use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use crate::check::files::Files;
use crate::check::outcome::Outcome;
use crate::check::{arrows, dependencies, formatting, licences, links, lints, machine_paths, silenced, sizes};
use crate::workspace::Workspace;

/// Check what must hold before every commit
///
/// Format, lints, arrows between crates, file sizes, links between documents, licences and bans of dependencies,
/// the list of them, paths of a machine, silenced tests and lints. All of them run, whatever fails.
#[derive(Args)]
pub(crate) struct Check {
    /// Let rustfmt and clippy mend what they can
    #[arg(long)]
    fix: bool,
}

impl Check {
    pub(crate) fn run(self) -> Result<()> {
        let workspace = Workspace::locate()?;
        let files = Files::read(&workspace)?;
        let metadata = workspace.metadata()?;
        let mut failed = Vec::new();
        let mut line = |name: &'static str, advice: &str, check: &mut dyn FnMut() -> Result<Outcome>| {
            let start = Instant::now();
            let outcome = check().unwrap_or_else(|error| Outcome::new("", vec![format!("{error:#}")]));
            let ok = outcome.problems.is_empty();
            let word = if ok { "ok" } else { "FAILED" };
            println!("{name:<16}{word:<8}{:>6.1} s  {}", start.elapsed().as_secs_f64(), outcome.note);
            for problem in &outcome.problems {
                println!("  {problem}");
            }
            if !ok {
                println!("  → {advice}");
                failed.push(name);
            }
        };
        line("arrows", ARROWS, &mut || Ok(arrows::check(&metadata)));
        line("file sizes", SIZES, &mut || Ok(sizes::check(&files)));
        line("links", LINKS, &mut || Ok(links::check(&files)));
        line("licences, bans", LICENCES, &mut || licences::check(&workspace, &files, &metadata));
        line("dependencies", DEPENDENCIES, &mut || dependencies::check(&workspace, &files, &metadata, self.fix));
        line("machine paths", PATHS, &mut || Ok(machine_paths::check(&files)));
        line("silenced", SILENCED, &mut || Ok(silenced::check(&files)));
        line("format", FORMAT, &mut || Ok(formatting::check(&workspace, self.fix)));
        line("clippy", CLIPPY, &mut || Ok(lints::check(&workspace, self.fix)));
        if !failed.is_empty() {
            bail!("failed: {}", failed.join("; "));
        }
        Ok(())
    }
}

const ARROWS: &str = "let the two meet in a stored row, a job, or a small trait that the caller owns (ARCHITECTURE.md); \
    a new crate gets its place in crates/xtask/src/check/arrows.rs";
const SIZES: &str = "split the file, or give its head comment a line `//! Long because …`";
const LINKS: &str = "mend the link, or add what it leads to";
const LICENCES: &str = "choose another crate, or allow its licence in deny.toml with the reason in the commit message";
const DEPENDENCIES: &str = "cargo xtask check --fix writes it";
const PATHS: &str = "make it relative, or find it at run time";
const SILENCED: &str = "make the test run, write the code, or use #[expect(…, reason = \"…\")]";
const FORMAT: &str = "cargo xtask check --fix";
const CLIPPY: &str = "mend what clippy says above; `cargo xtask check --fix` does part of it";
