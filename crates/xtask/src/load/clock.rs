//! When the requests of an open loop are due, and what wakes us then.

use std::time::{Duration, Instant};

/// Requests at a constant rate: the n-th is due n/rate after the start, whatever happened to those before it.
#[derive(Clone, Copy)]
pub(crate) struct Schedule {
    start: Instant,
    per_second: f64,
    pub(crate) total: u64,
}

impl Schedule {
    pub(crate) fn new(start: Instant, per_second: f64, length: Duration) -> Self {
        Self { start, per_second, total: (per_second * length.as_secs_f64()).round() as u64 }
    }

    pub(crate) fn due(&self, nth: u64) -> Instant {
        self.start + Duration::from_secs_f64(nth as f64 / self.per_second)
    }
}

/// Wakes the event loop more finely than the milliseconds of its timeout.
#[cfg(target_os = "linux")]
pub(crate) struct Ticker {
    /// Ticks until it is closed.
    _timer: rustix::fd::OwnedFd,
}

#[cfg(target_os = "linux")]
impl Ticker {
    pub(crate) fn register(interval: Duration, registry: &mio::Registry, token: mio::Token) -> std::io::Result<Self> {
        use rustix::fd::AsRawFd;
        use rustix::time::{
            Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
        };
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let interval = Timespec { tv_sec: interval.as_secs() as i64, tv_nsec: i64::from(interval.subsec_nanos()) };
        let spec = Itimerspec { it_interval: interval, it_value: interval };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &spec)?;
        // Edge-triggered: every expiry is an event of its own, so the timer need never be read.
        registry.register(&mut mio::unix::SourceFd(&timer.as_raw_fd()), token, mio::Interest::READABLE)?;
        Ok(Self { _timer: timer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_does_not_drift() {
        let start = Instant::now();
        let schedule = Schedule::new(start, 10_000.0, Duration::from_secs(8));
        assert_eq!(schedule.total, 80_000);
        assert_eq!(schedule.due(0), start);
        assert_eq!(schedule.due(30_000), start + Duration::from_secs(3));
        let third = Schedule::new(start, 10_000.0 / 3.0, Duration::from_secs(6));
        assert_eq!(third.total, 20_000);
        assert!(third.due(20_000).duration_since(start + Duration::from_secs(6)) < Duration::from_micros(1));
    }
}
