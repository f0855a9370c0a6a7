use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use signalbox_core::time::Micros;

use crate::model::text::written_as_text;

/// A time zone of the IANA database that is built in, so that two machines never disagree about a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The local date and time at this instant.
    pub(super) fn local(&self, at: Micros) -> DateTime {
        self.0.to_datetime(timestamp(at))
    }

    /// The instants at which the clocks there show this: none fits exactly in a gap, two do in a fold.
    pub(super) fn instants(&self, local: DateTime) -> impl Iterator<Item = Micros> {
        let ambiguous = self.0.to_ambiguous_timestamp(local);
        [ambiguous.earlier(), ambiguous.later()].into_iter().flatten().map(micros)
    }

    /// The instant at which that local time begins.
    pub(super) fn first_instant(&self, local: DateTime) -> Option<Micros> {
        self.0.to_timestamp(local).ok().map(micros)
    }

    /// When the clocks there are changed between two instants.
    pub(super) fn transitions(&self, from: Micros, until: Micros) -> Vec<Micros> {
        let after = self.0.following(timestamp(from)).map(|transition| micros(transition.timestamp()));
        after.take_while(|at| *at < until).collect()
    }
}

fn timestamp(at: Micros) -> Timestamp {
    Timestamp::from_microsecond(at.0).unwrap_or(if at.0 < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

fn micros(at: Timestamp) -> Micros {
    Micros(at.as_microsecond())
}

fn database() -> &'static TimeZoneDatabase {
    static DATABASE: OnceLock<TimeZoneDatabase> = OnceLock::new();
    DATABASE.get_or_init(TimeZoneDatabase::bundled)
}

impl fmt::Display for Zone {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "UTC" {
            return Ok(Self::UTC);
        }
        let found = database().get(text).ok().filter(|zone| zone.iana_name().is_some_and(|name| name != "Etc/Unknown"));
        found.map(Self).ok_or_else(|| format!("{text:?} is not a time zone; write UTC or a name such as Europe/Berlin"))
    }
}

written_as_text!(Zone, "Zone", "A time zone of the IANA database.", "Europe/Berlin");
