//! How many connections there may be, in all and per source, and which thread has the fewest.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;
use signalbox_core::address::source_key;

#[derive(Debug)]
pub(crate) struct Seats {
    most: usize,
    most_per_source: usize,
    open: Mutex<FxHashMap<u128, usize>>,
    total: AtomicUsize,
    threads: Vec<AtomicUsize>,
    /// Connections that were closed because there were too many.
    pub(crate) shed: AtomicUsize,
}

/// A connection's place; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    source: Option<u128>,
    pub(crate) thread: usize,
}

impl Seats {
    pub(crate) fn new(most: usize, most_per_source: usize, threads: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_per_source,
            open: Mutex::default(),
            total: AtomicUsize::new(0),
            threads: (0..threads).map(|_| AtomicUsize::new(0)).collect(),
            shed: AtomicUsize::new(0),
        })
    }

    pub(crate) fn count(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    /// A place on the thread with the fewest connections; `here` when it is not worse than the others.
    pub(crate) fn enter(self: &Arc<Self>, peer: IpAddr, trusted: bool, here: usize) -> Option<Seat> {
        let source = (!trusted).then(|| source_key(peer));
        let refuse = || {
            self.shed.fetch_add(1, Ordering::Relaxed);
            None
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if self.total.load(Ordering::Relaxed) >= self.most {
            return refuse();
        }
        if let Some(source) = source {
            let held = open.entry(source).or_insert(0);
            if *held >= self.most_per_source {
                return refuse();
            }
            *held += 1;
        }
        self.total.fetch_add(1, Ordering::Relaxed);
        let load = |thread: usize| (self.threads[thread].load(Ordering::Relaxed), usize::from(thread != here));
        let thread = (0..self.threads.len()).min_by_key(|thread| load(*thread)).unwrap_or(here);
        self.threads[thread].fetch_add(1, Ordering::Relaxed);
        Some(Seat { seats: Arc::clone(self), source, thread })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.threads[self.thread].fetch_sub(1, Ordering::Relaxed);
        let mut open = self.seats.open.lock().unwrap_or_else(PoisonError::into_inner);
        self.seats.total.fetch_sub(1, Ordering::Relaxed);
        let Some(source) = self.source else { return };
        if let Some(held) = open.get_mut(&source) {
            *held -= 1;
            if *held == 0 {
                open.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_bounded_and_spread() {
        let seats = Seats::new(6, 2, 2);
        let enter = |peer: &str, trusted| seats.enter(peer.parse().unwrap(), trusted, 0);
        let held = [enter("192.0.2.1", false).unwrap(), enter("192.0.2.1", false).unwrap()];
        assert_eq!([held[0].thread, held[1].thread], [0, 1]);
        assert!(enter("192.0.2.1", false).is_none(), "one source has its share");
        let others: Vec<_> = (0..4).map(|_| enter("10.0.0.1", true)).collect();
        assert!(others.iter().all(Option::is_some) && enter("192.0.2.2", false).is_none());
        drop((held, others));
        assert_eq!((seats.count(), seats.shed.load(Ordering::Relaxed)), (0, 2));
        assert!(seats.open.lock().unwrap().is_empty());
    }
}
