use std::io;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// A process, told apart from every other that had or will have its number: by when it was started, in which run of the
/// machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    /// Clock ticks since the machine was started.
    start_ticks: u64,
    /// Of the machine's present run.
    boot: String,
}

/// What `/proc/PID/stat` tells of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) state: u8,
    pub(super) parent: u32,
    start_ticks: u64,
}

impl Identity {
    /// Whoever has the number now.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        Some(Self { pid, start_ticks: Stat::of(pid)?.start_ticks, boot })
    }

    /// The process that asks.
    pub(crate) fn own() -> io::Result<Self> {
        Self::of(std::process::id()).ok_or_else(|| io::Error::other("/proc tells nothing of this process"))
    }

    /// Whether that very process runs; one that ended and waits to be noticed does not.
    pub(crate) fn lives(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self) && Stat::of(self.pid).is_some_and(|stat| stat.state != b'Z')
    }

    /// Sends a signal to that very process; false when it is gone. The descriptor is taken first and the identity looked at
    /// behind it, so that nobody else can be hit.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<bool> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return Ok(false) };
        let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => descriptor,
            Err(rustix::io::Errno::SRCH) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if !self.lives() {
            return Ok(false);
        }
        match pidfd_send_signal(descriptor, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Stat {
    pub(super) fn of(pid: u32) -> Option<Self> {
        Self::parse(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name in brackets may hold anything, brackets and spaces too: what follows the last one counts.
    fn parse(text: &[u8]) -> Option<Self> {
        let end = text.iter().rposition(|byte| *byte == b')')?;
        let fields: Vec<&str> = std::str::from_utf8(&text[end + 1..]).ok()?.split_whitespace().collect();
        Some(Self {
            state: *fields.first()?.as_bytes().first()?,
            parent: fields.get(1)?.parse().ok()?,
            start_ticks: fields.get(19)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_more_than_its_number() {
        let own = Identity::own().unwrap();
        assert!(own.lives());
        let earlier = Identity { start_ticks: own.start_ticks - 1, ..own.clone() };
        let other_run = Identity { boot: "another".into(), ..own.clone() };
        for other in [earlier, other_run] {
            assert!(!other.lives());
            assert!(!other.signal(Signal::KILL).unwrap(), "this test would be dead");
        }
    }

    #[test]
    fn a_name_cannot_forge_the_fields_behind_it() {
        let stat = b"7 (a) R 1 (x) S 42 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9001 10 11";
        assert_eq!(Stat::parse(stat), Some(Stat { state: b'S', parent: 42, start_ticks: 9001 }));
        assert_eq!(Stat::parse(b""), None);
        assert_eq!(Stat::parse(b"7 (a) S 42"), None);
    }
}
