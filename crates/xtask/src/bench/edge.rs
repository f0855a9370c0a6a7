//! The edge against HAProxy and nginx as reverse proxies of the same backend, in alternating rounds, all with their logs.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::figures::{Side, median};
use super::machine::Machine;
use super::memory::{self, Memory};
use crate::guard::Guard;
use crate::load::agents::agents;
use crate::load::report::Report;
use crate::load::requests::Requests;
use crate::load::run::{PATIENCE, Plan, raise_open_files};
use crate::services::proxy::Proxy;
use crate::services::wrk::Wrk;

pub(crate) struct Edge {
    pub(crate) guard: Arc<Guard>,
    pub(crate) binary: PathBuf,
    pub(crate) seconds: u64,
    pub(crate) rounds: usize,
    pub(crate) connections: usize,
    pub(crate) rate: f64,
    pub(crate) idle: usize,
}

#[derive(Serialize, Debug)]
pub(crate) struct Figures {
    pub(crate) machine: Machine,
    pub(crate) seconds_per_round: u64,
    pub(crate) connections: usize,
    /// Medians of the rounds' ratios of requests per second.
    pub(crate) ratio_to_haproxy: f64,
    pub(crate) ratio_to_nginx: f64,
    pub(crate) rounds: Vec<Round>,
    pub(crate) requests_per_second: f64,
    /// Open loops at this rate, the same rounds over.
    pub(crate) constant: Vec<Constant>,
    pub(crate) idle: Vec<Idle>,
    /// Load averages before and after: more than this bench itself makes says that the machine was not quiet.
    pub(crate) load_before: String,
    pub(crate) load_after: String,
}

#[derive(Serialize, Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) haproxy: Side,
    pub(crate) nginx: Side,
    pub(crate) edge: Side,
}

#[derive(Serialize, Debug)]
pub(crate) struct Constant {
    pub(crate) haproxy: Report,
    pub(crate) nginx: Report,
    pub(crate) edge: Report,
}

/// Resident memory with connections that each made a request and are idle.
#[derive(Serialize, Debug)]
pub(crate) struct Idle {
    pub(crate) name: &'static str,
    pub(crate) connections: usize,
    pub(crate) memory: Memory,
}

impl Edge {
    pub(crate) fn run(&self) -> Result<Figures> {
        raise_open_files();
        let load_before = load_average();
        let backend = Proxy::backend(&self.guard)?;
        let haproxy = Proxy::haproxy(&self.guard, backend.address)?;
        let nginx = Proxy::nginx(&self.guard, backend.address)?;
        let edge = Proxy::edge(&self.guard, &self.binary, backend.address)?;
        let all = [&haproxy, &nginx, &edge];
        let paths: Vec<String> = (0..1_000).map(|number| format!("/item/{number}?page=1")).collect();
        let wrk = Wrk::prepare(&self.guard, edge.folder(), &paths, &agents())?;
        for proxy in all {
            wrk.flood(proxy.address, self.connections, Duration::from_secs(1)).context("warming up")?;
        }
        let mut rounds = Vec::new();
        for number in 0..self.rounds {
            let mut sides = [None; 3];
            // Each of them is the first as often as the others.
            for place in (0..3).map(|place| (place + number) % 3) {
                let before = all[place].logged()?;
                let flood = wrk.flood(all[place].address, self.connections, Duration::from_secs(self.seconds))?;
                all[place].check_log(before, flood.requests)?;
                sides[place] = Some(Side::of_flood(&flood));
            }
            let [Some(haproxy), Some(nginx), Some(edge)] = sides else { continue };
            let ratio = |peer: Side| edge.requests_per_second / peer.requests_per_second;
            eprintln!(
                "  round {}: edge {:.0}/s, {:.3} of HAProxy, {:.3} of nginx",
                number + 1,
                edge.requests_per_second,
                ratio(haproxy),
                ratio(nginx)
            );
            rounds.push(Round { haproxy, nginx, edge });
        }
        let mut constant = Vec::new();
        for number in 0..self.rounds {
            let mut reports = [None, None, None];
            for place in (0..3).map(|place| (place + number) % 3) {
                reports[place] = Some(self.steady(all[place].address, &paths)?);
            }
            let [Some(haproxy), Some(nginx), Some(edge)] = reports else { continue };
            eprintln!(
                "  {:.0}/s: p99 edge {} µs, HAProxy {} µs, nginx {} µs",
                self.rate, edge.latency_us.p99, haproxy.latency_us.p99, nginx.latency_us.p99
            );
            constant.push(Constant { haproxy, nginx, edge });
        }
        let idle = all.iter().map(|proxy| self.idle(proxy)).collect::<Result<_>>()?;
        let ratio = |peer: fn(&Round) -> Side| {
            median(rounds.iter().map(|round| round.edge.requests_per_second / peer(round).requests_per_second))
        };
        Ok(Figures {
            machine: Machine::look(edge.folder()),
            seconds_per_round: self.seconds,
            connections: self.connections,
            ratio_to_haproxy: ratio(|round| round.haproxy),
            ratio_to_nginx: ratio(|round| round.nginx),
            requests_per_second: self.rate,
            constant,
            idle,
            load_before,
            load_after: load_average(),
            rounds,
        })
    }

    fn steady(&self, target: SocketAddr, paths: &[String]) -> Result<Report> {
        let plan = Plan {
            target,
            requests: Requests::new(&target.to_string(), paths, &agents())?,
            connections: self.connections,
            threads: 1,
            duration: Duration::from_secs(self.seconds),
            rate: Some(self.rate),
            sources: 0,
            patience: PATIENCE,
            ids: None,
        };
        plan.run()
    }

    /// Connections that stay, of which each has asked once.
    fn idle(&self, proxy: &Proxy) -> Result<Idle> {
        let mut open = Vec::with_capacity(self.idle);
        for number in 0..self.idle {
            let mut stream = TcpStream::connect(proxy.address).with_context(|| format!("connection {number}"))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")?;
            let mut answer = Vec::new();
            while !answer.ends_with(b"backend\n") {
                let mut bytes = [0; 1024];
                let count = stream.read(&mut bytes)?;
                ensure!(count > 0, "{} closed connection {number}", proxy.name);
                answer.extend_from_slice(&bytes[..count]);
            }
            open.push(stream);
        }
        std::thread::sleep(Duration::from_secs(1));
        Ok(Idle { name: proxy.name, connections: open.len(), memory: memory::of_family(proxy.pid())? })
    }
}

impl Figures {
    /// As a table for people, in the form of docs/edge.md.
    pub(crate) fn print(&self) {
        let machine = &self.machine;
        println!("\n{}, {} cores, Linux {}", machine.processor, machine.cores, machine.kernel);
        println!(
            "{} rounds of {} s; load generator, backend and proxies on one machine; load average before {}, after {}\n",
            self.rounds.len(),
            self.seconds_per_round,
            self.load_before,
            self.load_after
        );
        println!("| | edge | HAProxy | nginx |\n|---|---|---|---|");
        let rate = |side: fn(&Round) -> Side| median(self.rounds.iter().map(|round| side(round).requests_per_second));
        println!(
            "| {} connections, requests/s | {:.0} | {:.0} | {:.0} |",
            self.connections,
            rate(|round| round.edge),
            rate(|round| round.haproxy),
            rate(|round| round.nginx)
        );
        println!("| ratio of the edge | | {:.2} | {:.2} |", self.ratio_to_haproxy, self.ratio_to_nginx);
        let quantile =
            |side: fn(&Constant) -> u64| median(self.constant.iter().map(|round| side(round) as f64)) / 1_000.0;
        for (name, values) in [
            (
                "p50",
                [
                    quantile(|round| round.edge.latency_us.p50),
                    quantile(|round| round.haproxy.latency_us.p50),
                    quantile(|round| round.nginx.latency_us.p50),
                ],
            ),
            (
                "p99",
                [
                    quantile(|round| round.edge.latency_us.p99),
                    quantile(|round| round.haproxy.latency_us.p99),
                    quantile(|round| round.nginx.latency_us.p99),
                ],
            ),
        ] {
            let [edge, haproxy, nginx] = values;
            println!(
                "| {:.0} requests/s, {name} ms | {edge:.2} | {haproxy:.2} | {nginx:.2} |",
                self.requests_per_second
            );
        }
        let idle = |name: &str| {
            let found = self.idle.iter().find(|idle| idle.name == name);
            found.map_or(0.0, |idle| idle.memory.now_bytes as f64 / 1e6)
        };
        let connections = self.idle.first().map_or(0, |idle| idle.connections);
        println!(
            "| {connections} idle connections, MB | {:.0} | {:.0} | {:.0} |",
            idle("edge"),
            idle("HAProxy"),
            idle("nginx")
        );
        let errors = |side: fn(&Round) -> Side| self.rounds.iter().map(|round| side(round).errors).sum::<u64>();
        println!(
            "| errors | {} | {} | {} |",
            errors(|round| round.edge),
            errors(|round| round.haproxy),
            errors(|round| round.nginx)
        );
    }
}

fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}
