//! The pixel with durable acknowledgement against nginx's `empty_gif` with an access log, in alternating rounds.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use super::figures::{Comparison, Constant, Engine, EngineFigures, Figures, Round, Side, median};
use super::machine::Machine;
use super::{catch_up, memory};
use crate::guard::Guard;
use crate::load::agents::agents;
use crate::load::report::Report;
use crate::load::requests::Requests;
use crate::load::run::{PATIENCE, Plan, raise_open_files};
use crate::services::folder::Folder;
use crate::services::nginx::Nginx;
use crate::services::postgres::Postgres;
use crate::services::signalbox::{Installation, Server};
use crate::services::wrk::Wrk;
use crate::setup::tools;

/// For the constant rate and for limits that are on.
const CONNECTIONS: usize = 256;
const CONSTANT_RATE: f64 = 10_000.0;
/// A source may ask for 1,000 pixels a second: these together ask for less than each may.
const SOURCES: usize = 250;

pub(crate) struct Bench {
    pub(crate) guard: Arc<Guard>,
    pub(crate) binary: PathBuf,
    /// Where stores and logs lie while it runs; `None` is a folder on disk.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) seconds: u64,
    pub(crate) rounds: usize,
    pub(crate) connections: Vec<usize>,
    pub(crate) engines: Vec<Engine>,
    pub(crate) tokens: usize,
}

/// One engine under measurement, and what its runs added up to.
struct Run<'a> {
    bench: &'a Bench,
    nginx: &'a Nginx,
    paths: &'a [String],
    agents: &'a [String],
    wrk: &'a Wrk,
    acknowledged: u64,
    /// What the servers themselves counted.
    recorded: u64,
    catch_up_rates: Vec<f64>,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<Figures> {
        raise_open_files();
        let folder = self.create_folder("bench")?;
        let machine = Machine::look(folder.path());
        if machine.stores_in_memory {
            eprintln!("warning: {} is in memory: give --dir on a disk", folder.path().display());
        }
        let nginx = Nginx::start(&self.guard)?;
        let engines = self.engines.iter().map(|engine| self.measure(*engine, &nginx)).collect::<Result<Vec<_>>>()?;
        let user_agents = agents().len();
        Ok(Figures { machine, seconds_per_round: self.seconds, tokens: self.tokens, user_agents, engines })
    }

    fn measure(&self, engine: Engine, nginx: &Nginx) -> Result<EngineFigures> {
        let folder = self.create_folder("installation")?;
        let postgres = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(start_postgres(&self.guard)?),
        };
        let installation = Installation {
            binary: self.binary.clone(),
            data: folder.path().join("data"),
            database_url: postgres.as_ref().map(|postgres| postgres.url("bench")),
        };
        eprintln!("▸ {engine:?}: minting {} tokens", self.tokens);
        let paths = installation.mint_opens(self.tokens)?;
        let token = installation.create_token()?;
        let agents = agents();
        let wrk = Wrk::prepare(&self.guard, folder.path(), &paths, &agents)?;
        let mut run = Run {
            bench: self,
            nginx,
            paths: &paths,
            agents: &agents,
            wrk: &wrk,
            acknowledged: 0,
            recorded: 0,
            catch_up_rates: vec![],
        };

        let (server, start) = installation.serve(&self.guard, false, &token)?;
        let memory_idle = memory::of(server.pid())?;
        run.flood_round(&server, CONNECTIONS, Duration::from_secs(1)).context("warming up")?;
        run.catch_up_rates.clear();
        let floods: Result<Vec<_>> = self.connections.iter().map(|count| run.floods(&server, *count)).collect();
        let floods = floods?;
        let constant_rate = run.constant_rate(&server)?;
        let memory_after = memory::of(server.pid())?;
        run.stop(server)?;

        let (server, _) = installation.serve(&self.guard, true, &token)?;
        let limits_on = run.limits_on(&server)?;
        run.stop(server)?;

        let stored = installation.count_events()?;
        Ok(EngineFigures {
            engine,
            start_seconds: start.as_secs_f64(),
            memory_idle,
            floods,
            constant_rate,
            limits_on,
            catch_up_events_per_second: Some(median(run.catch_up_rates.iter().copied()))
                .filter(|rate| rate.is_finite()),
            memory_after,
            nginx_memory_after: memory::of_family(nginx.pid())?,
            acknowledged: run.acknowledged,
            recorded: run.recorded,
            stored,
            lost: run.acknowledged.max(run.recorded).saturating_sub(stored),
        })
    }

    fn create_folder(&self, name: &str) -> Result<Folder> {
        match &self.folder {
            Some(parent) => Folder::create_in(&self.guard, parent, name),
            None => Folder::create(&self.guard, name),
        }
    }

    fn length(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

impl Run<'_> {
    fn floods(&mut self, server: &Server, connections: usize) -> Result<Comparison> {
        let length = self.bench.length();
        let rounds: Result<Vec<_>> = (1..=self.bench.rounds)
            .map(|number| {
                let round = self.flood_round(server, connections, length)?;
                announce(&format!("{connections} connections"), number, &round);
                Ok(round)
            })
            .collect();
        Ok(Comparison::new(connections, 0, rounds?))
    }

    /// nginx, then signalbox, then a pause until the projector has nothing to do, so that it disturbs nobody's round.
    fn flood_round(&mut self, server: &Server, connections: usize, length: Duration) -> Result<Round> {
        let nginx = self.wrk.flood(self.nginx.address, connections, length)?;
        self.nginx.check_log(nginx.requests)?;
        let before = server.counters()?;
        let flood = self.wrk.flood(server.address, connections, length)?;
        let catch_up = catch_up::wait(server)?;
        let unrecorded = server.counters()?.unrecorded - before.unrecorded;
        let recorded = flood.requests.saturating_sub(unrecorded + flood.status_errors);
        self.acknowledged += recorded;
        self.catch_up_rates.extend(catch_up.events_per_second);
        let signalbox = Side::of_flood(&flood).counting_only(recorded, flood.requests);
        Ok(Round::new(Side::of_flood(&nginx), signalbox, unrecorded, catch_up))
    }

    fn constant_rate(&mut self, server: &Server) -> Result<Constant> {
        eprintln!("  {CONSTANT_RATE} requests/s");
        let nginx = self.load(self.nginx.address, Some(CONSTANT_RATE), 0)?;
        self.nginx.check_log(nginx.answered)?;
        let report = self.load(server.address, Some(CONSTANT_RATE), 0)?;
        self.acknowledged += report.recorded;
        catch_up::wait(server)?;
        Ok(Constant { requests_per_second: CONSTANT_RATE, connections: CONNECTIONS, nginx, report })
    }

    fn limits_on(&mut self, server: &Server) -> Result<Comparison> {
        let mut rounds = Vec::new();
        for number in 1..=self.bench.rounds {
            let nginx = self.load(self.nginx.address, None, SOURCES)?;
            self.nginx.check_log(nginx.answered)?;
            let report = self.load(server.address, None, SOURCES)?;
            let catch_up = catch_up::wait(server)?;
            self.acknowledged += report.recorded;
            let signalbox = Side::of_report(&report).counting_only(report.recorded, report.answered);
            let round = Round::new(Side::of_report(&nginx), signalbox, report.unrecorded, catch_up);
            announce(&format!("limits on, {SOURCES} sources"), number, &round);
            rounds.push(round);
        }
        Ok(Comparison::new(CONNECTIONS, SOURCES, rounds))
    }

    /// Asks for its count when nothing is under way any more.
    fn stop(&mut self, server: Server) -> Result<()> {
        self.recorded += server.counters()?.recorded;
        server.stop()
    }

    fn load(&self, target: SocketAddr, rate: Option<f64>, sources: usize) -> Result<Report> {
        let plan = Plan {
            target,
            requests: Requests::new(&target.to_string(), self.paths, self.agents)?,
            connections: CONNECTIONS,
            threads: 1,
            duration: self.bench.length(),
            rate,
            sources,
            patience: PATIENCE,
            ids: None,
        };
        plan.run()
    }
}

/// A database of the role that may not bypass anything.
pub(crate) fn start_postgres(guard: &Arc<Guard>) -> Result<Postgres> {
    let programs = tools::postgres_programs().context("PostgreSQL is not installed")?;
    let postgres = Postgres::start(guard, Path::new(&programs))?;
    postgres.execute("CREATE DATABASE bench OWNER signalbox")?;
    Ok(postgres)
}

fn announce(what: &str, number: usize, round: &Round) {
    eprintln!(
        "  {what}, round {number}: nginx {:.0}/s, signalbox {:.0}/s, ratio {:.3}",
        round.nginx.requests_per_second, round.signalbox.requests_per_second, round.ratio
    );
}
