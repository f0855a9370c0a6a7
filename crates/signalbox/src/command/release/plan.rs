use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::json;
use signalbox_core::clock::{Clock as _, SystemClock};
use signalbox_release::model::exit::Exit;
use signalbox_release::model::manifest::Manifest;
use signalbox_release::model::migration::{Set, read};
use signalbox_release::model::plan::{Inputs, Live, Severity, Traffic, diff, lint, plan, text};
use signalbox_release::model::readiness::Evidence;
use signalbox_release::model::value::{Placeholders, Version};

use super::source::Source;
use crate::output::print;

#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The version that is to be released; default: that of the manifest.
    #[arg(value_name = "VERSION")]
    wanted: Option<Version>,
    #[command(flatten)]
    source: Source,
    /// What is live, as JSON; without it nothing is.
    #[arg(long, value_name = "FILE")]
    live: Option<PathBuf>,
    /// What collectors found, as JSON; without it nobody looked.
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    /// Requests a second that the service gets.
    #[arg(long, value_name = "N")]
    traffic: Option<f64>,
    /// What {data} in the manifest stands for.
    #[arg(long, value_name = "DIR", default_value = "signalbox-data")]
    data: PathBuf,
}

impl PlanArgs {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let manifest = self.source.read()?.map_err(|faults| anyhow!("{faults}"))?;
        let Some(version) = self.wanted.clone().or_else(|| manifest.service.version.clone()) else {
            bail!("which version? Name it behind `plan`, or as version in [service]");
        };
        if self.traffic.is_some_and(|requests| !(0.0..=1e9).contains(&requests)) {
            bail!("--traffic is a number of requests a second, from 0 on");
        }
        let live: Live = from_json(self.live.as_deref())?;
        let evidence: Evidence = from_json(self.evidence.as_deref())?;
        let set = self.migrations(&manifest, &version)?;
        let traffic =
            self.traffic.map(|requests_per_second| Traffic { requests_per_second, errors: None, seen_for: None });
        let made = plan(Inputs {
            manifest: &manifest,
            version: &version,
            live: &live,
            migrations: set.as_ref(),
            evidence: &evidence,
            traffic,
            took: &BTreeMap::new(),
        });
        let made = match made {
            Ok(made) => made,
            Err(refusal) => {
                eprintln!("error: {refusal}");
                return Ok(Exit::Refused);
            }
        };
        let changes = diff(made.as_ref(), &live);
        let lints = made.as_ref().map_or_else(Vec::new, |made| lint(made, &manifest, SystemClock.now()));
        let refused = lints.iter().any(|lint| lint.severity == Severity::Refuses);
        let exit = if refused { Exit::Refused } else { changes.exit() };
        let value = json!({"exit": exit, "plan": made, "diff": changes, "lints": lints});
        print(self.source.output, &value, |_| match &made {
            None => format!("nothing to do: {version} serves everything, as the manifest describes it"),
            Some(made) => text(made, &changes, &lints),
        })?;
        Ok(exit)
    }

    /// The folder that the manifest names.
    fn migrations(&self, manifest: &Manifest, version: &Version) -> anyhow::Result<Option<Set>> {
        let Some(rules) = &manifest.migrations else { return Ok(None) };
        let data = self.data.display().to_string();
        let folder =
            rules.dir.fill(&Placeholders { port: manifest.service.ports.first, version: version.clone(), data });
        let folder = self.source.beside(&folder);
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "sql") {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let content = std::fs::read(&path).with_context(|| path.display().to_string())?;
                files.push((name, content));
            }
        }
        let files = files.iter().map(|(name, content)| (name.as_str(), content.as_slice()));
        let set = read(files, rules.order).map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            anyhow!("{}: {}", folder.display(), lines.join("\n"))
        })?;
        Ok(Some(set))
    }
}

fn from_json<T: DeserializeOwned + Default>(path: Option<&Path>) -> anyhow::Result<T> {
    let Some(path) = path else { return Ok(T::default()) };
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}
