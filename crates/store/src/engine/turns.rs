//! A lock that is given in the order of asking: who writes all the time (the projector that works off a backlog) does not
//! shut out who writes now and then (a sign-in).

use std::ops::Deref;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A value for one at a time.
pub(crate) struct Turns<T> {
    value: Mutex<T>,
    line: Mutex<Line>,
    moved: Condvar,
}

/// The numbers of who comes next to ask, and of whose turn it is.
#[derive(Default)]
struct Line {
    next: u64,
    serving: u64,
}

/// The value, until it is dropped.
pub(crate) struct Turn<'t, T> {
    turns: &'t Turns<T>,
    value: Option<MutexGuard<'t, T>>,
}

impl<T> Turns<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Mutex::new(value), line: Mutex::default(), moved: Condvar::new() }
    }

    /// Waits for the value.
    pub(crate) fn take(&self) -> Turn<'_, T> {
        let mut line = self.line();
        let number = line.next;
        line.next += 1;
        while line.serving != number {
            line = self.moved.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
        drop(line);
        Turn { turns: self, value: Some(self.value.lock().unwrap_or_else(PoisonError::into_inner)) }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Deref for Turn<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("it is there until the turn ends")
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        self.value = None;
        self.turns.line().serving += 1;
        self.turns.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_takes_it_all_the_time_shuts_nobody_out() {
        let turns = Turns::new(AtomicU64::new(0));
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let turn = turns.take();
                    turn.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            for _ in 0..200 {
                drop(turns.take());
            }
            stop.store(true, Ordering::Relaxed);
            // In turns it is one for one; a machine that is busy adds some, a lock that is not fair thousands.
            let went_by = turns.take().load(Ordering::Relaxed);
            assert!(went_by < 1000, "{went_by} turns for 200");
        });
    }

    #[test]
    fn a_turn_ends_when_its_holder_panics() {
        let turns = Turns::new(1);
        let holder = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _turn = turns.take();
            panic!("on purpose");
        }));
        assert!(holder.is_err());
        assert_eq!(*turns.take(), 1);
    }
}
