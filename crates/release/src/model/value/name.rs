use std::fmt;
use std::str::FromStr;

use crate::model::text::written_as_text;

/// What a service, a metric or a role is called where it becomes part of paths and labels: `shop`, `order-api`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// A version as its owner writes it: `1.4.0`, `2026.11.21-3`, a commit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(String);

impl Name {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Version {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let good = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-';
        let first = text.starts_with(|one: char| one.is_ascii_lowercase());
        if !first || !text.chars().all(good) || text.len() > 63 || text.ends_with('-') {
            return Err(format!("{text:?} is not a name; write 1 to 63 of a-z, 0-9 and -, a letter first"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let good = |one: char| one.is_ascii_alphanumeric() || ".-+_".contains(one);
        // It becomes the name of a folder and a label of metrics.
        let first = text.starts_with(|one: char| one.is_ascii_alphanumeric());
        if !first || !text.chars().all(good) || text.len() > 64 {
            return Err(format!(
                "{text:?} is not a version; write 1 to 64 letters, digits and . - + _, a letter or digit first"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

written_as_text!(Name, "Name", "1 to 63 of a-z, 0-9 and -, a letter first.", "shop");
written_as_text!(Version, "Version", "1 to 64 letters, digits and . - + _.", "1.4.0");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions_are_safe_in_paths_and_labels() {
        for good in ["shop", "order-api", "a1"] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for wrong in ["", "Shop", "1shop", "a b", "a/b", "..", "a-", &"a".repeat(64)] {
            assert!(wrong.parse::<Name>().is_err(), "{wrong}");
        }
        for wrong in ["", "../1", "1 2", ".1", "1/2", "1\"", &"1".repeat(65)] {
            assert!(wrong.parse::<Version>().is_err(), "{wrong}");
        }
        assert!("1.4.0-rc.1+build_7".parse::<Version>().is_ok());
    }
}
