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

/// What is logged: this and whatever is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    #[serde(alias = "ERROR")]
    Error,
    #[serde(alias = "WARN", alias = "warning", alias = "WARNING")]
    Warn,
    #[serde(alias = "INFO")]
    Info,
    #[serde(alias = "DEBUG")]
    Debug,
    #[serde(alias = "TRACE")]
    Trace,
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
