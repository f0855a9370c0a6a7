use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use rustix::process::Signal;

use crate::bench::figures::Engine;
use crate::bench::history::{History, Order};
use crate::bench::verdict;
use crate::guard::Guard;
use crate::process;
use crate::services::postgres::Postgres;
use crate::services::service::Service;
use crate::setup::{node, python, tools};
use crate::stages::Stages;
use crate::workspace::Workspace;

const LONG_EVENTS: u64 = 10_000_000;

/// Set up what the tests need, then run all of them
///
/// On Debian as root it installs what is missing; elsewhere it says what that is. It starts a throwaway PostgreSQL
/// cluster, builds the release binary, runs the tests of the whole workspace, and leaves nothing behind.
#[derive(Args)]
pub(crate) struct Test {
    /// Run the long form of the suites: kill -9 × 300, power loss × 50; without a filter, also a history of 10 million
    /// events, which must be rebuilt to the same figures
    #[arg(long)]
    long: bool,
    /// Install nothing: fail and say what is missing
    #[arg(long)]
    no_setup: bool,
    /// Run only the tests whose names contain one of these
    filter: Vec<String>,
}

/// A long history and its rebuild. The speed is told, the figures must be equal.
fn long_history(guard: &Arc<Guard>, binary: PathBuf) -> Result<()> {
    let history = History {
        order: Order::Lived,
        guard: Arc::clone(guard),
        binary,
        events: LONG_EVENTS,
        engine: Engine::Sqlite,
        folder: None,
        postgres: None,
    };
    let figures = history.run()?;
    eprint!("{}", verdict::lines(&figures.verdicts()));
    figures.ensure_equal()
}

impl Test {
    pub(crate) fn run(self) -> Result<()> {
        let mut stages = Stages::default();
        let result = self.run_stages(&mut stages);
        stages.print_summary();
        result
    }

    fn run_stages(&self, stages: &mut Stages) -> Result<()> {
        let workspace = Workspace::locate()?;
        let guard = Guard::start()?;
        let install = !self.no_setup;
        stages.run("tools", || tools::ensure(&guard, tools::FOR_TESTS, install))?;
        let node_modules = stages.run("npm packages", || node::ensure(install))?;
        let python_programs = stages.run("Python packages", || python::ensure(install))?;
        let programs = tools::postgres_programs().context("PostgreSQL was here a moment ago")?;
        let cluster = stages.run("start PostgreSQL", || Postgres::start(&guard, &programs))?;
        let binary = stages.run("build for release", || workspace.release_binary())?;
        let prepare = |command: &mut Command| {
            command
                .env("SIGNALBOX_BIN", &binary)
                .env("SIGNALBOX_TEST_NODE_MODULES", &node_modules)
                .env("SIGNALBOX_TEST_SCHEMATHESIS", python_programs.join("schemathesis"))
                .env("SIGNALBOX_TEST_POSTGRES", cluster.url("postgres"))
                .env("SIGNALBOX_TEST_POSTGRES_SUPER", cluster.superuser_url("postgres"));
            if self.long {
                command.env("SIGNALBOX_TEST_LONG", "1");
            }
        };
        let run = |command: &mut Command| -> Result<()> {
            prepare(command);
            let status = Service::start(&guard, "the tests", command, Signal::TERM, None)?.wait()?;
            if !status.success() {
                bail!("{} failed ({status})", process::shown(command));
            }
            Ok(())
        };

        let nextest = process::output(workspace.cargo().args(["nextest", "--version"])).is_ok();
        let mut command = workspace.cargo();
        if nextest {
            command.args(["nextest", "run", "--workspace", "--no-fail-fast"]).args(&self.filter);
        } else {
            eprintln!("  cargo-nextest is not installed: `cargo test` runs the tests, one crate after the other");
            command.args(["test", "--workspace", "--no-fail-fast", "--"]).args(&self.filter);
        }
        // nextest does not run the examples in documentation; `cargo test` has run them already.
        let build = stages.run("build the tests", || run(workspace.cargo().args(["test", "--workspace", "--no-run"])));
        let tests = build.and_then(|()| stages.run("tests", || run(&mut command)));
        if !self.filter.is_empty() {
            return tests;
        }
        let examples = match nextest {
            true => {
                stages.run("examples in the docs", || run(workspace.cargo().args(["test", "--workspace", "--doc"])))
            }
            false => Ok(()),
        };
        let history = match self.long {
            true => stages.run("10 million events", || long_history(&guard, binary.clone())),
            false => Ok(()),
        };
        tests.and(examples).and(history)
    }
}
