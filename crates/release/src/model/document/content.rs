use serde::{Deserialize, Serialize};

use crate::model::readiness::SourceOfFact;

/// Which document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Whether the version was ready, check by check.
    Readiness,
    /// How it rolls out and how it comes back.
    Plan,
    /// Who said that it may go.
    Authorization,
    /// What happened.
    Summary,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Readiness, Self::Plan, Self::Authorization, Self::Summary];

    /// As `--kind` takes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Readiness => "readiness",
            Self::Plan => "plan",
            Self::Authorization => "authorization",
            Self::Summary => "summary",
        }
    }

    /// What stands above it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Readiness => "Readiness report",
            Self::Plan => "Rollout and rollback plan",
            Self::Authorization => "Deployment authorization",
            Self::Summary => "Deployment summary",
        }
    }
}

/// What a document says, before it is Markdown or HTML.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    pub kind: Kind,
    pub title: String,
    pub blocks: Vec<Block>,
    /// The command that makes all of it again.
    pub again: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "block", rename_all = "snake_case")]
pub enum Block {
    Heading {
        text: String,
    },
    Paragraph {
        text: String,
    },
    /// Lines of a table with these three headings and the evidence.
    Table {
        heads: [String; 2],
        lines: Vec<Line>,
    },
}

/// A line of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub mark: Mark,
    pub what: String,
    pub said: String,
    /// What shows the figure again, and where it stands.
    pub evidence: Option<SourceOfFact>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    Pass,
    Fail,
    /// Nobody looked.
    Unknown,
    /// Nothing to judge.
    Note,
}

impl Mark {
    /// A sign with a word, because colour and shape alone do not reach everybody.
    pub fn words(self) -> &'static str {
        match self {
            Self::Pass => "✓ yes",
            Self::Fail => "✗ no",
            Self::Unknown => "? unknown",
            Self::Note => "·",
        }
    }
}

impl Line {
    pub(super) fn note(what: impl Into<String>, said: impl Into<String>) -> Self {
        Self { mark: Mark::Note, what: what.into(), said: said.into(), evidence: None }
    }

    pub(super) fn judged(passes: bool, what: impl Into<String>, said: impl Into<String>) -> Self {
        let mark = if passes { Mark::Pass } else { Mark::Fail };
        Self { mark, ..Self::note(what, said) }
    }

    /// `journal 44 · signalbox release journal`, or that there is none.
    pub fn evidence_words(&self) -> String {
        match &self.evidence {
            Some(source) => format!("{} · {} · {}", source.reference, source.command, &source.at.to_string()[..16]),
            None => String::new(),
        }
    }
}
