use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::model::text::written_as_text;

/// A place in a JSON document: `$`, `$.version`, `$.build[0].id`. Nothing else of JSONPath, so that it finds one value or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Key(String),
    Index(usize),
}

impl JsonPath {
    /// What stands there.
    pub fn find<'v>(&self, document: &'v Value) -> Option<&'v Value> {
        self.parts.iter().try_fold(document, |value, part| match part {
            Part::Key(key) => value.get(key),
            Part::Index(index) => value.get(index),
        })
    }

    /// What stands there as text: a string without its quotes, anything else as JSON.
    pub fn find_text(&self, document: &Value) -> Option<String> {
        let found = self.find(document)?;
        Some(found.as_str().map_or_else(|| found.to_string(), str::to_owned))
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl FromStr for JsonPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a path into JSON; write it as $.version or $.build[0].id");
        let mut rest = text.strip_prefix('$').ok_or_else(wrong)?;
        let mut parts = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                let key = &after[..end];
                if key.is_empty() || !key.chars().all(|one| one.is_alphanumeric() || "_-".contains(one)) {
                    return Err(wrong());
                }
                parts.push(Part::Key(key.to_owned()));
                rest = &after[end..];
            } else {
                let (index, after) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).ok_or_else(wrong)?;
                parts.push(Part::Index(index.parse().map_err(|_| wrong())?));
                rest = after;
            }
        }
        Ok(Self { text: text.to_owned(), parts })
    }
}

written_as_text!(JsonPath, "JsonPath", "A place in a JSON document.", "$.version");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_finds_one_value_or_none() {
        let document = serde_json::json!({"version": "1.4.0", "build": [{"id": 7}]});
        let find = |path: &str| path.parse::<JsonPath>().unwrap().find_text(&document);
        assert_eq!(find("$.version").as_deref(), Some("1.4.0"));
        assert_eq!(find("$.build[0].id").as_deref(), Some("7"));
        assert_eq!(find("$.build[1].id"), None);
        for wrong in ["", "version", "$.", "$..a", "$[x]", "$.a[", "$a"] {
            assert!(wrong.parse::<JsonPath>().is_err(), "{wrong}");
        }
    }
}
