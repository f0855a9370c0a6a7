use std::collections::VecDeque;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use signalbox_core::clock::Clock;
use signalbox_core::setting::{Period, Size};
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};

use super::log::{SharedLog, Stream, keep};
use super::sandbox::Relay;
use super::serve::Examiner;
use super::{Folder, Identity, Spec, Status, start, tree};
use crate::driver::{Exit, ExitHow, Health, State};

/// How often memory is measured.
const MEASURE_EVERY: Duration = Duration::from_millis(250);
/// Checks until the first good one come faster than the manifest's interval, from here on.
const FIRST_CHECKS: Duration = Duration::from_millis(25);
/// How long what the service left behind may take to be gone; the kernel holds some longer.
const END_BELOW: Duration = Duration::from_secs(10);
/// How long the output of a dead service may still come from what it left behind.
const DRAIN_OUTPUT: Duration = Duration::from_secs(2);

/// What somebody wants of the instance.
#[derive(Debug)]
pub(super) enum Order {
    Stop { grace: Duration, done: Option<oneshot::Sender<Status>> },
    Signal { signal: Signal, done: oneshot::Sender<bool> },
}

/// Starts the service, watches it, starts it again.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) spec: Arc<Spec>,
    pub(super) folder: Folder,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) told: watch::Sender<Status>,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) log: SharedLog,
    examiner: Examiner,
    relay: Option<Relay>,
    stopping: bool,
    waiting: VecDeque<oneshot::Sender<Status>>,
}

/// How one life of the service went.
#[derive(Debug)]
struct Life {
    exit: Exit,
    was_well: bool,
    lasted: Duration,
}

/// What is decided about a process that still runs.
#[derive(Debug, Default)]
struct Ending {
    /// Why it is being ended.
    why: Option<String>,
    kill_at: Option<Instant>,
}

impl Supervisor {
    pub(super) fn new(
        spec: Arc<Spec>,
        folder: Folder,
        clock: Arc<dyn Clock>,
        told: watch::Sender<Status>,
        orders: mpsc::Receiver<Order>,
        log: SharedLog,
        examiner: Examiner,
    ) -> Self {
        Self {
            spec,
            folder,
            clock,
            told,
            orders,
            log,
            examiner,
            relay: None,
            stopping: false,
            waiting: VecDeque::new(),
        }
    }

    /// Returns when the service is not to be started any more.
    pub(super) async fn run(mut self) {
        let rules = self.spec.restart;
        let mut fruitless = 0;
        let mut pause = rules.first;
        loop {
            let life = self.live().await;
            let exit = life.exit.clone();
            self.tell(|status| {
                status.process = None;
                status.memory_bytes = None;
                status.failures = 0;
                status.last_exit = Some(exit);
            });
            if self.stopping {
                break;
            }
            fruitless = if life.was_well { 0 } else { fruitless + 1 };
            if life.was_well && life.lasted >= rules.most.0 {
                pause = rules.first;
            }
            if fruitless >= rules.give_up.get() {
                let said = format!("{fruitless} starts without a healthy moment; the last {}", life.exit);
                self.turn(State::GivenUp, said);
                return self.answer_all();
            }
            let number = self.told.borrow().restarts + 1;
            self.turn(State::BackingOff, format!("{}; restart {number} comes in {pause}", life.exit));
            if !self.back_off(pause).await {
                break;
            }
            pause = Period(pause.0 * 2).min(rules.most);
            self.tell(|status| status.restarts += 1);
        }
        self.turn(State::Stopped, "stopped");
        self.answer_all();
    }

    /// From the start of the service to its end.
    async fn live(&mut self) -> Life {
        let began = Instant::now();
        let mut child = match self.start().await {
            Ok(child) => child,
            Err(error) => {
                let exit = Exit { at: self.clock.now(), how: ExitHow::NotStarted, said: error.to_string() };
                return Life { exit, was_well: false, lasted: began.elapsed() };
            }
        };
        let pid = child.id().unwrap_or_default();
        let now = self.clock.now();
        self.tell(|status| {
            status.process = Identity::of(pid);
            status.started_at = Some(now);
        });
        self.turn(State::Starting, "started");
        let mut streams = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            streams.spawn(keep(stdout, Stream::Out, Arc::clone(&self.log)));
        }
        if let Some(stderr) = child.stderr.take() {
            streams.spawn(keep(stderr, Stream::Err, Arc::clone(&self.log)));
        }
        let (ended, ending, was_well) = self.watch(&mut child, began).await;
        let relay = self.relay.as_ref().map(|relay| relay.pid);
        let mut left = END_BELOW.as_millis() / 5;
        while !tree::end_below(relay) && left > 0 {
            sleep(Duration::from_millis(5)).await;
            left -= 1;
        }
        // What left the tree altogether may hold the pipes open for ever.
        let _ = timeout(DRAIN_OUTPUT, async { while streams.join_next().await.is_some() {} }).await;
        let exit = self.exit(ended, ending);
        Life { exit, was_well, lasted: began.elapsed() }
    }

    async fn start(&mut self) -> io::Result<Child> {
        if let Some(namespaces) = self.spec.sandbox
            && self.relay.is_none()
        {
            self.relay = Some(Relay::start(namespaces, self.spec.port).await?);
        }
        let command = start::command(&self.spec, self.relay.as_ref());
        command.map_err(io::Error::other)?.spawn()
    }

    /// Returns when the process is gone.
    async fn watch(&mut self, child: &mut Child, began: Instant) -> (io::Result<ExitStatus>, Ending, bool) {
        let pid = child.id().unwrap_or_default();
        let mut ending = Ending::default();
        let mut was_well = false;
        let (found, mut checks) = mpsc::channel(1);
        let mut checking = JoinSet::new();
        checking.spawn(keep_checking(self.examiner.clone(), found));
        let mut measure = interval(MEASURE_EVERY);
        measure.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let startup = began + self.spec.health.startup.0;
        let mut relay = self.relay.take();
        let ended = loop {
            let kill_at = ending.kill_at;
            tokio::select! {
                ended = child.wait() => break ended,
                Some(health) = checks.recv(), if ending.why.is_none() => {
                    was_well |= health.is_well();
                    self.checked(&health, was_well);
                }
                () = sleep_until(startup), if !was_well && ending.why.is_none() => {
                    let last = self.told.borrow().said.clone();
                    let said = format!("not healthy within {}: {last}", self.spec.health.startup);
                    self.end(pid, &mut ending, said, self.spec.stop.0);
                }
                _ = measure.tick() => {
                    if let Some(said) = self.measure(pid, relay.as_ref()) {
                        ending.why.get_or_insert(said);
                        kill_all(pid, relay.as_ref());
                    }
                }
                () = sleep_until(kill_at.unwrap_or(began)), if kill_at.is_some() => {
                    ending.kill_at = None;
                    let why = ending.why.take().unwrap_or_default();
                    ending.why = Some(format!("{why}; SIGTERM did not end it in time"));
                    kill_all(pid, relay.as_ref());
                }
                ended = sandbox_end(relay.as_mut()) => {
                    ending.why.get_or_insert(format!("its sandbox ended: {ended}"));
                    relay = None;
                    kill_all(pid, None);
                }
                Some(order) = self.orders.recv() => match order {
                    Order::Signal { signal, done } => {
                        let _ = done.send(send(pid, signal));
                    }
                    Order::Stop { grace, done } => {
                        self.stopping = true;
                        self.waiting.extend(done);
                        self.turn(State::Stopping, "asked to stop");
                        self.end(pid, &mut ending, "asked to stop".into(), grace);
                    }
                }
            }
        };
        self.relay = relay;
        (ended, ending, was_well)
    }

    /// SIGTERM now, SIGKILL later; the earlier of two deadlines holds.
    fn end(&self, pid: u32, ending: &mut Ending, why: String, grace: Duration) {
        let at = Instant::now() + grace;
        // One that was told already, or is being killed, is not told again; its time may become shorter.
        let first = ending.why.is_none();
        ending.why.get_or_insert(why);
        if first {
            send(pid, Signal::TERM);
            ending.kill_at = Some(at);
        } else {
            ending.kill_at = ending.kill_at.map(|earlier| earlier.min(at));
        }
    }

    fn checked(&self, health: &Health, was_well: bool) {
        let said = health.to_string();
        if health.is_well() {
            self.tell(|status| status.failures = 0);
            self.turn(State::Healthy, said);
        } else {
            self.tell(|status| status.failures += 1);
            self.turn(if was_well { State::Unhealthy } else { State::Starting }, said);
        }
    }

    /// Says what is wrong where too much memory is used.
    fn measure(&self, service: u32, relay: Option<&Relay>) -> Option<String> {
        let tree = tree::roughly_below(relay.map(|relay| relay.pid));
        tree::notice_adopted(&tree, service);
        let bytes = tree::memory_bytes(&tree)?;
        let lost = self.log.lock().unwrap_or_else(PoisonError::into_inner).lost_bytes();
        self.told.send_modify(|status| {
            status.memory_bytes = Some(bytes);
            status.log_lost_bytes = lost;
        });
        let limit = self.spec.memory_bytes.filter(|limit| bytes > *limit)?;
        Some(format!("over its limit of memory: {} MiB of {}", bytes >> 20, Size(limit)))
    }

    fn exit(&self, ended: io::Result<ExitStatus>, ending: Ending) -> Exit {
        let how = match &ended {
            Ok(status) => match (status.code(), status.signal()) {
                (Some(code), _) => ExitHow::Code(code),
                (None, Some(signal)) => ExitHow::Signal(signal),
                (None, None) => ExitHow::Unseen,
            },
            Err(_) => ExitHow::Unseen,
        };
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let said = match ending.why {
            Some(why) => why,
            None if log.last_line().is_empty() => String::new(),
            None => format!("its last line was {:?}", log.last_line()),
        };
        Exit { at: self.clock.now(), how, said }
    }

    /// Waits until it is time to start again; false when somebody wants it stopped.
    async fn back_off(&mut self, pause: Period) -> bool {
        let until = Instant::now() + pause.0;
        loop {
            tokio::select! {
                () = sleep_until(until) => return true,
                Some(order) = self.orders.recv() => match order {
                    Order::Signal { done, .. } => {
                        let _ = done.send(false);
                    }
                    Order::Stop { done, .. } => {
                        self.waiting.extend(done);
                        return false;
                    }
                }
            }
        }
    }

    fn turn(&self, state: State, said: impl Into<String>) {
        let now = self.clock.now();
        self.tell(|status| status.turn(state, now, said));
    }

    /// Changes what is told, and writes it down where more than words and figures changed.
    fn tell(&self, change: impl FnOnce(&mut Status)) {
        let before = self.told.borrow().clone();
        self.told.send_modify(change);
        let now = self.told.borrow().clone();
        let kept = |status: &Status| (status.state, status.process.clone(), status.last_exit.clone(), status.restarts);
        if kept(&before) != kept(&now) {
            let line = format!("{}: {}", now.state, now.said);
            let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
            if before.state != now.state {
                log.append(Stream::Shim, [line.as_bytes()].into_iter());
            }
            if let Err(error) = self.folder.write_status(&now) {
                eprintln!("the status could not be written: {error}");
            }
        }
    }

    fn answer_all(&mut self) {
        let status = self.told.borrow().clone();
        for done in self.waiting.drain(..) {
            // Whoever asked may be gone.
            let _ = done.send(status.clone());
        }
    }
}

/// Checks again and again, and tells what it found.
async fn keep_checking(examiner: Examiner, found: mpsc::Sender<Health>) {
    let interval = examiner.spec.health.interval.0;
    let mut pause = FIRST_CHECKS.min(interval);
    loop {
        sleep(pause).await;
        let health = examiner.ask().await;
        pause = if health.is_well() { interval } else { (pause * 2).min(interval) };
        if found.send(health).await.is_err() {
            return;
        }
    }
}

/// Never, where there is no sandbox.
async fn sandbox_end(relay: Option<&mut Relay>) -> String {
    match relay {
        Some(relay) => relay.child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string()),
        None => std::future::pending().await,
    }
}

/// The service and everything below it.
fn kill_all(service: u32, relay: Option<&Relay>) {
    send(service, Signal::KILL);
    for (pid, _) in tree::below(relay.map(|relay| relay.pid)) {
        tree::kill(pid);
    }
}

/// To a child whose end was not noticed yet, so that its number is still its own.
fn send(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}
