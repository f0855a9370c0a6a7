use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use hyper::Method;
use serde_json::{Value, json};
use signalbox_release::model::exit::Exit;
use signalbox_release::model::value::Version;

use super::door::{Door, talk};
use crate::output::{Output, line, table};

#[derive(Debug, Args)]
pub struct ChecklistArgs {
    /// Of which version; default: that of the manifest.
    #[arg(value_name = "VERSION")]
    wanted: Option<Version>,
    #[command(flatten)]
    door: Door,
    /// The manifest.
    #[arg(long, value_name = "FILE", default_value = "release.toml")]
    manifest: PathBuf,
    /// Tick this item, by its words or a part of them.
    #[arg(long, value_name = "ITEM")]
    done: Option<String>,
    /// What is worth knowing about it.
    #[arg(long, value_name = "TEXT", requires = "done")]
    note: Option<String>,
}

impl ChecklistArgs {
    pub fn run(self) -> anyhow::Result<Exit> {
        let path = self.manifest.display().to_string();
        let manifest = std::fs::read_to_string(&self.manifest).with_context(|| path.clone())?;
        let body = json!({
            "manifest": manifest, "file": path, "version": self.wanted, "done": self.done, "note": self.note,
            "by": self.door.by,
        });
        let list = match talk(self.door.ask(Method::POST, "/checklist", Some(&body)))? {
            Ok(list) => list,
            Err(told) => return Ok(told.tell()),
        };
        match self.door.output {
            Output::Json => line(&serde_json::to_string_pretty(&list)?)?,
            Output::Text => line(&text(&list))?,
        }
        Ok(Exit::Done)
    }
}

fn text(list: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        return "the manifest has no checklist".into();
    }
    let rows = items.iter().map(|item| {
        let state = &item["state"];
        let at = word(&state["at"]).get(..16).unwrap_or_default().replace('T', " ");
        let (mark, who) = match word(&state["is"]).as_str() {
            "done" => ("done", format!("{} at {at} {}", word(&state["who"]), word(&state["note"]))),
            "due" => ("due", String::new()),
            _ => ("later", String::new()),
        };
        vec![word(&item["offset"]), mark.to_owned(), word(&item["what"]), who.trim_end().to_owned()]
    });
    table(&["when", "state", "what", "by"], &rows.collect::<Vec<_>>())
}
