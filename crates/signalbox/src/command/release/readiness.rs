use std::path::PathBuf;

use clap::Args;
use hyper::Method;
use serde_json::Value;
use signalbox_release::model::exit::Exit;
use signalbox_release::model::value::Version;

use super::deploy::asked;
use super::door::{Door, talk};
use crate::output::{Output, line};

#[derive(Debug, Args)]
pub struct ReadinessArgs {
    /// The version that is asked for; default: that of the manifest.
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
}

impl ReadinessArgs {
    /// Looks at every check now and prints the matrix.
    pub fn run(self) -> anyhow::Result<Exit> {
        let mut body = asked(&self.manifest, self.evidence.as_deref())?;
        body["version"] = serde_json::to_value(&self.wanted)?;
        let made = match talk(self.door.ask(Method::POST, "/plan", Some(&body)))? {
            Ok(made) => made,
            Err(told) => return Ok(told.tell()),
        };
        let report = &made["readiness"];
        if report.is_null() {
            line(made["text"].as_str().unwrap_or_default().trim_end())?;
            return Ok(Exit::Done);
        }
        match self.door.output {
            Output::Json => line(&serde_json::to_string_pretty(report)?)?,
            Output::Text => line(matrix(report).trim_end())?,
        }
        Ok(if report["ready"] == true { Exit::Done } else { Exit::NoGo })
    }
}

/// Every check with what was seen and where that stands.
fn matrix(report: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let decision = if report["ready"] == true { "go" } else { "NO-GO" };
    let mut out = format!(
        "{} {}: readiness {} of 100 (needs {}), confidence {}: {decision}\n",
        text(&report["service"]),
        text(&report["version"]),
        report["score"],
        report["threshold"],
        report["confidence"]
    );
    for row in report["rows"].as_array().into_iter().flatten() {
        let score = row["score"].as_f64().map_or("nothing applies".into(), |score| format!("{score}"));
        out.push_str(&format!("\n{} (weight {}): {score}\n", text(&row["component"]), row["weight"]));
        for check in row["checks"].as_array().into_iter().flatten() {
            let (mark, word) = match check["judgement"].as_str() {
                Some("pass") => ("✓", ""),
                Some("fail") => ("✗", ""),
                Some("not_applicable") => ("–", "does not apply: "),
                _ => ("?", ""),
            };
            let must = if check["must"] == true { ", must pass" } else { "" };
            out.push_str(&format!("  {mark} {}{must}: {word}{}\n", text(&check["id"]), text(&check["said"])));
            let source = &check["source"];
            if !source.is_null() {
                let (command, reference, at) = (&source["command"], &source["reference"], &source["at"]);
                out.push_str(&format!("      {} [{}, {}]\n", text(command), text(reference), text(at)));
            }
            if mark != "✓" && !check["run"].is_null() {
                out.push_str(&format!("      run: {}\n", text(&check["run"])));
            }
        }
    }
    out
}
