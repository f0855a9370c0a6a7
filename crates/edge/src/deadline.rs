//! Time limits that cost a store each: a task sets its deadline in a slot, and a sweep every 100 ms wakes the tasks whose
//! deadline has passed. A request sets several; a timer of the runtime for each would cost more than its parsing.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use slab::Slab;

/// How exact deadlines are.
pub(crate) const SWEEP: Duration = Duration::from_millis(100);
const NEVER: u64 = u64::MAX;

/// The deadlines of one thread.
#[derive(Debug)]
pub(crate) struct Deadlines {
    slots: RefCell<Slab<Rc<Slot>>>,
    swept: Cell<Instant>,
    /// Milliseconds that this thread has been running, as of the last sweep.
    now: Cell<u64>,
}

#[derive(Debug)]
struct Slot {
    at: Cell<u64>,
    /// Set by others; the task's own deadline does not move it.
    alarm: Cell<u64>,
    /// It waits for a next request that may never come.
    idle: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// One task's.
#[derive(Debug)]
pub(crate) struct Deadline {
    of: Rc<Deadlines>,
    slot: Rc<Slot>,
    key: usize,
}

/// Wakes a task early.
#[derive(Debug, Clone)]
pub(crate) struct Alarm(Rc<Slot>, Rc<Deadlines>);

impl Deadlines {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self { slots: RefCell::default(), swept: Cell::new(Instant::now()), now: Cell::new(0) })
    }

    pub(crate) fn open(self: &Rc<Self>) -> Deadline {
        let slot = Rc::new(Slot {
            at: Cell::new(NEVER),
            alarm: Cell::new(NEVER),
            idle: Cell::new(false),
            waker: RefCell::new(None),
        });
        let key = self.slots.borrow_mut().insert(Rc::clone(&slot));
        Deadline { of: Rc::clone(self), slot, key }
    }

    /// Milliseconds that the thread has been running, as of the last sweep.
    pub(crate) fn now(&self) -> u64 {
        self.now.get()
    }

    /// Wakes whoever is late. A time in which the process did not run counts little: nobody could have been served.
    pub(crate) fn sweep(&self) {
        let since = self.swept.replace(Instant::now()).elapsed();
        let now = self.now.get() + since.min(5 * SWEEP).as_millis() as u64;
        self.now.set(now);
        let wakers: Vec<Waker> = {
            let slots = self.slots.borrow();
            slots.iter().filter(|(_, slot)| slot.next() <= now).filter_map(|(_, slot)| slot.waker.take()).collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Connections that wait for a next request have at most so long from now on, each its own share of it.
    pub(crate) fn hurry_idle(&self, most: Duration) {
        let slots = self.slots.borrow();
        let idle: Vec<_> = slots.iter().filter(|(_, slot)| slot.idle.get()).collect();
        let (count, most) = (idle.len().max(1) as u64, most.as_millis() as u64);
        for (nth, (_, slot)) in idle.iter().enumerate() {
            slot.at.set(slot.at.get().min(self.now.get() + most / 2 + most * nth as u64 / (2 * count)));
        }
    }
}

impl Slot {
    fn next(&self) -> u64 {
        self.at.get().min(self.alarm.get())
    }
}

impl Deadline {
    /// From now on the task has so long.
    pub(crate) fn set(&self, patience: Duration) {
        let patience = u64::try_from(patience.as_millis()).unwrap_or(NEVER / 2);
        self.slot.at.set(self.of.now.get().saturating_add(patience).saturating_add(1));
    }

    pub(crate) fn set_idle(&self, idle: bool) {
        self.slot.idle.set(idle);
    }

    /// Whether it has passed; if not, the task is woken when it does.
    pub(crate) fn passed(&self, context: &Context<'_>) -> bool {
        if self.slot.next() <= self.of.now.get() {
            return true;
        }
        let mut waker = self.slot.waker.borrow_mut();
        match waker.as_ref() {
            Some(known) if known.will_wake(context.waker()) => (),
            _ => *waker = Some(context.waker().clone()),
        }
        false
    }

    /// The alarm was heard.
    pub(crate) fn silence(&self) {
        self.slot.alarm.set(NEVER);
    }

    pub(crate) fn alarm(&self) -> Alarm {
        Alarm(Rc::clone(&self.slot), Rc::clone(&self.of))
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.of.slots.borrow_mut().remove(self.key);
    }
}

impl Alarm {
    /// The task is woken after `delay`, or when an earlier alarm says so.
    pub(crate) fn ring_within(&self, delay: Duration) {
        let at = self.1.now.get() + delay.as_millis() as u64;
        self.0.alarm.set(self.0.alarm.get().min(at));
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_deadline_that_moves_does_not_move_the_alarm() {
        let deadlines = Deadlines::new();
        let deadline = deadlines.open();
        let context = Context::from_waker(Waker::noop());
        deadline.set(Duration::from_secs(1));
        assert!(!deadline.passed(&context));
        deadlines.now.set(2_000);
        assert!(deadline.passed(&context));
        deadline.alarm().ring_within(Duration::from_secs(3));
        deadline.set(Duration::from_secs(3600));
        assert!(!deadline.passed(&context));
        deadlines.now.set(5_000);
        assert!(deadline.passed(&context));
        deadline.silence();
        assert!(!deadline.passed(&context));
    }

    #[test]
    fn idle_connections_are_hurried_and_others_not() {
        let deadlines = Deadlines::new();
        let (idle, busy) = (deadlines.open(), deadlines.open());
        let context = Context::from_waker(Waker::noop());
        for deadline in [&idle, &busy] {
            deadline.set(Duration::from_secs(60));
        }
        idle.set_idle(true);
        deadlines.hurry_idle(Duration::from_secs(4));
        deadlines.now.set(4_000);
        assert!(idle.passed(&context) && !busy.passed(&context));
    }
}
