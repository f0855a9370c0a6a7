//! Ends the process at a chosen record of the journal, for tests of crashes. It only exists where faults are allowed.

use std::str::FromStr;

use rustix::process::{Signal, getpid, kill_process};

/// At which record, and on which side of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailPoint {
    pub side: Side,
    /// The number of the record.
    pub seq: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Nothing of the record is on disk.
    Before,
    /// Half of its line is.
    Torn,
    /// It is on disk, and nothing came of it yet.
    After,
}

impl FromStr for FailPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no fail point; write before:7, torn:7 or after:7");
        let (side, seq) = text.split_once(':').ok_or_else(wrong)?;
        let side = match side {
            "before" => Side::Before,
            "torn" => Side::Torn,
            "after" => Side::After,
            _ => return Err(wrong()),
        };
        Ok(Self { side, seq: seq.parse().map_err(|_| wrong())? })
    }
}

impl FailPoint {
    /// Whether this is the place.
    pub(super) fn hits(self, side: Side, seq: u64) -> bool {
        self == Self { side, seq }
    }
}

/// As `kill -9` does it: nothing is finished, flushed or dropped.
pub(super) fn die() -> ! {
    loop {
        // It does not come back from this.
        let _ = kill_process(getpid(), Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fail_points_are_read() {
        assert_eq!("torn:12".parse(), Ok(FailPoint { side: Side::Torn, seq: 12 }));
        for wrong in ["", "7", "during:7", "after:", "after:-1"] {
            assert!(wrong.parse::<FailPoint>().is_err(), "{wrong}");
        }
    }
}
