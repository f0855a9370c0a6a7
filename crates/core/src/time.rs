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
        let bad = || BadInstant { text: text.chars().take(64).collect() };
        // jiff reads more of ISO 8601 than is promised here.
        if !is_rfc3339(text) {
            return Err(bad());
        }
        let instant = jiff::Timestamp::from_str(text).map_err(|_| bad())?;
        Ok(Micros(instant.as_microsecond()))
    }
}

/// Whether `text` has the form of RFC 3339 §5.6; the numbers are checked elsewhere.
fn is_rfc3339(text: &str) -> bool {
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let Some((stamp, rest)) = text.as_bytes().split_at_checked(19) else { return false };
    let shaped = stamp.iter().zip(b"dddd-dd-ddTdd:dd:dd").all(|(byte, form)| match form {
        b'd' => byte.is_ascii_digit(),
        form => byte.eq_ignore_ascii_case(form),
    });
    let zone = match rest.strip_prefix(b".") {
        Some(rest) => {
            let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if length == 0 {
                return false;
            }
            &rest[length..]
        }
        None => rest,
    };
    shaped
        && match zone {
            [b'Z' | b'z'] => true,
            [b'+' | b'-', hours @ .., b':', m1, m2] => hours.len() == 2 && digits(hours) && digits(&[*m1, *m2]),
            _ => false,
        }
}

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl schemars::JsonSchema for Micros {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Instant".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time"})
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
        for good in ["2026-05-01t12:00:00z", "2026-05-01T12:00:00.123456789-11:30"] {
            assert!(good.parse::<Micros>().is_ok(), "{good}");
        }
        for wrong in ["yesterday", "2026-05-01", "2026-05-01 12:00:00Z", "2026-05-01T12:00:00", "2026-05-01T12:00:00.Z"]
        {
            assert!(wrong.parse::<Micros>().is_err(), "{wrong}");
        }
        for wrong in
            ["-000001-05-01T12:00:00Z", "2026-05-01T12:00:00+0200", "2026-05-01T12:00:00Z[UTC]", "2026-13-01T00:00:00Z"]
        {
            assert!(wrong.parse::<Micros>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn hours_floor_towards_the_past() {
        assert_eq!(Micros(-1).hour(), Micros(-HOUR));
        assert_eq!(Micros(HOUR + 1).hour(), Micros(HOUR));
    }
}
