use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use hyper::Method;
use signalbox_release::model::document::{self, Document, Verified, verify};
use signalbox_release::model::exit::Exit;

use super::door::{Door, talk};
use crate::output::{Output, line};

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The newest release of this version, or a release by its id; default: the last release.
    #[arg(value_name = "VERSION", default_value = "current")]
    release: String,
    #[command(flatten)]
    door: Door,
    /// Which document.
    #[arg(long, value_enum)]
    kind: Kind,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = Format::Markdown)]
    format: Format,
    /// Write it there instead of printing it.
    #[arg(long, value_name = "FILE", conflicts_with = "verify")]
    file: Option<PathBuf>,
    /// Make it anew, and compare it line by line with this file (Markdown or HTML).
    #[arg(long, value_name = "FILE")]
    verify: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// Whether the version was ready, check by check.
    Readiness,
    /// How it rolls out and how it comes back.
    Plan,
    /// Who said that it may go.
    Authorization,
    /// What happened.
    Summary,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    Markdown,
    Html,
}

impl ReportArgs {
    pub fn run(self) -> anyhow::Result<Exit> {
        let path = format!("/{}/report?format=json&kind={}", self.release.replace('+', "%2B"), self.kind.word());
        let answer = talk(self.door.ask(Method::GET, &path, None))?;
        let made: Document = match answer {
            Ok(value) => serde_json::from_value(value).context("the controller's answer cannot be read")?,
            Err(told) => return Ok(told.tell()),
        };
        if let Some(file) = &self.verify {
            let stored = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
            return self.compared(&verify(&stored, &made));
        }
        let text = match (self.door.output, self.format) {
            (Output::Json, _) => serde_json::to_string_pretty(&made)? + "\n",
            (Output::Text, Format::Markdown) => document::markdown(&made),
            (Output::Text, Format::Html) => document::html(&made),
        };
        match &self.file {
            Some(file) => std::fs::write(file, text).with_context(|| file.display().to_string())?,
            None => line(text.trim_end())?,
        }
        Ok(Exit::Done)
    }

    /// Every line that is not what the evidence says.
    fn compared(&self, verified: &Verified) -> anyhow::Result<Exit> {
        if self.door.output == Output::Json {
            line(&serde_json::to_string_pretty(verified)?)?;
        } else if verified.holds() {
            line(&format!("all {} lines are as the evidence says", verified.same))?;
        }
        if verified.holds() {
            return Ok(Exit::Done);
        }
        for difference in verified.differences.iter().filter(|_| self.door.output == Output::Text) {
            let text = |line: &Option<String>| line.clone().unwrap_or_else(|| "(no such line)".into());
            line(&format!("line {}:", difference.line))?;
            line(&format!("  is        {}", text(&difference.stored)))?;
            line(&format!("  should be {}", text(&difference.recomputed)))?;
        }
        eprintln!("error: {} lines are not what the evidence says", verified.differences.len());
        Ok(Exit::Error)
    }
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Readiness => document::Kind::Readiness,
            Self::Plan => document::Kind::Plan,
            Self::Authorization => document::Kind::Authorization,
            Self::Summary => document::Kind::Summary,
        }
        .word()
    }
}
