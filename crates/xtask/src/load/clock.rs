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
pub(crate) struct Ticker(rustix::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Ticker {
    /// How long the event loop may wait for an event.
    pub(crate) const LONGEST_WAIT: Duration = Duration::from_millis(50);

    pub(crate) fn register(rate: f64, registry: &mio::Registry, token: mio::Token) -> std::io::Result<Self> {
        use rustix::fd::AsRawFd;
        use rustix::time::{
            Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
        };
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let interval = Duration::from_secs_f64(1.0 / rate).clamp(FINEST_TICK, COARSEST_TICK);
        let interval = Timespec { tv_sec: 0, tv_nsec: i64::from(interval.subsec_nanos()) };
        let spec = Itimerspec { it_interval: interval, it_value: interval };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &spec)?;
        registry.register(&mut mio::unix::SourceFd(&timer.as_raw_fd()), token, mio::Interest::READABLE)?;
        Ok(Self(timer))
    }

    /// After each tick: the kernel runs the timer on only when its count is read.
    pub(crate) fn go_on(&self) {
        // Nothing to read is as well: then it was read before, and runs.
        rustix::io::read(&self.0, &mut [0; 8]).ok();
    }
}

/// Finer ticks cost more processor time than they gain: it is missing where the server needs it.
#[cfg(target_os = "linux")]
const FINEST_TICK: Duration = Duration::from_micros(250);
#[cfg(target_os = "linux")]
const COARSEST_TICK: Duration = Duration::from_millis(10);

/// Elsewhere the event loop looks at the schedule every millisecond.
#[cfg(not(target_os = "linux"))]
pub(crate) struct Ticker;

#[cfg(not(target_os = "linux"))]
impl Ticker {
    pub(crate) const LONGEST_WAIT: Duration = Duration::from_millis(1);

    pub(crate) fn register(_rate: f64, _registry: &mio::Registry, _token: mio::Token) -> std::io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn go_on(&self) {}
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
