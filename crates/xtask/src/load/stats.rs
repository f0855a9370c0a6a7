//! What one thread has seen.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::response::Answer;

/// One minute, in microseconds; what takes longer is counted as this.
const LONGEST_US: u64 = 60_000_000;

pub(crate) struct Stats {
    /// Microseconds.
    pub(crate) latency: Histogram<u64>,
    pub(crate) statuses: Box<[u64; 600]>,
    pub(crate) sent: u64,
    pub(crate) recorded: u64,
    pub(crate) unrecorded: u64,
    /// Requests without an answer: the connection ended first.
    pub(crate) closed: u64,
    /// Requests whose answer could not be read.
    pub(crate) malformed: u64,
    /// Requests that had to be sent or answered and were not when the run ended.
    pub(crate) unanswered: u64,
    pub(crate) connects_failed: u64,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
}

impl Stats {
    pub(crate) fn new() -> Self {
        Self {
            latency: Histogram::new_with_bounds(1, LONGEST_US, 3).expect("these bounds are valid"),
            statuses: Box::new([0; 600]),
            sent: 0,
            recorded: 0,
            unrecorded: 0,
            closed: 0,
            malformed: 0,
            unanswered: 0,
            connects_failed: 0,
            took: Duration::ZERO,
        }
    }

    pub(crate) fn answered(&mut self, answer: Answer, latency: Duration) {
        self.took_us(latency);
        self.statuses[usize::from(answer.status)] += 1;
        if answer.recorded {
            self.recorded += 1;
        } else {
            self.unrecorded += 1;
        }
    }

    /// A request without an answer has taken at least this long: leaving it out would flatter the percentiles.
    pub(crate) fn unanswered(&mut self, waited: Duration) {
        self.unanswered += 1;
        self.took_us(waited);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.latency.add(&other.latency).expect("the bounds are the same");
        for (count, more) in self.statuses.iter_mut().zip(other.statuses.iter()) {
            *count += more;
        }
        self.sent += other.sent;
        self.recorded += other.recorded;
        self.unrecorded += other.unrecorded;
        self.closed += other.closed;
        self.malformed += other.malformed;
        self.unanswered += other.unanswered;
        self.connects_failed += other.connects_failed;
        self.took = self.took.max(other.took);
    }

    fn took_us(&mut self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(LONGEST_US);
        self.latency.saturating_record(us.max(1));
    }
}
