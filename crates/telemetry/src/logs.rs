//! Log lines: JSON for machines, text for people, on standard error.

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

/// What is logged, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    pub level: Level,
    pub format: Format,
}

/// What is logged: this and whatever is worse. Written in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl TryFrom<String> for Level {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "error" => Ok(Level::Error),
            "warn" | "warning" => Ok(Level::Warn),
            "info" => Ok(Level::Info),
            "debug" => Ok(Level::Debug),
            "trace" => Ok(Level::Trace),
            _ => Err(format!("{text:?} is not a level; it is error, warn, info, debug or trace")),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Json,
    Text,
}

impl Level {
    /// Its usual word.
    pub fn word(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }
}

/// Starts logging, once per process.
pub fn start(settings: &Logs) {
    let lines =
        tracing_subscriber::fmt().with_env_filter(EnvFilter::new(settings.level.word())).with_writer(std::io::stderr);
    match settings.format {
        Format::Json => lines.json().flatten_event(true).with_target(true).init(),
        Format::Text => lines.with_ansi(false).init(),
    }
}
