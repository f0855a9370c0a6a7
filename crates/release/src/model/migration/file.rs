use std::fmt;

use serde::{Deserialize, Serialize};

use super::Problem;
use crate::model::value::Digest;

/// What a migration does to the versions that run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Adds what the old version does not mind.
    Expand,
    /// Fills what was added, in batches, while both versions run.
    Backfill,
    /// Takes away what the old version needs: only when it is gone. No code rolls back behind it.
    Contract,
}

impl Kind {
    /// As file names write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Expand => "expand",
            Self::Backfill => "backfill",
            Self::Contract => "contract",
        }
    }
}

/// One file: `0007.expand.sql`, or `0007-orders.expand.sql`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    pub number: u32,
    pub name: Option<String>,
    pub kind: Kind,
    pub checksum: Digest,
    /// From its head: `-- depends-on: 0003, 0005`
    pub depends_on: Vec<u32>,
}

impl fmt::Display for Migration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().map_or(String::new(), |name| format!("-{name}"));
        write!(out, "{:04}{name}.{}", self.number, self.kind.word())
    }
}

impl Migration {
    /// Reads a file's name and head.
    pub(super) fn read(file: &str, content: &[u8]) -> Result<Self, Problem> {
        let bad_name = || Problem::BadName { file: file.to_owned() };
        let (stem, kind) = file.strip_suffix(".sql").and_then(|rest| rest.rsplit_once('.')).ok_or_else(bad_name)?;
        let kinds = [Kind::Expand, Kind::Backfill, Kind::Contract];
        let kind = kinds.into_iter().find(|one| one.word() == kind).ok_or_else(bad_name)?;
        let (digits, name) = stem.split_once('-').map_or((stem, None), |(digits, name)| (digits, Some(name)));
        if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad_name());
        }
        let plain = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if !name.is_none_or(plain) {
            return Err(bad_name());
        }
        let number = digits.parse().map_err(|_| bad_name())?;
        let text = std::str::from_utf8(content).map_err(|_| Problem::NotText { file: file.to_owned() })?;
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with("--")) {
            return Err(Problem::Empty { file: file.to_owned() });
        }
        let depends_on = depends_on(file, text)?;
        Ok(Self { number, name: name.map(str::to_owned), kind, checksum: Digest::of(content), depends_on })
    }
}

/// From the comments at the head of the file.
fn depends_on(file: &str, text: &str) -> Result<Vec<u32>, Problem> {
    let head = text.lines().map(str::trim).take_while(|line| line.is_empty() || line.starts_with("--"));
    let mut numbers = Vec::new();
    for line in head {
        let comment = line.trim_start_matches('-').trim();
        let Some(list) = comment.strip_prefix("depends-on:") else { continue };
        for word in list.split([',', ' ']).filter(|word| !word.is_empty()) {
            let number =
                word.parse().map_err(|_| Problem::BadDependency { file: file.to_owned(), word: word.to_owned() })?;
            numbers.push(number);
        }
    }
    Ok(numbers)
}
