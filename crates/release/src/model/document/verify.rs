use serde::Serialize;

use super::content::Document;
use super::{html, markdown};

/// What comparing a stored document with a new one says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Lines that are as they should be.
    pub same: usize,
    pub differences: Vec<Difference>,
}

/// A line that is not what the evidence says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// From 1, in the stored document.
    pub line: usize,
    pub stored: Option<String>,
    pub recomputed: Option<String>,
}

impl Verified {
    /// Whether every line holds.
    pub fn holds(&self) -> bool {
        self.differences.is_empty() && self.same > 0
    }
}

/// Compares a stored Markdown or HTML document with the one that the evidence makes now.
pub fn verify(stored: &str, document: &Document) -> Verified {
    let is_html = stored.trim_start().to_ascii_lowercase().starts_with("<!doctype html");
    let recomputed = if is_html { html(document) } else { markdown(document) };
    let mut verified = Verified { same: 0, differences: Vec::new() };
    let (mut stored, mut recomputed) = (stored.lines(), recomputed.lines());
    for number in 1.. {
        match (stored.next(), recomputed.next()) {
            (None, None) => break,
            (Some(one), Some(other)) if one.trim_end() == other.trim_end() => verified.same += 1,
            (one, other) => verified.differences.push(Difference {
                line: number,
                stored: one.map(str::to_owned),
                recomputed: other.map(str::to_owned),
            }),
        }
    }
    verified
}
