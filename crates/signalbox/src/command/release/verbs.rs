//! What people ask of a release that runs, or ran.

use clap::Args;
use hyper::Method;
use serde_json::{Value, json};
use signalbox_release::model::exit::Exit;
use signalbox_release::model::value::{Name, Version};

use super::door::{Door, Told, talk};
use super::status::summary;
use super::watch::Watching;
use crate::output::{Output, line, table};

#[derive(Debug, Args)]
pub struct Simple {
    /// Which release; default: the one that runs.
    #[arg(long = "release", value_name = "ID", default_value = "current")]
    release: String,
    #[command(flatten)]
    door: Door,
    /// Why, for the journal.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, Args)]
pub struct Promote {
    #[command(flatten)]
    simple: Simple,
    /// Somebody else who answers for it.
    #[arg(long, value_name = "NAME")]
    approver: Option<String>,
    /// Wait for no verdict from now on, not only for this one. Triggers stay on.
    #[arg(long)]
    full: bool,
}

#[derive(Debug, Args)]
pub struct Approve {
    #[command(flatten)]
    simple: Simple,
    /// For which role.
    #[arg(long, value_name = "ROLE")]
    role: Name,
}

#[derive(Debug, Args)]
pub struct Rollback {
    /// To which version; default: what served before.
    #[arg(value_name = "VERSION")]
    to: Option<Version>,
    #[command(flatten)]
    door: Door,
    /// Why, for the journal.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    watching: Watching,
}

#[derive(Debug, Args)]
pub struct Retry {
    /// Which release; default: the last one.
    #[arg(value_name = "ID", default_value = "current")]
    release: String,
    #[command(flatten)]
    door: Door,
    #[command(flatten)]
    watching: Watching,
}

#[derive(Debug, Args)]
pub struct Asking {
    #[command(flatten)]
    door: Door,
}

#[derive(Debug, Args)]
pub struct Lock {
    #[command(flatten)]
    door: Door,
    /// Why, for those who are refused.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Open it again.
    #[arg(long)]
    off: bool,
}

#[derive(Debug, Args)]
pub struct Logs {
    /// Of which version; default: of all.
    #[arg(value_name = "VERSION")]
    of: Option<Version>,
    #[command(flatten)]
    door: Door,
    /// The last so many bytes of each instance.
    #[arg(long, value_name = "N", default_value_t = 16_384)]
    bytes: usize,
}

#[derive(Debug, Args)]
pub struct JournalArgs {
    /// Which release; default: the last one.
    #[arg(value_name = "ID", default_value = "current")]
    release: String,
    #[command(flatten)]
    door: Door,
}

impl Simple {
    /// `pause`, `resume`, `rollback` and the like, with what else belongs to it.
    pub fn ask(self, verb: &str, more: Value) -> anyhow::Result<Exit> {
        let mut body = json!({"by": self.door.by, "reason": self.reason});
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        talk(async {
            let path = format!("/{}/{verb}", self.release);
            let answer = self.door.ask(Method::POST, &path, Some(&body)).await?;
            printed(&self.door, answer, summary)
        })
    }
}

impl Promote {
    pub fn run(self) -> anyhow::Result<Exit> {
        let more = json!({"approver": self.approver, "all": self.full});
        self.simple.ask("promote", more)
    }
}

impl Approve {
    pub fn run(self) -> anyhow::Result<Exit> {
        let more = json!({"role": self.role});
        self.simple.ask("sign", more)
    }
}

impl Rollback {
    pub fn run(self) -> anyhow::Result<Exit> {
        let body = json!({"to": self.to, "reason": self.reason, "by": self.door.by});
        talk(async {
            match self.door.ask(Method::POST, "/rollback", Some(&body)).await? {
                Ok(begun) => self.watching.begun(&self.door, &begun).await,
                Err(told) => Ok(told.tell()),
            }
        })
    }
}

impl Retry {
    pub fn run(self) -> anyhow::Result<Exit> {
        let body = json!({"by": self.door.by});
        talk(async {
            match self.door.ask(Method::POST, &format!("/{}/retry", self.release), Some(&body)).await? {
                Ok(begun) => self.watching.begun(&self.door, &begun).await,
                Err(told) => Ok(told.tell()),
            }
        })
    }
}

impl Asking {
    /// The releases so far, the newest first.
    pub fn history(self) -> anyhow::Result<Exit> {
        talk(async {
            let answer = self.door.ask(Method::GET, "", None).await?;
            printed(&self.door, answer, |value| {
                let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let rows = value["releases"].as_array().into_iter().flatten().map(|one| {
                    let from = one["from"].as_str().map_or_else(|| "nothing".to_owned(), str::to_owned);
                    let said = word(&one["said"]);
                    let at = word(&one["begun"]).get(..19).unwrap_or_default().replace('T', " ");
                    let change = format!("{from} → {}", word(&one["to"]));
                    vec![word(&one["id"]), at, change, word(&one["state"]).replace('_', " "), word(&one["by"]), said]
                });
                table(&["release", "begun (UTC)", "change", "state", "by", "why"], &rows.collect::<Vec<_>>())
            })
        })
    }
}

impl Lock {
    pub fn run(self) -> anyhow::Result<Exit> {
        talk(async {
            let body = json!({"by": self.door.by, "reason": self.reason});
            let method = if self.off { Method::DELETE } else { Method::PUT };
            let answer = self.door.ask(method, "/lock", (!self.off).then_some(&body)).await?;
            let said = if self.off { "open: releases may begin" } else { "locked: no release may begin" };
            printed(&self.door, answer, |_| said.to_owned())
        })
    }
}

impl Logs {
    pub fn run(self) -> anyhow::Result<Exit> {
        talk(async {
            let version = self.of.as_ref().map_or_else(String::new, |version| format!("&version={}", escaped(version)));
            let answer = self.door.ask(Method::GET, &format!("/logs?bytes={}{version}", self.bytes), None).await?;
            printed(&self.door, answer, |value| {
                let word = |value: &Value| value.as_str().unwrap_or_default().trim_end().to_owned();
                let told = value["instances"].as_array().into_iter().flatten();
                let told = told.map(|one| {
                    format!("── {} ({})\n{}", word(&one["instance"]), word(&one["state"]), word(&one["text"]))
                });
                told.collect::<Vec<_>>().join("\n")
            })
        })
    }
}

impl JournalArgs {
    /// What was written, a line of JSON each.
    pub fn run(self) -> anyhow::Result<Exit> {
        talk(async {
            match self.door.lines(&format!("/{}/journal", self.release)).await? {
                Ok(mut lines) => {
                    while let Some(record) = lines.next().await {
                        line(&record.to_string())?;
                    }
                    Ok(Exit::Done)
                }
                Err(told) => Ok(told.tell()),
            }
        })
    }
}

/// A plus is a space in a query.
fn escaped(version: &Version) -> String {
    version.as_str().replace('+', "%2B")
}

fn printed(door: &Door, answer: Result<Value, Told>, text: impl FnOnce(&Value) -> String) -> anyhow::Result<Exit> {
    match answer {
        Ok(value) => {
            match door.output {
                Output::Json => line(&serde_json::to_string_pretty(&value)?)?,
                Output::Text => line(&text(&value))?,
            }
            Ok(Exit::Done)
        }
        Err(told) => Ok(told.tell()),
    }
}
