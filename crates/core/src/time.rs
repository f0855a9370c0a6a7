//! Instants as microseconds since the Unix epoch, UTC: the form in which the store keeps them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One second.
pub const SECOND: i64 = 1_000_000;
/// One minute.
pub const MINUTE: i64 = 60 * SECOND;
/// One hour.
pub const HOUR: i64 = 60 * MINUTE;
/// One day.
pub const DAY: i64 = 24 * HOUR;

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Micros(pub i64);

/// The text is not an RFC 3339 instant.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not an instant; write it as RFC 3339, for example 2026-05-01T12:00:00Z")]
pub struct BadInstant {
    text: String,
}

impl Micros {
    /// The start of the hour that this instant lies in.
    pub fn hour(self) -> Micros {
        self.floor(HOUR)
    }

    /// The latest multiple of `step` microseconds that is not after this instant.
    pub fn floor(self, step: i64) -> Micros {
        Micros(self.0.div_euclid(step) * step)
    }

    /// This instant moved by `micros`; stays at the ends of the range instead of wrapping.
    pub fn plus(self, micros: i64) -> Micros {
        Micros(self.0.saturating_add(micros))
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => write!(out, "{instant:.6}"),
            Err(_) => write!(out, "{}us", self.0),
        }
    }
}

impl FromStr for Micros {
    type Err = BadInstant;

    fn from_str(text: &str) -> Result<Self, BadInstant> {
        let instant =
            jiff::Timestamp::from_str(text).map_err(|_| BadInstant { text: text.chars().take(64).collect() })?;
        Ok(Micros(instant.as_microsecond()))
    }
}

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(input)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_read_back_as_written() {
        let instant = Micros(1_780_000_000_123_456);
        assert_eq!(instant.to_string().parse::<Micros>().unwrap(), instant);
        assert_eq!("2026-05-01T12:00:00+02:00".parse::<Micros>().unwrap().to_string(), "2026-05-01T10:00:00.000000Z");
        assert!("yesterday".parse::<Micros>().is_err());
    }

    #[test]
    fn hours_floor_towards_the_past() {
        assert_eq!(Micros(-1).hour(), Micros(-HOUR));
        assert_eq!(Micros(HOUR + 1).hour(), Micros(HOUR));
    }
}
