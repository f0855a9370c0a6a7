//! The manifest that a verb is about.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use signalbox_core::setting_file::Faults;
use signalbox_release::model::manifest::Manifest;

use crate::output::Output;

#[derive(Debug, Args)]
pub struct Source {
    /// The manifest.
    #[arg(long, value_name = "FILE", default_value = "release.toml")]
    pub manifest: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

impl Source {
    /// Reads it, or says what is wrong with it.
    pub fn read(&self) -> anyhow::Result<Result<Manifest, Faults>> {
        let path = self.manifest.display().to_string();
        let text = std::fs::read_to_string(&self.manifest).with_context(|| path.clone())?;
        Ok(Manifest::parse(&path, &text))
    }

    /// A path of the manifest: relative to where the manifest is.
    pub fn beside(&self, path: &str) -> PathBuf {
        self.manifest.parent().unwrap_or(Path::new("")).join(path)
    }
}
