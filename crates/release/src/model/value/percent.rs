use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A share of the traffic: more than 0 % or exactly that, up to 100 %, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Percent(u16);

impl Percent {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self(10_000);

    /// That many whole percent; everything above 100.
    pub const fn whole(percent: u16) -> Self {
        if percent >= 100 { Self::ALL } else { Self(percent * 100) }
    }

    /// That many hundredths of a percent; everything above 100 %.
    pub const fn from_basis_points(points: u16) -> Self {
        if points >= 10_000 { Self::ALL } else { Self(points) }
    }

    /// In hundredths of a percent, 0 to 10,000: how the edge counts weights.
    pub const fn basis_points(self) -> u16 {
        self.0
    }

    /// 0 to 1.
    pub fn share(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }

    /// Of that many instances, those that carry this share: rounded up, so that capacity never falls short.
    pub fn of_instances(self, all: u64) -> u64 {
        (all * u64::from(self.0)).div_ceil(10_000)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} %", f64::from(self.0) / 100.0)
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(100) {
            out.serialize_u16(self.0 / 100)
        } else {
            out.serialize_f64(f64::from(self.0) / 100.0)
        }
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(input)?;
        let points = value.as_f64().map(|percent| percent * 100.0).filter(|points| (0.0..=10_000.0).contains(points));
        match points {
            Some(points) if (points - points.round()).abs() < 1e-6 => Ok(Self(points.round() as u16)),
            _ => Err(serde::de::Error::custom(format_args!(
                "{value} is not a percentage; write a number from 0 to 100 with at most two decimals"
            ))),
        }
    }
}

impl JsonSchema for Percent {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number", "minimum": 0, "maximum": 100})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_has_two_decimals() {
        let read = |text: &str| serde_json::from_str::<Percent>(text);
        assert_eq!(read("0.29").unwrap().basis_points(), 29);
        assert_eq!(read("25").unwrap(), Percent::whole(25));
        assert_eq!(serde_json::to_string(&read("12.5").unwrap()).unwrap(), "12.5");
        for wrong in ["-1", "100.01", "0.001", "\"5\"", "null"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn capacity_never_falls_short() {
        assert_eq!(Percent::whole(1).of_instances(4), 1);
        assert_eq!(Percent::whole(50).of_instances(4), 2);
        assert_eq!(Percent::whole(51).of_instances(4), 3);
        assert_eq!(Percent::ALL.of_instances(4), 4);
    }
}
