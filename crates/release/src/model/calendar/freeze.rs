use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, time};
use serde::Serialize;
use signalbox_core::time::Micros;

use super::Zone;
use crate::model::text::written_as_text;

/// A date: `2026-12-20`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(Date);

/// Days without releases, the first and the last included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Freeze {
    pub from: Day,
    pub to: Day,
    pub zone: Zone,
    pub reason: String,
}

impl Freeze {
    /// Whether the instant lies in it.
    pub fn contains(&self, at: Micros) -> bool {
        let date = self.zone.local(at).date();
        self.from.0 <= date && date <= self.to.0
    }

    /// The first instant in it, and the first after it.
    pub(super) fn bounds(&self) -> Option<(Micros, Micros)> {
        let start = |date: Date| self.zone.first_instant(date.to_datetime(time(0, 0, 0, 0)));
        Some((start(self.from.0)?, start(self.to.0.tomorrow().ok()?)?))
    }
}

impl fmt::Display for Freeze {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "freeze from {} to {} {} ({})", self.from, self.to, self.zone, self.reason)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shaped = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let date = text.parse::<Date>().ok().filter(|date| shaped && (1970..=9000).contains(&date.year()));
        date.map(Self).ok_or_else(|| format!("{text:?} is not a date; write it as 2026-12-20"))
    }
}

written_as_text!(Day, "Day", "A date.", "2026-12-20");
