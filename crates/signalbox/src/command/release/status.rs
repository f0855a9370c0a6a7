use clap::Args;
use hyper::Method;
use serde_json::Value;
use signalbox_release::model::exit::Exit;

use super::deploy::exit_of;
use super::door::{Door, talk};
use super::watch::Watching;
use crate::output::{Output, line};

#[derive(Debug, Args)]
pub struct Status {
    /// Of which release; default: the present one.
    #[arg(value_name = "ID")]
    release: Option<String>,
    #[command(flatten)]
    door: Door,
    #[command(flatten)]
    watching: Watching,
}

impl Status {
    pub fn run(self) -> anyhow::Result<Exit> {
        talk(async {
            let overview = match self.door.ask(Method::GET, "/overview", None).await? {
                Ok(overview) => overview,
                Err(told) => return Ok(told.tell()),
            };
            let id = self.release.clone().or_else(|| overview["release"]["id"].as_str().map(str::to_owned));
            if let Some(id) = id {
                if self.watching.is_on() {
                    return self.watching.follow(&self.door, &id).await;
                }
                let status = match self.door.ask(Method::GET, &format!("/{id}"), None).await? {
                    Ok(status) => status,
                    Err(told) => return Ok(told.tell()),
                };
                match self.door.output {
                    Output::Json => line(&serde_json::to_string_pretty(&status)?)?,
                    Output::Text => line(&text(&status))?,
                }
                return Ok(if status["exit"].is_null() { Exit::Done } else { exit_of(&status["exit"]) });
            }
            match self.door.output {
                Output::Json => line(&serde_json::to_string_pretty(&overview)?)?,
                Output::Text => line(&quiet(&overview))?,
            }
            Ok(Exit::Done)
        })
    }
}

/// The service while nothing is released.
fn quiet(overview: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or("nothing").to_owned();
    let mut lines = vec![format!("{} {}   no release runs", word(&overview["service"]), word(&overview["stable"]))];
    for version in overview["versions"].as_array().into_iter().flatten() {
        lines.push(format!(
            "  {}   {} %   {} of {} instances healthy",
            word(&version["version"]),
            version["weight"],
            version["ready"],
            version["instances"]
        ));
    }
    if let Some(rate) = overview["requests_per_second"].as_f64() {
        lines.push(format!("  {rate:.1} requests/s"));
    }
    if !overview["locked"].is_null() {
        lines.push(format!("  locked by {}: {}", word(&overview["locked"]["by"]), word(&overview["locked"]["reason"])));
    }
    lines.join("\n")
}

/// A release, as people read it.
fn text(status: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines = vec![summary(status)];
    if let (Some(step), Some(all)) = (status["canary_step"][0].as_u64(), status["canary_step"][1].as_u64()) {
        lines.push(format!("  canary step {step} of {all}"));
    }
    if !word(&status["waiting"]).is_empty() {
        lines.push(format!("  {}", word(&status["waiting"])));
    }
    for version in status["versions"].as_array().into_iter().flatten() {
        let observed = version["observed"].as_f64().map_or_else(|| "nothing yet".into(), |share| format!("{share} %"));
        lines.push(format!(
            "  {:<12} set {} %   observed {observed}   {} of {} instances healthy   {} in flight",
            word(&version["version"]),
            version["weight"],
            version["ready"],
            version["running"],
            version["in_flight"]
        ));
    }
    for metric in status["metrics"].as_array().into_iter().flatten() {
        let shadow = if metric["shadow"] == true { " (shown only)" } else { "" };
        lines.push(format!("  {:<12} {}{shadow}", word(&metric["outcome"]).replace('_', " "), word(&metric["said"])));
    }
    lines.join("\n")
}

/// One line: what, from where to where, and how it stands.
pub fn summary(status: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let from = status["from"].as_str().map_or_else(|| "first release".to_owned(), str::to_owned);
    let mut told = match word(&status["state"]).as_str() {
        "running" => format!("step {}: {}", word(&status["step"]), word(&status["doing"])),
        "holding" => format!("holding at {} %", status["weight"]),
        "promoted" => "promoted".to_owned(),
        "rolled_back" => format!("rolled back: {}", word(&status["said"])),
        "rolling_back" => format!("rolling back: {}", word(&status["said"])),
        "needs_hands" => format!("NEEDS HANDS: {}", word(&status["said"])),
        other => format!("{}: {}", other.replace('_', " "), word(&status["said"])),
    };
    if let Some(ms) = status["routed_back_in_ms"].as_i64() {
        told.push_str(&format!(" (traffic was back after {ms} ms)"));
    }
    format!("{} {} → {}   {}   {told}", word(&status["service"]), from, word(&status["to"]), word(&status["id"]))
}
