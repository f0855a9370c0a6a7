//! Watching a release until there is nothing more to watch.

use std::time::Duration;

use clap::Args;
use serde_json::Value;
use signalbox_core::setting::Period;
use signalbox_release::model::exit::Exit;
use signalbox_release::model::plan::Phase;

use super::deploy::exit_of;
use super::door::Door;
use super::status::summary;
use crate::output::{Output, line};

/// Between two tries to reach a controller that is being replaced.
const PAUSE: Duration = Duration::from_millis(500);
/// So many tries.
const TRIES: u32 = 60;

#[derive(Debug, Clone, Args)]
pub struct Watching {
    /// Stay until it has ended, or waits for a person.
    #[arg(long)]
    watch: bool,
    /// Stay no longer; the release goes on.
    #[arg(long, value_name = "TIME", requires = "watch")]
    timeout: Option<Period>,
}

impl Watching {
    /// After something began: says under which id, and watches where that is wanted.
    pub async fn begun(&self, door: &Door, begun: &Value) -> anyhow::Result<Exit> {
        let Some(id) = begun["id"].as_str() else {
            match door.output {
                Output::Json => line(&begun.to_string())?,
                Output::Text => line("nothing to do")?,
            }
            return Ok(Exit::Done);
        };
        if !self.watch {
            match door.output {
                Output::Json => line(&begun.to_string())?,
                Output::Text => line(&format!("release {id} runs; see it with: signalbox status --watch"))?,
            }
            return Ok(Exit::Done);
        }
        self.follow(door, id).await
    }

    /// Whether it was asked to stay.
    pub fn is_on(&self) -> bool {
        self.watch
    }

    /// Prints what happens until the release has ended or waits for a person.
    pub async fn follow(&self, door: &Door, id: &str) -> anyhow::Result<Exit> {
        let limit = self.timeout.map_or(Duration::from_secs(10 * 365 * 86_400), |timeout| timeout.0);
        match tokio::time::timeout(limit, follow(door, id)).await {
            Ok(done) => done,
            Err(_) => {
                eprintln!("error: {id} did not end within {}; it goes on", Period(limit));
                Ok(Exit::TimedOut)
            }
        }
    }
}

async fn follow(door: &Door, id: &str) -> anyhow::Result<Exit> {
    let mut seen = 0;
    let mut shown = Shown::default();
    let mut tries = 0;
    loop {
        let mut lines = match door.lines(&format!("/{id}/watch?after={seen}")).await {
            Ok(Ok(lines)) => lines,
            Ok(Err(told)) => return Ok(told.tell()),
            // A controller that was restarted goes on, and so does whoever watches it.
            Err(error) if tries >= TRIES => return Err(error),
            Err(_) => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        while let Some(told) = lines.next().await {
            tries = 0;
            seen = told["seq"].as_u64().filter(|_| told["kind"] == "record").unwrap_or(seen);
            show(door.output, &told, &mut shown)?;
            if told["kind"] == "status" && !told["exit"].is_null() {
                let exit = exit_of(&told["exit"]);
                if door.output == Output::Text {
                    line(&summary(&told))?;
                }
                return Ok(exit);
            }
        }
        tries += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

/// What was last said of the same kind, so that it is not said twice.
#[derive(Default)]
struct Shown {
    phase: String,
    waiting: String,
}

/// A record: a step with what it does, below it what came of it.
fn record(told: &Value, shown: &mut Shown) -> anyhow::Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    // 2026-11-21T17:57:08.123456Z: the time alone.
    let at = text(&told["at"]).get(11..19).unwrap_or_default().to_owned();
    let (event, said) = (&told["record"]["event"], text(&told["said"]));
    if *event == "intent" {
        shown.waiting.clear();
        let phase = text(&told["record"]["step"]).split('.').next().unwrap_or_default().to_owned();
        let title = phase.parse::<usize>().ok().and_then(|number| Phase::ALL.get(number.checked_sub(1)?).copied());
        if let Some(title) = title.filter(|_| phase != shown.phase && told["record"]["direction"] == "do") {
            line(&format!("phase {phase} of {}: {}", Phase::ALL.len(), title.title()))?;
        }
        shown.phase = phase;
        return line(&format!("{at}  {said}"));
    }
    // That it is so is told by the next step.
    if *event == "confirm" || *event == "effect" && told["record"]["said"] == "it is in place" {
        return Ok(());
    }
    if *event == "effect" {
        return line(&format!("          {}", text(&told["record"]["said"])));
    }
    line(&format!("{at}  {said}"))
}

fn show(output: Output, told: &Value, shown: &mut Shown) -> anyhow::Result<()> {
    if output == Output::Json {
        return line(&told.to_string());
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if told["kind"] == "record" {
        return record(told, shown);
    }
    let waiting = text(&told["waiting"]);
    let word = waiting.split(':').next().unwrap_or_default().to_owned();
    if !waiting.is_empty() && word != shown.waiting {
        shown.waiting = word;
        line(&format!("          {waiting}"))?;
    }
    Ok(())
}
