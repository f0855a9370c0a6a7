//! Log lines: JSON for machines, text for people, on standard error.

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::settings::{LogFormat, Logs};

/// Starts logging as `settings` say.
pub fn start(settings: &Logs) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(settings.level.word()).context("logs.level")?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Json => lines.json().flatten_event(true).with_target(true).init(),
        LogFormat::Text => lines.with_ansi(false).init(),
    }
    Ok(())
}
