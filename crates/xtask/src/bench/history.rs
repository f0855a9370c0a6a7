//! A store with a long history: how fast events are taken in through the API and projected, how quickly reports and
//! timelines answer over all of it, and how fast everything is rebuilt.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;

use super::figures::Engine;
use super::verdict::Verdict;
use super::{catch_up, memory};
use crate::guard::Guard;
use crate::load::agents::agents;
use crate::services::folder::Folder;
use crate::services::postgres::Postgres;
use crate::services::signalbox::{Installation, Server};

/// Events in one request.
const BATCH: u64 = 10_000;
const CAMPAIGNS: u64 = 20;
/// Events of the history that belong to the first campaign, in hundredths.
const FIRST_CAMPAIGN_PERCENT: u64 = 60;
const LINKS: u64 = 12;
const DAYS: u64 = 30;
const QUESTIONS: usize = 200;

/// In which order things happen to a message.
#[derive(clap::ValueEnum, Serialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// It is sent, accepted, and hit within days, beside others.
    Lived,
    /// All messages over the whole month in any order: nothing that belongs together lies together.
    Shuffled,
}

pub(crate) struct History {
    pub(crate) guard: Arc<Guard>,
    pub(crate) binary: PathBuf,
    pub(crate) events: u64,
    pub(crate) engine: Engine,
    pub(crate) order: Order,
    pub(crate) folder: Option<PathBuf>,
    /// Started by the caller when the engine is PostgreSQL.
    pub(crate) postgres: Option<Postgres>,
}

#[derive(Serialize, Debug)]
pub(crate) struct HistoryFigures {
    engine: Engine,
    order: Order,
    events: u64,
    taken_in_per_second: f64,
    projected_by_seconds: f64,
    store_bytes: u64,
    report_ms: Percentiles,
    overview_ms: Percentiles,
    timeline_ms: Percentiles,
    server_memory: memory::Memory,
    rebuild_events_per_second: f64,
    rebuild_equal: bool,
}

#[derive(Serialize, Debug, Clone, Copy)]
struct Percentiles {
    p50: f64,
    p99: f64,
}

impl HistoryFigures {
    /// What they are held against.
    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        let verdict = |what: &str, target, measured, meets| Verdict {
            what: format!("{:?}: {what}", self.engine),
            target,
            measured,
            meets,
        };
        let (report, timeline, rebuild) = (self.report_ms.p99, self.timeline_ms.p99, self.rebuild_events_per_second);
        let memory = self.server_memory.peak_bytes as f64 / 1e6;
        vec![
            verdict("report of a campaign, p99 ms", "< 50", format!("{report:.1}"), report < 50.0),
            verdict("timeline of a contact, p99 ms", "< 20", format!("{timeline:.1}"), timeline < 20.0),
            verdict("rebuild, events/s", "\u{2265} 300,000", format!("{rebuild:.0}"), rebuild >= 300_000.0),
            verdict("highest memory of the server, MB", "< 200", format!("{memory:.0}"), memory < 200.0),
        ]
    }

    /// Speed depends on the machine. That a rebuild finds the live figures does not.
    pub(crate) fn ensure_equal(&self) -> Result<()> {
        if !self.rebuild_equal {
            bail!("over {} events the rebuilt figures differ from the live ones", self.events);
        }
        Ok(())
    }
}

impl History {
    pub(crate) fn run(&self) -> Result<HistoryFigures> {
        let folder = match &self.folder {
            Some(parent) => Folder::create_in(&self.guard, parent, "history")?,
            None => Folder::create(&self.guard, "history")?,
        };
        let data = folder.path().join("data");
        let database_url = self.postgres.as_ref().map(|postgres| postgres.url("bench"));
        let installation = Installation { binary: self.binary.clone(), data: data.clone(), database_url };
        let token = installation.create_token()?;
        let (server, _) = installation.serve(&self.guard, false, &token)?;
        let started = Instant::now();
        self.take_in(server.address, &token)?;
        let taken_in = started.elapsed();
        eprintln!("  {} events taken in within {:.0} s", self.events, taken_in.as_secs_f64());
        catch_up::wait(&server)?;
        let projected = started.elapsed();
        eprintln!("  projected after {:.0} s", projected.as_secs_f64());
        let (report_ms, overview_ms, timeline_ms) = ask(&server, &token)?;
        let server_memory = memory::of(server.pid())?;
        server.stop()?;
        let rebuilt: Value = serde_json::from_str(&installation.run(&["rebuild", "--dry-run", "--output", "json"])?)?;
        Ok(HistoryFigures {
            engine: self.engine,
            order: self.order,
            events: self.events,
            taken_in_per_second: self.events as f64 / taken_in.as_secs_f64(),
            projected_by_seconds: projected.as_secs_f64(),
            store_bytes: size_of(&data),
            report_ms,
            overview_ms,
            timeline_ms,
            server_memory,
            rebuild_events_per_second: rebuilt["events_per_second"].as_f64().context("the rebuild tells no speed")?,
            rebuild_equal: rebuilt["equal"].as_bool().context("the rebuild tells no result")?,
        })
    }

    /// Two clients send batches until all events are there.
    fn take_in(&self, server: SocketAddr, token: &str) -> Result<()> {
        let batches = self.events.div_ceil(BATCH);
        let next = AtomicU64::new(0);
        let agents = agents();
        std::thread::scope(|scope| {
            let senders: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let mut client = Client::connect(server, token)?;
                        loop {
                            let batch = next.fetch_add(1, Ordering::Relaxed);
                            if batch >= batches {
                                return Ok(());
                            }
                            let body = body(batch, batches, &agents, self.order);
                            while client.ask("POST", "/api/v1/events", body.as_bytes())?.0 == 503 {
                                std::thread::sleep(Duration::from_millis(100));
                            }
                        }
                    })
                })
                .collect();
            senders.into_iter().try_for_each(|sender| sender.join().map_err(|_| anyhow::anyhow!("a sender crashed"))?)
        })
    }
}

/// Repeatable numbers that look random (splitmix64, Steele et al. 2014).
fn mix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// What happens to a message: it is sent, accepted, and hit eight times.
const LIFE: u64 = 10;
/// Messages that are hit in any order, until the next so many are sent.
const WAVE: u64 = 20_000;
/// How many waves after its sending each hit of a message comes. Most come soon.
const LATER: [u64; 8] = [1, 1, 1, 2, 2, 3, 5, 20];
const RECIPIENTS: u64 = 400_000;

/// Which message the event `index` belongs to, and what happens to it.
fn step(index: u64, order: Order) -> (u64, u64) {
    let (message, step) = (index / LIFE, index % LIFE);
    match order {
        Order::Shuffled => {
            let random = mix(index);
            (random >> 8 & 0xff_ffff, (random >> 40) % LIFE)
        }
        Order::Lived if step < 2 => (message, step),
        Order::Lived => {
            // The odd factor has no divisor in common with the wave: every message comes once.
            let hit = step - 2;
            let within = (message % WAVE * 7_919 + hit * 1_237) % WAVE;
            ((message / WAVE).saturating_sub(LATER[hit as usize]) * WAVE + within, step)
        }
    }
}

/// A batch of events, spread over a month that ends now, oldest first.
fn body(batch: u64, batches: u64, agents: &[String], order: Order) -> String {
    let mut body = String::with_capacity(BATCH as usize * 220);
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec as u64;
    let start = now - DAYS * 86_400;
    for number in 0..BATCH {
        let index = batch * BATCH + number;
        let (message, step) = step(index, order);
        let (of_message, random) = (mix(message), mix(index));
        let campaign =
            if of_message % 100 < FIRST_CAMPAIGN_PERCENT { 0 } else { 1 + (of_message >> 8) % (CAMPAIGNS - 1) };
        let recipient = (of_message >> 16) % RECIPIENTS;
        let second = start + (DAYS * 86_400 - 60) * index / (batches * BATCH);
        let agent = &agents[(of_message >> 24) as usize % agents.len()];
        let address = format!("11.{}.{}.{}", (recipient >> 16) & 255, (recipient >> 8) & 255, recipient & 255);
        let common = format!(
            "\"id\":\"h-{index}\",\"campaign\":\"campaign {campaign}\",\"recipient\":\"reader-{recipient}\",\"message\":\"m-{message}\",\"occurred_at\":\"{}\"",
            rfc3339(second)
        );
        let line = match step {
            0 => format!("{{\"kind\":\"sent\",{common}}}\n"),
            1 => format!("{{\"kind\":\"delivered\",{common}}}\n"),
            2 | 3 => {
                let link = (random >> 48) % LINKS;
                format!(
                    "{{\"kind\":\"clicked\",\"url\":\"https://shop.example/{link}\",{common},\"user_agent\":{agent:?},\"ip\":\"{address}\"}}\n"
                )
            }
            _ => format!("{{\"kind\":\"opened\",{common},\"user_agent\":{agent:?},\"ip\":\"{address}\"}}\n"),
        };
        body.push_str(&line);
    }
    body
}

/// Seconds since the epoch as RFC 3339 (civil from days, H. Hinnant).
fn rfc3339(second: u64) -> String {
    let (days, rest) = (second / 86_400 + 719_468, second % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) =
        (day_of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

fn ask(server: &Server, token: &str) -> Result<(Percentiles, Percentiles, Percentiles)> {
    let mut client = Client::connect(server.address, token)?;
    let campaigns: Value = serde_json::from_slice(&client.ask("GET", "/api/v1/campaigns?limit=100", b"")?.1)?;
    let items = campaigns["items"].as_array().context("no list of campaigns")?;
    let first = items.iter().find(|item| item["name"] == "campaign 0").context("the first campaign is missing")?;
    let id = first["id"].as_str().context("a campaign without an id")?.to_owned();
    let page: Value = serde_json::from_slice(&client.ask("GET", "/api/v1/events?limit=1000", b"")?.1)?;
    let mut contacts =
        page["items"].as_array().context("no events")?.iter().filter_map(|item| item["recipient"].as_str()).cycle();
    let report = client.time(|_| format!("/api/v1/campaigns/{id}/report?bucket=day"))?;
    let overview = client.time(|_| "/api/v1/overview?bucket=day".to_owned())?;
    let timeline = client.time(|_| format!("/api/v1/contacts/{}/timeline", contacts.next().unwrap_or_default()))?;
    Ok((report, overview, timeline))
}

fn size_of(folder: &std::path::Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum()
}

/// A keep-alive connection that sends one request after the other.
struct Client {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
    token: String,
}

impl Client {
    fn connect(server: SocketAddr, token: &str) -> Result<Self> {
        let writer = TcpStream::connect(server)?;
        writer.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(writer.try_clone()?), writer, token: token.to_owned() })
    }

    /// Status and body.
    fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Result<(u16, Vec<u8>)> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
            self.token,
            body.len()
        );
        self.writer.write_all(head.as_bytes())?;
        self.writer.write_all(body)?;
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let status: u16 = line.split(' ').nth(1).unwrap_or_default().parse().context("no HTTP status")?;
        let mut length = 0;
        loop {
            line.clear();
            self.reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            if name == "content-length" {
                length = value.parse()?;
            }
        }
        let mut answer = vec![0; length];
        self.reader.read_exact(&mut answer)?;
        if !matches!(status, 200 | 503) {
            bail!("{method} {path} answered {status}: {}", String::from_utf8_lossy(&answer));
        }
        Ok((status, answer))
    }

    fn time(&mut self, mut path: impl FnMut(usize) -> String) -> Result<Percentiles> {
        let mut times = Vec::with_capacity(QUESTIONS);
        for number in 0..QUESTIONS {
            let path = path(number);
            let started = Instant::now();
            self.ask("GET", &path, b"")?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_unstable_by(f64::total_cmp);
        Ok(Percentiles { p50: times[QUESTIONS / 2], p99: times[QUESTIONS * 99 / 100] })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn figures_are_held_against_their_targets() {
        let of = |p99, rebuild_events_per_second, rebuild_equal| HistoryFigures {
            engine: Engine::Sqlite,
            order: Order::Lived,
            events: 1,
            taken_in_per_second: 1.0,
            projected_by_seconds: 1.0,
            store_bytes: 1,
            report_ms: Percentiles { p50: 1.0, p99 },
            overview_ms: Percentiles { p50: 1.0, p99 },
            timeline_ms: Percentiles { p50: 1.0, p99 },
            server_memory: memory::Memory { now_bytes: 1, peak_bytes: 1 },
            rebuild_events_per_second,
            rebuild_equal,
        };
        let met = |figures: HistoryFigures| figures.verdicts().iter().map(|verdict| verdict.meets).collect::<Vec<_>>();
        assert_eq!(met(of(10.0, 400_000.0, true)), [true, true, true, true]);
        assert_eq!(met(of(30.0, 299_999.0, true)), [true, false, false, true]);
        assert_eq!(met(of(50.0, 300_000.0, true)), [false, false, true, true]);
        assert!(of(1.0, 1.0, true).ensure_equal().is_ok());
        assert!(of(1.0, 1.0, false).ensure_equal().is_err());
    }

    #[test]
    fn instants_are_written() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_709_210_096), "2024-02-29T12:34:56Z");
    }

    #[test]
    fn a_batch_is_json_line_by_line() {
        for order in [Order::Lived, Order::Shuffled] {
            let body = body(0, 1, &["a \"quoted\" agent".to_owned()], order);
            assert_eq!(body.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count(), BATCH as usize);
        }
    }

    #[test]
    fn a_message_is_sent_before_it_is_hit_and_lives_once() {
        let mut lives: HashMap<u64, Vec<u64>> = HashMap::new();
        for index in 0..50 * WAVE * LIFE {
            let (message, step) = step(index, Order::Lived);
            lives.entry(message).or_default().push(step);
        }
        // Hits that would belong to messages from before the history are the first wave's.
        let whole = lives.iter().filter(|(message, _)| (WAVE..25 * WAVE).contains(message));
        let whole: Vec<_> = whole.map(|(_, steps)| (steps[0], steps.len())).collect();
        assert_eq!(whole.len() as u64, 24 * WAVE);
        assert!(whole.iter().all(|life| *life == (0, LIFE as usize)));
    }
}
