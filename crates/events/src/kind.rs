//! The kinds of events and the classes of verdicts, with their codes in the store and their words everywhere else.

use std::fmt;
use std::str::FromStr;

macro_rules! coded {
    ($(#[doc = $doc:literal])* $name:ident: $what:literal { $($(#[$variant_doc:meta])* $variant:ident = $code:literal $word:literal),+ $(,)? }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$variant_doc])* $variant = $code),+ }

        impl $name {
            /// Every value, in order of its code.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word for it in the API, on pages and in logs.
            pub const fn word(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }

            /// The code for it in the store.
            pub const fn code(self) -> i64 {
                self as i64
            }

            /// The value with this code.
            pub const fn from_code(code: i64) -> Option<Self> {
                match code { $($code => Some($name::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.word())
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(word: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|value| value.word() == word).ok_or_else(|| {
                    let words: Vec<_> = Self::ALL.iter().map(|value| value.word()).collect();
                    format!("{word:?} is not {}; it is one of {}", $what, words.join(", "))
                })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_str(self.word())
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
                let words: Vec<_> = Self::ALL.iter().map(|value| value.word()).collect();
                schemars::json_schema!({"type": "string", "description": ([$($doc),*].concat().trim()), "enum": words})
            }
        }
    };
}

coded! {
    /// What happened.
    Kind: "a kind of event" {
        Sent = 1 "sent",
        Delivered = 2 "delivered",
        Deferred = 3 "deferred",
        Bounced = 4 "bounced",
        Complained = 5 "complained",
        Unsubscribed = 6 "unsubscribed",
        Replied = 7 "replied",
        Opened = 8 "opened",
        Clicked = 9 "clicked",
        Converted = 10 "converted",
        Custom = 11 "custom",
    }
}

coded! {
    /// Who caused an open or a click.
    Class: "a class" {
        /// The event is of a kind that is not judged.
        Unjudged = 0 "unjudged",
        Human = 1 "human",
        PrivacyProxy = 2 "privacy_proxy",
        Machine = 3 "machine",
    }
}

impl Kind {
    /// Whether events of this kind get a verdict.
    pub const fn is_judged(self) -> bool {
        matches!(self, Kind::Opened | Kind::Clicked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_codes_read_back() {
        for kind in Kind::ALL {
            assert_eq!(kind.word().parse::<Kind>().as_ref(), Ok(kind));
            assert_eq!(Kind::from_code(kind.code()).as_ref(), Some(kind));
        }
        assert!("open".parse::<Kind>().unwrap_err().contains("opened"));
        assert_eq!(Kind::from_code(0), None);
    }
}
