use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use hyper::Method;
use serde_json::{Value, json};
use signalbox_release::model::exit::Exit;
use signalbox_release::model::value::Version;

use super::door::{Door, talk};
use super::watch::Watching;
use crate::output::{Output, line};

#[derive(Debug, Args)]
pub struct Deploy {
    /// The version that is to be released; default: that of the manifest.
    #[arg(value_name = "VERSION")]
    wanted: Option<Version>,
    #[command(flatten)]
    door: Door,
    /// The manifest.
    #[arg(long, value_name = "FILE", default_value = "release.toml")]
    manifest: PathBuf,
    /// What collectors found, as JSON.
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    /// Requests a second, instead of what the edge sees.
    #[arg(long, value_name = "N")]
    traffic: Option<f64>,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Only this plan, by the first digits of its hash (at least 8).
    #[arg(long, value_name = "HASH")]
    plan: Option<String>,
    #[command(flatten)]
    watching: Watching,
}

impl Deploy {
    pub fn run(self) -> anyhow::Result<Exit> {
        let body = self.body()?;
        talk(async {
            if self.dry_run {
                let made = match self.door.ask(Method::POST, "/plan", Some(&body)).await? {
                    Ok(made) => made,
                    Err(told) => return Ok(told.tell()),
                };
                match self.door.output {
                    Output::Json => line(&serde_json::to_string_pretty(&made)?)?,
                    Output::Text => line(made["text"].as_str().unwrap_or_default().trim_end())?,
                }
                return Ok(exit_of(&made["exit"]));
            }
            match self.door.ask(Method::POST, "", Some(&body)).await? {
                Ok(begun) => self.watching.begun(&self.door, &begun).await,
                Err(told) => Ok(told.tell()),
            }
        })
    }

    fn body(&self) -> anyhow::Result<Value> {
        if self.traffic.is_some_and(|requests| !(0.0..=1e9).contains(&requests)) {
            bail!("--traffic is a number of requests a second, from 0 on");
        }
        let mut body = asked(&self.manifest, self.evidence.as_deref())?;
        body["version"] = json!(self.wanted);
        body["plan"] = json!(self.plan);
        body["traffic"] = json!(self.traffic);
        body["by"] = json!(self.door.by);
        Ok(body)
    }
}

/// What a release is asked for with: the manifest and the evidence.
pub(super) fn asked(manifest: &Path, evidence: Option<&Path>) -> anyhow::Result<Value> {
    let path = manifest.display().to_string();
    let text = std::fs::read_to_string(manifest).with_context(|| path.clone())?;
    let folder = manifest.canonicalize().with_context(|| path.clone())?;
    let mut body = json!({"manifest": text, "file": path, "base": folder.parent()});
    if let Some(file) = evidence {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        body["evidence"] = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
    }
    Ok(body)
}

/// By its word.
pub fn exit_of(word: &Value) -> Exit {
    Exit::ALL.into_iter().find(|exit| *word == exit.word()).unwrap_or(Exit::Error)
}
