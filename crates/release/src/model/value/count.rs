use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// A whole number between two bounds, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Count<const LEAST: u64, const MOST: u64>(u64);

impl<const LEAST: u64, const MOST: u64> Count<LEAST, MOST> {
    /// A number that is known to fit when this is compiled.
    pub const fn of(number: u64) -> Self {
        assert!(LEAST <= number && number <= MOST, "outside of the bounds");
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl<'de, const LEAST: u64, const MOST: u64> Deserialize<'de> for Count<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let wrong =
            |got: &str| serde::de::Error::custom(format_args!("{got} is not a whole number from {LEAST} to {MOST}"));
        let value = serde_json::Value::deserialize(input)?;
        let number = value.as_u64().filter(|number| (LEAST..=MOST).contains(number));
        number.map(Self).ok_or_else(|| wrong(&value.to_string()))
    }
}

impl<const LEAST: u64, const MOST: u64> JsonSchema for Count<LEAST, MOST> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("CountFrom{LEAST}To{MOST}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": LEAST, "maximum": MOST})
    }
}
