use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use crate::bench::audit::Audit;
use crate::bench::edge::Edge;
use crate::bench::figures::Engine;
use crate::bench::history::{History, Order};
use crate::bench::versions::Versions;
use crate::bench::{canary, pages, print, tracking, verdict};
use crate::guard::Guard;
use crate::setup::tools;
use crate::workspace::Workspace;

/// Measure signalbox against a peer in the same run
#[derive(Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Tracking(Tracking),
    History(HistoryArgs),
    Audit(AuditArgs),
    Pages(Pages),
    Versions(VersionsArgs),
    Edge(EdgeArgs),
    Canary(CanaryArgs),
}

/// Where figures go beside the terminal.
#[derive(Args)]
struct Output {
    /// Also write the figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Output {
    fn write<T: serde::Serialize>(&self, figures: &T) -> Result<()> {
        let Some(file) = &self.json else { return Ok(()) };
        let json = serde_json::to_string_pretty(figures)?;
        std::fs::write(file, json + "\n").with_context(|| format!("cannot write {}", file.display()))
    }

    /// Prints them as JSON too.
    fn print<T: serde::Serialize>(&self, figures: &T) -> Result<()> {
        println!("{}", serde_json::to_string_pretty(figures)?);
        self.write(figures)
    }
}

/// What is measured.
#[derive(Args)]
struct Measured {
    /// Measure this binary instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

impl Measured {
    fn path(&self) -> Result<PathBuf> {
        match &self.binary {
            Some(binary) => Ok(std::path::absolute(binary)?),
            None => Workspace::locate()?.release_binary(),
        }
    }
}

/// Simulated roll-outs, judged by signalbox, Kayenta, Argo Rollouts and Flagger on the same streams
#[derive(Args)]
struct CanaryArgs {
    /// Roll-outs of each scenario
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    roll_outs: u64,
    /// 200 roll-outs of each scenario: shows that the bench works
    #[arg(long, conflicts_with = "roll_outs")]
    quick: bool,
    /// Begin another sequence of random numbers
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    figures: Output,
}

impl CanaryArgs {
    fn run(self) -> Result<()> {
        let roll_outs = if self.quick { 200 } else { self.roll_outs };
        let figures = canary::run(usize::try_from(roll_outs)?, self.seed)?;
        canary::print(&figures);
        self.figures.write(&figures)?;
        if !figures.broken().is_empty() {
            bail!("more than 5 % false alarms: {}", figures.broken().join(", "));
        }
        Ok(())
    }
}

/// The pixel against nginx's `empty_gif` with an access log
#[derive(Args)]
struct Tracking {
    /// Length of a round
    #[arg(long, value_name = "S", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "64,256,1024")]
    connections: Vec<usize>,
    #[arg(long, value_delimiter = ',', default_value = "sqlite,postgres")]
    engine: Vec<Engine>,
    /// One round of 2 seconds at 256 connections, on SQLite: shows that the bench works
    #[arg(long, conflicts_with_all = ["seconds", "rounds", "connections", "engine"])]
    quick: bool,
    /// Different tokens to ask for
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    tokens: usize,
    #[command(flatten)]
    figures: Output,
    /// Where stores lie while it runs, instead of /var/tmp
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    measured: Measured,
}

/// Reports, timelines and a rebuild over a long history
#[derive(Args)]
struct HistoryArgs {
    /// Events of the history
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    events: u64,
    #[arg(long, default_value = "sqlite")]
    engine: Engine,
    #[arg(long, default_value = "lived")]
    order: Order,
    #[command(flatten)]
    figures: Output,
    /// Where stores lie while it runs, instead of /var/tmp
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    measured: Measured,
}

/// Verifying a long audit log, in the store and in an export
#[derive(Args)]
struct AuditArgs {
    /// Entries of the log
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    entries: u64,
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    #[arg(long, default_value = "sqlite")]
    engine: Engine,
    #[command(flatten)]
    figures: Output,
    /// Where stores lie while it runs, instead of /var/tmp
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    measured: Measured,
}

/// How fast the pages of the demo are answered and shown
#[derive(Args)]
struct Pages {
    /// Requests of each page
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    requests: u32,
    #[command(flatten)]
    figures: Output,
    #[command(flatten)]
    measured: Measured,
}

/// This version against an earlier one: what a change costs on the path of a hit
#[derive(Args)]
struct VersionsArgs {
    /// The release binary of the earlier version
    #[arg(long, value_name = "FILE")]
    base: PathBuf,
    #[command(flatten)]
    measured: Measured,
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u64).range(3..))]
    rounds: u64,
    #[command(flatten)]
    figures: Output,
}

impl VersionsArgs {
    fn run(self) -> Result<()> {
        let guard = Guard::start()?;
        tools::ensure(&guard, &tools::for_bench(false), true)?;
        let binary = self.measured.path()?;
        let base = std::path::absolute(&self.base)?;
        let ratio =
            Versions { guard, binary, base, seconds: self.seconds, rounds: usize::try_from(self.rounds)? }.run()?;
        println!(
            "recorded requests/s, now to before: {:.3} (95 % interval {:.3} to {:.3}, {} rounds)",
            ratio.mean,
            ratio.low_95,
            ratio.high_95,
            ratio.rounds.len()
        );
        self.figures.write(&ratio)
    }
}

/// The edge against HAProxy and nginx as reverse proxies
#[derive(Args)]
struct EdgeArgs {
    /// Length of a round
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    #[arg(long, value_name = "N", default_value_t = 64)]
    connections: usize,
    /// Requests per second of the open loops
    #[arg(long, value_name = "N", default_value_t = 8_000.0)]
    rate: f64,
    /// Idle connections for the measurement of memory
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    idle: usize,
    /// One round of 2 seconds and 1,000 idle connections: shows that the bench works
    #[arg(long, conflicts_with_all = ["seconds", "rounds", "idle"])]
    quick: bool,
    #[command(flatten)]
    figures: Output,
    #[command(flatten)]
    measured: Measured,
}

impl EdgeArgs {
    fn run(mut self) -> Result<()> {
        if self.quick {
            (self.seconds, self.rounds, self.idle) = (2, 1, 1_000);
        }
        let guard = Guard::start()?;
        tools::ensure(&guard, &tools::for_bench_of_edge(), true)?;
        let binary = self.measured.path()?;
        let bench = Edge {
            guard,
            binary,
            seconds: self.seconds,
            rounds: usize::try_from(self.rounds)?,
            connections: self.connections,
            rate: self.rate,
            idle: self.idle,
        };
        let figures = bench.run()?;
        figures.print();
        self.figures.write(&figures)?;
        Ok(())
    }
}

impl AuditArgs {
    fn run(self) -> Result<()> {
        let guard = Guard::start()?;
        tools::ensure(&guard, &tools::for_bench(self.engine == Engine::Postgres), true)?;
        let workspace = Workspace::locate()?;
        let binary = self.measured.path()?;
        let postgres = match self.engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(tracking::start_postgres(&guard)?),
        };
        let audit = Audit {
            guard,
            binary,
            fill: workspace.release_example("signalbox-audit", "fill")?,
            entries: self.entries,
            rounds: usize::try_from(self.rounds)?,
            engine: self.engine,
            folder: self.dir,
            postgres,
        };
        self.figures.print(&audit.run()?)
    }
}

impl Pages {
    fn run(self) -> Result<()> {
        let guard = Guard::start()?;
        tools::ensure(&guard, tools::FOR_TESTS, true)?;
        let binary = self.measured.path()?;
        pages::run(&binary, self.requests, self.figures.json.as_deref())
    }
}

impl HistoryArgs {
    fn run(self) -> Result<()> {
        let guard = Guard::start()?;
        tools::ensure(&guard, &tools::for_bench(self.engine == Engine::Postgres), true)?;
        let binary = self.measured.path()?;
        let postgres = match self.engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(tracking::start_postgres(&guard)?),
        };
        let history = History {
            guard,
            binary,
            events: self.events,
            engine: self.engine,
            order: self.order,
            folder: self.dir,
            postgres,
        };
        let figures = history.run()?;
        self.figures.print(&figures)?;
        // The figures on standard output are for programs.
        eprint!("\n{}", verdict::lines(&figures.verdicts()));
        figures.ensure_equal()
    }
}

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        match self.what {
            What::Tracking(tracking) => tracking.run(),
            What::History(history) => history.run(),
            What::Audit(audit) => audit.run(),
            What::Pages(pages) => pages.run(),
            What::Versions(versions) => versions.run(),
            What::Edge(edge) => edge.run(),
            What::Canary(canary) => canary.run(),
        }
    }
}

impl Tracking {
    fn run(mut self) -> Result<()> {
        if self.quick {
            (self.seconds, self.rounds, self.connections, self.engine) = (2, 1, vec![256], vec![Engine::Sqlite]);
        }
        let guard = Guard::start()?;
        tools::ensure(&guard, &tools::for_bench(self.engine.contains(&Engine::Postgres)), true)?;
        let binary = self.measured.path()?;
        let bench = tracking::Bench {
            guard,
            binary,
            folder: self.dir.as_deref().map(std::path::absolute).transpose()?,
            seconds: self.seconds,
            rounds: usize::try_from(self.rounds)?,
            connections: self.connections,
            engines: self.engine,
            tokens: self.tokens,
        };
        let figures = bench.run()?;
        print::figures(&figures);
        let verdicts = verdict::verdicts(&figures);
        print::verdicts(&verdicts);
        self.figures.write(&figures)?;
        if figures.engines.iter().any(|engine| engine.lost > 0) {
            bail!("acknowledged events are not stored");
        }
        Ok(())
    }
}
