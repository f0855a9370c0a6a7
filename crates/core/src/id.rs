//! 64-bit ids: 41 bits of milliseconds, 10 bits of a leased node, 12 bits of a counter.
//! Typed in code, prefixed strings outside (`cmp_01h5…`, Crockford base 32), sortable by time in both forms.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Clock;
use crate::time::Micros;

/// 2025-01-01T00:00:00Z in milliseconds: the zero of the ids' clock.
const EPOCH_MS: i64 = 1_735_689_600_000;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Length of the part behind the prefix.
const DIGITS: usize = 13;
/// How many nodes may make ids at once.
pub const NODES: u16 = 1024;

/// The text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an id of the form {prefix}_…")]
pub struct BadId {
    prefix: &'static str,
    text: String,
}

/// Makes ids that are unique for one node and never go backwards, even when the clock does.
#[derive(Debug)]
pub struct IdMaker {
    node: u64,
    last: AtomicU64,
}

impl IdMaker {
    /// A maker for `node` (below [`NODES`]; higher bits are dropped).
    pub fn new(node: u16) -> Self {
        Self { node: u64::from(node % NODES), last: AtomicU64::new(0) }
    }

    /// The next id. More than 4,096 in one millisecond borrow from the next one.
    pub fn next(&self, clock: &dyn Clock) -> i64 {
        self.next_at(clock.now())
    }

    /// The next id as of `now`.
    pub fn next_at(&self, now: Micros) -> i64 {
        let ms = u64::try_from(now.0.div_euclid(1000) - EPOCH_MS).unwrap_or(0);
        let floor = ms << 12;
        let previous = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some((last + 1).max(floor)))
            .unwrap_or_else(|last| last);
        let tick = (previous + 1).max(floor);
        let id = ((tick >> 12) << 22) | (self.node << 12) | (tick & 0xfff);
        (id & i64::MAX as u64) as i64
    }
}

/// The instant that is inside an id made by [`IdMaker`].
pub fn instant_of(id: i64) -> Micros {
    Micros(((id >> 22) + EPOCH_MS) * 1000)
}

/// The node that made an id.
pub fn node_of(id: i64) -> u16 {
    u16::try_from((id >> 12) & 0x3ff).unwrap_or(0)
}

fn write_digits(id: i64, out: &mut [u8; DIGITS]) {
    let bits = id as u64;
    for (position, digit) in out.iter_mut().enumerate() {
        let shift = 5 * (DIGITS - 1 - position);
        *digit = ALPHABET[((bits >> shift) & 31) as usize];
    }
}

/// `prefix_` and 13 digits.
pub fn encode(prefix: &str, id: i64) -> String {
    let mut digits = [0; DIGITS];
    write_digits(id, &mut digits);
    let mut text = String::with_capacity(prefix.len() + 1 + DIGITS);
    text.push_str(prefix);
    text.push('_');
    text.extend(digits.iter().map(|digit| *digit as char));
    text
}

/// Reads what [`encode`] wrote; refuses everything else, so that an id has exactly one spelling.
pub fn decode(prefix: &'static str, text: &str) -> Result<i64, BadId> {
    let bad = || BadId { prefix, text: text.chars().take(64).collect() };
    let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).ok_or_else(bad)?;
    if digits.len() != DIGITS {
        return Err(bad());
    }
    let mut bits: u64 = 0;
    for digit in digits.bytes() {
        let value = ALPHABET.iter().position(|letter| *letter == digit).ok_or_else(bad)? as u64;
        if bits >> 59 != 0 {
            return Err(bad());
        }
        bits = (bits << 5) | value;
    }
    i64::try_from(bits).map_err(|_| bad())
}

macro_rules! typed_id {
    ($(#[doc = $doc:literal])* $name:ident, $prefix:literal) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl $name {
            /// What stands before the underscore outside.
            pub const PREFIX: &'static str = $prefix;
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut digits = [0; DIGITS];
                write_digits(self.0, &mut digits);
                out.write_str(concat!($prefix, "_"))?;
                digits.iter().try_for_each(|digit| fmt::Write::write_char(out, *digit as char))
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                decode($prefix, text).map($name)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                std::borrow::Cow::<'de, str>::deserialize(input)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": ([$($doc),*].concat().trim()),
                    "pattern": pattern($prefix),
                })
            }
        }
    };
}

/// The regular expression of ids with this prefix: 63 bits, so that the first digit is below 8.
pub fn pattern(prefix: &str) -> String {
    format!("^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{12}}$")
}

typed_id!(
    /// An event that Signalbox itself saw.
    EventId, "evt");
typed_id!(
    /// A brand or client on whose behalf one speaks.
    PrincipalId, "pri");
typed_id!(
    /// A campaign.
    CampaignId, "cmp");
typed_id!(
    /// A contact: who a message went to.
    ContactId, "con");
typed_id!(
    /// A message to one recipient.
    MessageId, "msg");
typed_id!(
    /// A destination of a campaign.
    LinkId, "lnk");
typed_id!(
    /// An API token.
    TokenId, "tok");
typed_id!(
    /// Somebody who signs in.
    UserId, "usr");
typed_id!(
    /// A sign-in of a user, until it ends.
    SessionId, "ses");
typed_id!(
    /// A passkey of a user.
    PasskeyId, "psk");
typed_id!(
    /// An entry of the audit log.
    AuditId, "aud");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn ids_rise_even_when_the_clock_falls() {
        let clock = ManualClock::at(Micros(1_780_000_000_000_000));
        let maker = IdMaker::new(3);
        let mut last = 0;
        for step in 0..20_000 {
            if step == 10_000 {
                clock.advance(-3_600_000_000);
            }
            let id = maker.next(&clock);
            assert!(id > last);
            last = id;
        }
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = CampaignId(0x0123_4567_89ab_cdef);
        let text = id.to_string();
        assert_eq!(text, encode("cmp", id.0));
        assert_eq!(text.parse::<CampaignId>().unwrap(), id);
        for wrong in [
            "cmp_",
            "evt_0000000000000",
            "cmp_000000000000O",
            "cmp_zzzzzzzzzzzzz",
            &text.to_uppercase(),
            &format!("{text}0"),
        ] {
            assert!(wrong.parse::<CampaignId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_id_tells_its_node() {
        let now = Micros(1_780_000_000_123_000);
        assert_eq!([0, 3, 1023].map(|node| node_of(IdMaker::new(node).next_at(now))), [0, 3, 1023]);
    }

    #[test]
    fn an_id_tells_its_instant() {
        let now = Micros(1_780_000_000_123_000);
        assert_eq!(instant_of(IdMaker::new(9).next_at(now)), now);
    }
}
