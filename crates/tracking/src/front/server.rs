//! The event loop. Per turn: read what arrived, pack the hits, hand them to intake as one part, answer what is committed.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};
use prometheus::local::LocalHistogram;
use signalbox_core::time::Micros;
use signalbox_crypto::keyring::Keyring;
use signalbox_events::chunk::Packed;
use slab::Slab;

use super::connection::{Connection, Got, Waiting};
use super::request::{self, Read};
use super::response::{self, DateLine, Frame};
use crate::counters::Counters;
use crate::hit::{Gate, Path, Target, Verdict};
use crate::intake::{Intake, Outcome};

const LISTENER: Token = Token(usize::MAX - 1);
const WAKER: Token = Token(usize::MAX - 2);
const SCRATCH: usize = 64 * 1024;
const EVENTS: usize = 1024;
const TURN: Duration = Duration::from_millis(250);
/// A request head must be whole within this.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// A connection without requests is kept this long.
const IDLE_PATIENCE: Duration = Duration::from_secs(75);
/// After SIGTERM, connections have this long to take their answers.
const GRACE: Duration = Duration::from_secs(10);

/// How the listener behaves.
#[derive(Debug, Clone, Copy)]
pub struct FrontSettings {
    /// Event loops, each a thread.
    pub threads: usize,
    /// Connections per loop.
    pub connections: usize,
    /// A hit that is not committed within this is answered as unrecorded.
    pub patience: Duration,
}

/// A connection that asks for something else than a hit, with the bytes it has sent so far.
pub struct HandOver {
    pub stream: std::net::TcpStream,
    pub peer: SocketAddr,
    pub head: Vec<u8>,
}

/// The running loops.
pub struct Front {
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    wakers: Vec<Arc<Waker>>,
}

impl Front {
    /// Serves `listener`. Connections with other requests go to `hand_over`.
    pub fn start(
        listener: &StdListener,
        settings: FrontSettings,
        gate: &Gate,
        intake: &Intake,
        counters: &Arc<Counters>,
        hand_over: impl Fn(HandOver) + Send + Clone + 'static,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (mut threads, mut wakers) = (Vec::new(), Vec::new());
        for number in 0..settings.threads.max(1) {
            let poll = Poll::new()?;
            let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
            let mut accepting = TcpListener::from_std(listener.try_clone()?);
            poll.registry().register(&mut accepting, LISTENER, Interest::READABLE)?;
            let turn = Loop {
                poll,
                listener: Some(accepting),
                connections: Slab::new(),
                generation: 0,
                accept_again: false,
                batches: VecDeque::new(),
                next_batch: Vec::new(),
                packed: Packed::default(),
                committed: Arc::default(),
                waker: Arc::clone(&waker),
                settings,
                gate: gate.clone(),
                ring: gate.keys.get(),
                now: gate.clock.now(),
                intake: intake.clone(),
                counters: Arc::clone(counters),
                answered: counters.answer_seconds.local(),
                turned: Instant::now(),
                date: DateLine::default(),
                stop: Arc::clone(&stop),
                hand_over: Box::new(hand_over.clone()),
            };
            threads.push(std::thread::Builder::new().name(format!("front-{number}")).spawn(move || turn.run())?);
            wakers.push(waker);
        }
        Ok(Self { threads, stop, wakers })
    }

    /// Stops accepting, answers what is in flight and ends the loops.
    pub fn finish(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.wakers.iter().for_each(|waker| drop(waker.wake()));
        self.threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

/// Who waits for one part of intake, in order.
struct Batch {
    waiters: Vec<(usize, u32)>,
    since: Instant,
}

struct Loop {
    poll: Poll,
    listener: Option<TcpListener>,
    connections: Slab<Connection>,
    generation: u32,
    /// Connections wait in the backlog, of which no new event will tell.
    accept_again: bool,
    batches: VecDeque<Batch>,
    next_batch: Vec<(usize, u32)>,
    packed: Packed,
    /// Outcomes of the oldest batches, put here by the committing thread.
    committed: Arc<Mutex<Vec<Outcome>>>,
    waker: Arc<Waker>,
    settings: FrontSettings,
    gate: Gate,
    ring: Arc<Keyring>,
    now: Micros,
    intake: Intake,
    counters: Arc<Counters>,
    /// Times of answers, added to the shared histogram once per turn.
    answered: LocalHistogram,
    /// When this turn began.
    turned: Instant,
    date: DateLine,
    stop: Arc<AtomicBool>,
    hand_over: Box<dyn Fn(HandOver) + Send>,
}

impl Loop {
    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        let mut scratch = vec![0; SCRATCH];
        let mut out = Vec::with_capacity(1024);
        let mut swept = Instant::now();
        let mut stopping: Option<Instant> = None;
        loop {
            match self.poll.poll(&mut events, Some(TURN)) {
                Ok(()) => (),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(%error, "the hit listener ends: its poll failed");
                    return;
                }
            }
            self.now = self.gate.clock.now();
            self.turned = Instant::now();
            self.ring = self.gate.keys.get();
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    WAKER => (),
                    Token(slot) => {
                        let Some(connection) = self.connections.get_mut(slot) else { continue };
                        if event.is_writable() && !connection.flush() {
                            self.close(slot);
                            continue;
                        }
                        if event.is_readable() {
                            connection.readable = true;
                        }
                        self.advance(slot, &mut scratch, &mut out);
                    }
                }
            }
            self.answer_committed(&mut scratch, &mut out);
            self.submit(&mut scratch, &mut out);
            self.answered.flush();
            if swept.elapsed() > TURN {
                swept = Instant::now();
                if self.accept_again {
                    self.accept();
                }
                self.sweep(&mut scratch, &mut out);
            }
            if self.stop.load(Ordering::SeqCst) {
                let since = *stopping.get_or_insert_with(Instant::now);
                self.listener = None;
                self.close_idle();
                if self.connections.is_empty() || since.elapsed() > GRACE {
                    return;
                }
            }
        }
    }

    fn accept(&mut self) {
        self.accept_again = false;
        while let Some(listener) = &self.listener {
            let (mut stream, peer) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => {
                    continue;
                }
                Err(error) => {
                    // Out of descriptors: the connections that are open go on, new ones wait in the backlog.
                    tracing::warn!(%error, "a connection could not be accepted; it is tried again");
                    self.accept_again = true;
                    return;
                }
            };
            if self.connections.len() >= self.settings.connections {
                continue;
            }
            let _ = stream.set_nodelay(true);
            let entry = self.connections.vacant_entry();
            let interest = Interest::READABLE | Interest::WRITABLE;
            if self.poll.registry().register(&mut stream, Token(entry.key()), interest).is_ok() {
                self.generation = self.generation.wrapping_add(1);
                entry.insert(Connection::new(stream, peer.ip(), self.generation));
                self.counters.connections.inc();
            }
        }
    }

    fn close(&mut self, slot: usize) {
        if let Some(mut connection) = self.connections.try_remove(slot) {
            let _ = self.poll.registry().deregister(&mut connection.stream);
            self.counters.connections.dec();
        }
    }

    /// Reads and understands until the connection has to wait: for bytes, for a commit, or for its peer to read.
    fn advance(&mut self, slot: usize, scratch: &mut [u8], out: &mut Vec<u8>) {
        loop {
            let Some(connection) = self.connections.get_mut(slot) else { return };
            if connection.waiting.is_some() || !connection.output.is_empty() {
                return;
            }
            if connection.closing {
                if !connection.lingers || !connection.linger(scratch) {
                    self.close(slot);
                }
                return;
            }
            if !connection.input.is_empty() && self.understand(slot, None, out) {
                continue;
            }
            let Some(connection) = self.connections.get_mut(slot) else { return };
            if !connection.readable {
                return;
            }
            match connection.read(scratch) {
                Got::Nothing => return,
                Got::End => return self.close(slot),
                Got::Bytes(count) if connection.input.is_empty() => {
                    self.understand(slot, Some(&scratch[..count]), out);
                }
                Got::Bytes(count) => connection.input.extend_from_slice(&scratch[..count]),
            }
        }
    }

    /// Handles the first request of `fresh`, or of what the connection kept. Whatever is left over is kept.
    /// `false` when there is no whole request.
    fn understand(&mut self, slot: usize, fresh: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
        let connection = &mut self.connections[slot];
        let kept = std::mem::take(&mut connection.input);
        let bytes = fresh.unwrap_or(&kept);
        let (request, length, close) = match request::read(bytes, connection.peer, &self.gate.proxies) {
            Read::Hit { request, length, close } => (request, length, close),
            Read::Partial => {
                match fresh {
                    Some(fresh) => {
                        connection.active = Instant::now();
                        connection.input.extend_from_slice(fresh);
                    }
                    None => connection.input = kept,
                }
                return false;
            }
            Read::HandOver => {
                self.hand_over(slot, bytes.to_vec());
                return false;
            }
            Read::Unreadable(asked) => {
                let target = self.gate.target(&self.ring, asked.path, self.now);
                let is_open = matches!(asked.path, Path::Open(_));
                let head = asked.head;
                return self.answer_unreadable(slot, target, is_open, head, out);
            }
        };
        let verdict = self.gate.judge(&self.ring, &request, self.now, &mut self.packed);
        let (head, is_open) = (request.head, matches!(request.path, Path::Open(_)));
        match fresh {
            Some(fresh) => connection.input.extend_from_slice(&fresh[length..]),
            None => {
                connection.input = kept;
                connection.input.drain(..length);
            }
        }
        let since = self.turned;
        connection.active = since;
        connection.closing = close;
        let frame = Frame { head, close, date: self.date.at(self.now) };
        out.clear();
        match verdict {
            Verdict::Record { event, target } => {
                connection.waiting = Some(Waiting { event, target, head, close, since });
                self.next_batch.push((slot, connection.generation));
                return true;
            }
            Verdict::Limited(target) => {
                self.counters.unrecorded_limit.inc();
                response::target(out, &target, None, frame);
            }
            Verdict::Invalid => {
                self.counters.invalid.inc();
                response::invalid(out, is_open, frame);
            }
        }
        if !connection.send(out) {
            self.close(slot);
        }
        true
    }

    /// Answers what cannot be read as a whole as far as its first line goes, records nothing, and closes.
    fn answer_unreadable(
        &mut self,
        slot: usize,
        target: Option<Target>,
        is_open: bool,
        head: bool,
        out: &mut Vec<u8>,
    ) -> bool {
        let frame = Frame { head, close: true, date: self.date.at(self.now) };
        out.clear();
        match target {
            Some(target) => {
                self.counters.unrecorded_request.inc();
                response::target(out, &target, None, frame);
            }
            None => {
                self.counters.invalid.inc();
                response::invalid(out, is_open, frame);
            }
        }
        let connection = &mut self.connections[slot];
        connection.closing = true;
        connection.lingers = true;
        if !connection.send(out) {
            self.close(slot);
        }
        true
    }

    fn hand_over(&mut self, slot: usize, head: Vec<u8>) {
        let Some(mut connection) = self.connections.try_remove(slot) else { return };
        self.counters.connections.dec();
        if self.poll.registry().deregister(&mut connection.stream).is_err() {
            return;
        }
        let Ok(peer) = connection.stream.peer_addr() else { return };
        (self.hand_over)(HandOver { stream: connection.stream.into(), peer, head });
    }

    /// Hands this turn's hits to intake.
    fn submit(&mut self, scratch: &mut [u8], out: &mut Vec<u8>) {
        if self.packed.is_empty() {
            return;
        }
        let packed = std::mem::take(&mut self.packed);
        let batch = Batch { waiters: std::mem::take(&mut self.next_batch), since: Instant::now() };
        let (committed, waker) = (Arc::clone(&self.committed), Arc::clone(&self.waker));
        let submitted = self.intake.submit(packed, move |outcome| {
            let first = {
                let mut committed = committed.lock().unwrap_or_else(PoisonError::into_inner);
                committed.push(outcome);
                committed.len() == 1
            };
            if first {
                let _ = waker.wake();
            }
        });
        match submitted {
            Ok(()) => self.batches.push_back(batch),
            Err(_) => {
                self.counters.unrecorded_overload.inc_by(batch.waiters.len() as u64);
                self.answer(&batch.waiters, false, scratch, out);
            }
        }
    }

    fn answer_committed(&mut self, scratch: &mut [u8], out: &mut Vec<u8>) {
        let outcomes = std::mem::take(&mut *self.committed.lock().unwrap_or_else(PoisonError::into_inner));
        for outcome in outcomes {
            let Some(batch) = self.batches.pop_front() else { return };
            let recorded = outcome == Outcome::Recorded;
            if !recorded {
                self.counters.unrecorded_store.inc_by(batch.waiters.len() as u64);
            }
            self.answer(&batch.waiters, recorded, scratch, out);
        }
    }

    fn answer(&mut self, waiters: &[(usize, u32)], recorded: bool, scratch: &mut [u8], out: &mut Vec<u8>) {
        let now = Instant::now();
        for (slot, generation) in waiters {
            let Some(connection) =
                self.connections.get_mut(*slot).filter(|connection| connection.generation == *generation)
            else {
                continue;
            };
            let Some(waiting) = connection.waiting.take() else { continue };
            out.clear();
            let frame = Frame { head: waiting.head, close: waiting.close, date: self.date.at(self.now) };
            response::target(out, &waiting.target, recorded.then_some(waiting.event), frame);
            let sent = connection.send(out);
            self.answered.observe(now.saturating_duration_since(waiting.since).as_secs_f64());
            if !sent {
                self.close(*slot);
            } else if connection.closing || connection.readable || !connection.input.is_empty() {
                self.advance(*slot, scratch, out);
            }
        }
    }

    /// Gives up on commits that take too long and on connections that do nothing.
    fn sweep(&mut self, scratch: &mut [u8], out: &mut Vec<u8>) {
        let patience = self.settings.patience;
        let late: Vec<_> = self
            .batches
            .iter_mut()
            .take_while(|batch| batch.since.elapsed() > patience)
            .map(|batch| std::mem::take(&mut batch.waiters))
            .collect();
        for waiters in late {
            self.counters.unrecorded_store.inc_by(waiters.len() as u64);
            self.answer(&waiters, false, scratch, out);
        }
        let stale = |connection: &Connection| {
            let unfinished = !connection.input.is_empty() || !connection.output.is_empty();
            connection.is_heard_out()
                || connection.waiting.is_none()
                    && connection.active.elapsed() > if unfinished { HEAD_PATIENCE } else { IDLE_PATIENCE }
        };
        let stale: Vec<_> =
            self.connections.iter().filter(|(_, connection)| stale(connection)).map(|(slot, _)| slot).collect();
        stale.into_iter().for_each(|slot| self.close(slot));
    }

    fn close_idle(&mut self) {
        let idle = |connection: &Connection| connection.waiting.is_none() && connection.output.is_empty();
        let idle: Vec<_> =
            self.connections.iter().filter(|(_, connection)| idle(connection)).map(|(slot, _)| slot).collect();
        idle.into_iter().for_each(|slot| self.close(slot));
        for (_, connection) in &mut self.connections {
            connection.closing = true;
            if let Some(waiting) = &mut connection.waiting {
                waiting.close = true;
            }
        }
    }
}
