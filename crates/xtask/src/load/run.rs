//! A run of the load generator, from its plan to its report.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};

use super::report::Report;
use super::requests::Requests;
use super::stats::Stats;
use super::worker::Worker;

pub(crate) struct Plan {
    pub(crate) target: SocketAddr,
    pub(crate) requests: Requests,
    pub(crate) connections: usize,
    pub(crate) threads: usize,
    pub(crate) duration: Duration,
    /// Requests per second in an open loop; `None` is a closed loop.
    pub(crate) rate: Option<f64>,
    /// How many addresses of 127.0.0.0/16 the connections come from; 0 leaves it to the operating system.
    pub(crate) sources: usize,
    /// How long it waits for the connections before the run, and for the answers after it.
    pub(crate) patience: Duration,
    /// The file that gets every acknowledged id.
    pub(crate) ids: Option<PathBuf>,
}

/// Enough for a server that is slow, and for one that is started again.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
const HOSTS: usize = 254;

impl Plan {
    pub(crate) fn run(&self) -> Result<Report> {
        if self.threads == 0 || self.connections < self.threads {
            bail!("{} connections are too few for {} threads", self.connections, self.threads);
        }
        if self.sources > HOSTS * HOSTS {
            bail!("at most {} source addresses", HOSTS * HOSTS);
        }
        if self.sources > 0 && self.target.ip() != IpAddr::V4(Ipv4Addr::LOCALHOST) {
            bail!("source addresses of the loopback network reach 127.0.0.1 only, not {}", self.target.ip());
        }
        if self.rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
            bail!("the rate must be a positive number of requests per second");
        }
        raise_open_files();
        let workers = (0..self.threads).map(|thread| Worker::new(self, thread)).collect::<Result<Vec<_>>>()?;
        let mut total = Stats::new();
        std::thread::scope(|scope| -> Result<()> {
            let running: Vec<_> = workers.into_iter().map(|worker| scope.spawn(|| worker.run())).collect();
            for thread in running {
                let stats = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
                total.add(&stats);
            }
            Ok(())
        })?;
        Ok(Report::new(&total))
    }

    /// The address that a connection comes from.
    pub(crate) fn source(&self, connection: usize) -> Option<IpAddr> {
        let source = connection.checked_rem(self.sources)?;
        let [third, fourth] = [source / HOSTS + 1, source % HOSTS + 1].map(|octet| octet as u8);
        Some(IpAddr::V4(Ipv4Addr::new(127, 0, third, fourth)))
    }
}

/// Every connection is an open file: raises our limit, and that of the programs we start, as far as we may.
pub(crate) fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        eprintln!("warning: the limit of open files stays at {:?}: {error}", limit.current);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    fn plan(target: SocketAddr) -> Plan {
        Plan {
            target,
            requests: Requests::new("test", &["/o/a.gif", "/o/b.gif"], &["agent"]).unwrap(),
            connections: 4,
            threads: 1,
            duration: Duration::from_millis(200),
            rate: None,
            sources: 0,
            patience: Duration::from_millis(300),
            ids: None,
        }
    }

    /// A server that answers on one thread per connection, until the test ends.
    fn server(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
                        if stream.write_all(answer).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        address
    }

    #[test]
    fn sources_are_different_addresses_of_the_loopback_network() {
        let mut plan = plan("127.0.0.1:1".parse().unwrap());
        assert_eq!(plan.source(3), None);
        plan.sources = 600;
        let sources: HashSet<_> = (0..1200).filter_map(|connection| plan.source(connection)).collect();
        assert_eq!(sources.len(), 600);
        assert!(sources.iter().all(|source| source.is_loopback() && *source != Ipv4Addr::LOCALHOST));
    }

    #[test]
    fn an_open_loop_sends_what_is_due_and_keeps_the_ids() {
        let target = server(b"HTTP/1.1 200 OK\r\nx-event-id: one\r\ncontent-length: 3\r\n\r\ngif");
        let folder = tempfile::tempdir().unwrap();
        let ids = folder.path().join("ids");
        let report =
            Plan { rate: Some(500.0), sources: 3, threads: 2, ids: Some(ids.clone()), ..plan(target) }.run().unwrap();
        assert_eq!((report.sent, report.recorded, report.unrecorded, report.errors.sum()), (100, 100, 0, 0));
        assert_eq!(std::fs::read_to_string(ids).unwrap(), "one\n".repeat(100));
    }

    #[test]
    fn a_server_that_closes_after_each_answer_is_no_error() {
        let target = server(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        let report = plan(target).run().unwrap();
        assert!(report.answered >= 4 && report.unrecorded == report.answered, "{report}");
        assert_eq!(report.errors.sum(), 0);
    }

    #[test]
    fn a_target_that_is_not_there_answers_nothing() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let report = Plan { rate: Some(100.0), ..plan(closed) }.run().unwrap();
        assert_eq!(report.answered, 0);
        assert!(report.errors.connects_failed > 0);
        assert_eq!(report.errors.unanswered, 20);
    }
}
