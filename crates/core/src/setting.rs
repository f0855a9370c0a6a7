//! Words for configuration: durations and sizes as people write them, and the nearest right word for a wrong one.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration written as `500ms`, `30s`, `5m`, `2h` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Period(pub Duration);

/// A number of bytes written as `512`, `64 KiB`, `32 MiB` or `2 GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

impl Period {
    /// That many milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// That many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// As instants count; the longest that there is where it does not fit.
    pub fn micros(self) -> i64 {
        i64::try_from(self.0.as_micros()).unwrap_or(i64::MAX)
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..digits].parse().ok()?, text[digits..].trim()))
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a duration; write it as 500ms, 30s, 5m, 2h or 7d");
        let (count, unit) = split(text.trim()).ok_or_else(wrong)?;
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        count.checked_mul(unit_ms).map(|ms| Self(Duration::from_millis(ms))).ok_or_else(wrong)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a size; write it as 512, 64 KiB, 32 MiB or 2 GiB");
        let (count, unit) = split(text.trim()).ok_or_else(wrong)?;
        let unit_bytes = match unit {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        count.checked_mul(unit_bytes).map(Self).ok_or_else(wrong)
    }
}

/// An address to listen on.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let wrong =
        || format!("{text:?} is not an address with a port; write it as 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080");
    text.trim().parse().map_err(|_| wrong())
}

/// Reads an address to listen on.
pub fn listen<'de, D: Deserializer<'de>>(input: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(input)?;
    listen_address(&text).map_err(serde::de::Error::custom)
}

/// A network, or a single address, which is a network of one.
pub fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let alone = || text.parse::<IpAddr>().map(IpNet::from).ok();
    text.parse().ok().or_else(alone).ok_or_else(|| {
        format!("{text:?} is not a network or an address; write it as 10.0.0.0/8, 192.0.2.1 or 2001:db8::/32")
    })
}

/// Reads networks.
pub fn networks<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(input)?;
    texts.iter().map(|text| network(text)).collect::<Result<_, _>>().map_err(serde::de::Error::custom)
}

/// In the largest unit that tells it exactly, as [`Period::from_str`] reads it.
impl fmt::Display for Period {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
        match units.into_iter().find(|(unit, _)| ms > 0 && ms.is_multiple_of(*unit)) {
            Some((unit, name)) => write!(out, "{}{name}", ms / unit),
            None => write!(out, "{ms}ms"),
        }
    }
}

/// In the largest unit that tells it exactly, as [`Size::from_str`] reads it.
impl fmt::Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units.into_iter().find(|(unit, _)| self.0 > 0 && self.0.is_multiple_of(*unit)) {
            Some((unit, name)) => write!(out, "{} {name}", self.0 / unit),
            None => write!(out, "{}", self.0),
        }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl JsonSchema for Period {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^\\s*[0-9]+\\s*(ms|s|m|h|d)\\s*$", "examples": ["30s", "5m"]})
    }
}

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^\\s*[0-9]+\\s*(B|KiB|MiB|GiB)?\\s*$", "examples": ["512 MiB"]})
    }
}

/// Reads a value that is text in the file.
fn from_text<'de, T, D>(input: D) -> Result<T, D::Error>
where
    T: FromStr<Err = String>,
    D: Deserializer<'de>,
{
    struct Text<T>(std::marker::PhantomData<T>);
    impl<T: FromStr<Err = String>> serde::de::Visitor<'_> for Text<T> {
        type Value = T;
        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("a text such as \"30s\" or \"32 MiB\"")
        }
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }
    input.deserialize_str(Text(std::marker::PhantomData))
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        from_text(input)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        from_text(input)
    }
}

/// The candidate that was probably meant by `word`, if one is near enough.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// What an error says behind a wrong word: `; did you mean "listen"?`, or nothing where no candidate is near.
pub fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    nearest(word, candidates).map_or(String::new(), |near| format!("; did you mean {near:?}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read() {
        assert_eq!("500ms".parse(), Ok(Period(Duration::from_millis(500))));
        assert_eq!("5 m".parse(), Ok(Period(Duration::from_secs(300))));
        assert_eq!("32 MiB".parse(), Ok(Size(32 << 20)));
        for wrong in ["", "5", "5 years", "-1s", "99999999999999999999s", "18446744073709551615d"] {
            assert!(wrong.parse::<Period>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_has_a_port() {
        assert_eq!(listen_address(" [::1]:80 "), Ok("[::1]:80".parse().unwrap()));
        for wrong in ["", "8080", "localhost:8080", "127.0.0.1", "127.0.0.1:70000"] {
            assert!(listen_address(wrong).unwrap_err().contains("127.0.0.1:8080"), "{wrong}");
        }
    }

    #[test]
    fn durations_and_sizes_are_written_as_they_are_read() {
        for text in ["0ms", "500ms", "30s", "90s", "5m", "2h", "7d"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        for text in ["0", "512", "64 KiB", "32 MiB", "2 GiB", "1536 MiB"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_typo_finds_its_word() {
        assert_eq!(nearest("lisen", ["listen", "data"]), Some("listen"));
        assert_eq!(nearest("min_request", ["min_requests", "hold"]), Some("min_requests"));
        assert_eq!(nearest("zebra", ["listen", "data"]), None);
    }
}
