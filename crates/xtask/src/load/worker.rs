//! One thread of the load generator: an event loop over its connections.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mio::event::Event;
use mio::{Events, Poll, Token};

use super::clock::{Schedule, Ticker};
use super::connection::{Connection, Failure, State};
use super::ids::Ids;
use super::run::Plan;
use super::stats::Stats;

const RECONNECT_AFTER: Duration = Duration::from_millis(20);
const TICK: Token = Token(usize::MAX);

pub(crate) struct Worker<'a> {
    plan: &'a Plan,
    /// Requests per second of this thread; `None` is a closed loop.
    rate: Option<f64>,
    poll: Poll,
    connections: Vec<Connection>,
    /// A connection may be here and no longer idle: its state decides.
    idle: VecDeque<usize>,
    /// To be connected again, soonest first.
    down: VecDeque<(Instant, usize)>,
    busy: usize,
    next_request: usize,
    scratch: Vec<u8>,
    /// In an open loop, once it runs.
    ticker: Option<Ticker>,
    ids: Option<Ids>,
    stats: Stats,
    last_answer: Instant,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(plan: &'a Plan, thread: usize) -> Result<Self> {
        let now = Instant::now();
        let mine = (0..plan.connections).filter(|index| index % plan.threads == thread);
        let connections: Vec<_> = mine.map(|index| Connection::new(plan.source(index), now)).collect();
        Ok(Self {
            rate: plan.rate.map(|rate| rate / plan.threads as f64),
            poll: Poll::new().context("cannot wait for events")?,
            idle: VecDeque::with_capacity(connections.len()),
            down: (0..connections.len()).map(|index| (now, index)).collect(),
            connections,
            busy: 0,
            next_request: plan.requests.len() * thread / plan.threads,
            scratch: vec![0; 64 * 1024],
            ticker: None,
            ids: plan.ids.as_deref().map(Ids::append_to).transpose()?,
            stats: Stats::new(),
            last_answer: now,
            plan,
        })
    }

    pub(crate) fn run(mut self) -> Result<Stats> {
        let mut events = Events::with_capacity(1024);
        let patience = Instant::now() + self.plan.patience;
        self.reconnect();
        while self.connections.iter().any(|connection| connection.state == State::Connecting)
            && Instant::now() < patience
        {
            self.wait(&mut events)?;
        }
        let start = Instant::now();
        let end = start + self.plan.duration;
        let schedule = self.rate.map(|rate| Schedule::new(start, rate, self.plan.duration));
        let mut due = 0;
        if let Some(rate) = self.rate {
            self.ticker = Some(Ticker::register(rate, self.poll.registry(), TICK)?);
        }
        loop {
            let now = Instant::now();
            let more = match schedule {
                Some(schedule) => {
                    self.send_due(schedule, &mut due, now);
                    due < schedule.total
                }
                None => {
                    if now < end {
                        self.send_idle();
                    }
                    now < end
                }
            };
            if (!more && self.busy == 0) || now > end + self.plan.patience {
                break;
            }
            if more {
                self.reconnect();
            } else {
                self.down.clear();
            }
            self.wait(&mut events)?;
            if let Some(ids) = &mut self.ids {
                ids.flush()?;
            }
        }
        self.give_up(schedule, due);
        self.stats.took = self.last_answer.max(end.min(Instant::now())).saturating_duration_since(start);
        Ok(self.stats)
    }

    fn wait(&mut self, events: &mut Events) -> Result<()> {
        let mut timeout = Ticker::LONGEST_WAIT;
        if let Some((at, _)) = self.down.front() {
            timeout = timeout.min(at.saturating_duration_since(Instant::now()));
        }
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(error).context("waiting"),
            _ => {}
        }
        for event in events.iter() {
            match &self.ticker {
                Some(ticker) if event.token() == TICK => ticker.go_on(),
                _ => self.handle(event),
            }
        }
        Ok(())
    }

    fn handle(&mut self, event: &Event) {
        let Token(index) = event.token();
        match self.connections[index].state {
            State::Down => {}
            State::Connecting => match self.connections[index].finish_connect() {
                Ok(true) => self.idle.push_back(index),
                Ok(false) => {}
                Err(_) => self.connect_failed(index),
            },
            // Nothing was asked: whatever comes, the connection is of no more use.
            State::Idle => {
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    self.drop_connection(index);
                }
            }
            State::Busy => self.proceed(index, event),
        }
    }

    fn proceed(&mut self, index: usize, event: &Event) {
        let connection = &mut self.connections[index];
        if event.is_writable() {
            let request = self.plan.requests.get(connection.request());
            if let Err(failure) = connection.send(request) {
                return self.fail(index, failure);
            }
        }
        let is_closing = event.is_read_closed() || event.is_error();
        if !event.is_readable() && !is_closing {
            return;
        }
        let ids = &mut self.ids;
        let on_event_id = |id: &[u8]| {
            if let Some(ids) = ids {
                ids.push(id);
            }
        };
        match connection.receive(&mut self.scratch, is_closing, on_event_id) {
            Ok(None) => {}
            Ok(Some(answer)) => {
                self.last_answer = Instant::now();
                self.stats.answered(answer, self.last_answer.saturating_duration_since(connection.due));
                self.busy -= 1;
                connection.state = State::Idle;
                if answer.close || is_closing {
                    self.drop_connection(index);
                } else {
                    self.idle.push_back(index);
                }
            }
            Err(failure) => self.fail(index, failure),
        }
    }

    /// Closed loop: every idle connection asks again.
    fn send_idle(&mut self) {
        while let Some(index) = self.pop_idle() {
            self.send(index, Instant::now());
        }
    }

    /// Open loop: what is due leaves as far as there are idle connections; the rest waits, and its latency grows.
    fn send_due(&mut self, schedule: Schedule, due: &mut u64, now: Instant) {
        while *due < schedule.total && schedule.due(*due) <= now {
            let Some(index) = self.pop_idle() else { return };
            self.send(index, schedule.due(*due));
            *due += 1;
        }
    }

    fn pop_idle(&mut self) -> Option<usize> {
        loop {
            let index = self.idle.pop_front()?;
            if self.connections[index].state == State::Idle {
                return Some(index);
            }
        }
    }

    fn send(&mut self, index: usize, due: Instant) {
        let request = self.next_request;
        self.next_request = if request + 1 == self.plan.requests.len() { 0 } else { request + 1 };
        self.stats.sent += 1;
        self.busy += 1;
        if let Err(failure) = self.connections[index].start(request, self.plan.requests.get(request), due) {
            self.fail(index, failure);
        }
    }

    fn fail(&mut self, index: usize, failure: Failure) {
        match failure {
            Failure::Closed => self.stats.closed += 1,
            Failure::Malformed(why) => {
                if self.stats.malformed == 0 {
                    eprintln!("warning: {why}");
                }
                self.stats.malformed += 1;
            }
        }
        self.busy -= 1;
        self.drop_connection(index);
    }

    fn connect_failed(&mut self, index: usize) {
        self.stats.connects_failed += 1;
        self.drop_connection(index);
    }

    fn drop_connection(&mut self, index: usize) {
        self.connections[index].close();
        self.down.push_back((Instant::now() + RECONNECT_AFTER, index));
    }

    fn reconnect(&mut self) {
        let now = Instant::now();
        while let Some((at, index)) = self.down.front().copied()
            && at <= now
        {
            self.down.pop_front();
            let connected = self.connections[index].connect(self.plan.target, self.poll.registry(), Token(index));
            if connected.is_err() {
                self.connect_failed(index);
            }
        }
    }

    /// Counts what is still under way, and what was due and never left.
    fn give_up(&mut self, schedule: Option<Schedule>, due: u64) {
        let now = Instant::now();
        for connection in self.connections.iter().filter(|connection| connection.state == State::Busy) {
            self.stats.unanswered(now.saturating_duration_since(connection.due));
        }
        if let Some(schedule) = schedule {
            for nth in due..schedule.total {
                self.stats.unanswered(now.saturating_duration_since(schedule.due(nth)));
            }
        }
    }
}
