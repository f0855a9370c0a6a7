//! What the releases of the demo tell while they run, line by line.

use std::fmt::Write as _;
use std::time::Instant;

use serde_json::Value;
use signalbox_release::model::plan::Phase;

use crate::output::line;

/// Longer words than this are for the journal.
const WIDE: usize = 96;

/// One release as it goes on.
pub struct Story {
    /// Whether anybody reads it.
    shown: bool,
    since: Instant,
    phase: usize,
    /// What the steps of the present phase said.
    said: Vec<String>,
    /// Weights and what became of them.
    weights: String,
    held: Option<String>,
}

impl Story {
    pub fn new(shown: bool) -> Self {
        let (since, said, weights) = (Instant::now(), Vec::new(), String::new());
        Self { shown, since, phase: 0, said, weights, held: None }
    }

    /// Takes a line of progress in. The weight, when a step begins to hold it.
    pub fn hear(&mut self, told: &Value) -> anyhow::Result<Option<String>> {
        if told["kind"] != "record" {
            return Ok(None);
        }
        let record = &told["record"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let phase =
            text(&record["step"]).split('.').next().and_then(|number| number.parse().ok()).unwrap_or(self.phase);
        match record["event"].as_str().unwrap_or_default() {
            "intent" if record["direction"] == "do" => {
                if phase != self.phase {
                    self.turn_page()?;
                    self.phase = phase;
                }
                // 6.3 hold 25 % for 2s and judge, from 100 requests on
                let words = text(&told["said"]);
                let weight =
                    words.split_once("hold ").and_then(|(_, rest)| rest.split_once(" for ")).map(|(weight, _)| weight);
                if let Some(weight) = weight.filter(|_| phase == 6) {
                    self.held = Some(weight.to_owned());
                    return Ok(self.held.clone());
                }
            }
            "confirm" if record["direction"] == "do" => {
                if let Some(weight) = self.held.take() {
                    let _ = write!(self.weights, "{weight} ✓  ");
                }
            }
            "effect" if record["direction"] == "do" && record["said"] != "it is in place" => {
                self.said.push(text(&record["said"]));
            }
            "rollback_begun" => {
                if let Some(weight) = self.held.take() {
                    let _ = write!(self.weights, "{weight} ✗  ");
                }
                self.turn_page()?;
                self.phase = 0;
                self.say(&format!("    {}", text(&record["said"])))?;
            }
            "ended" => self.turn_page()?,
            _ => (),
        }
        Ok(None)
    }

    /// Tells what the phase that has ended brought.
    fn turn_page(&mut self) -> anyhow::Result<()> {
        let phase = self.phase.checked_sub(1).and_then(|number| Phase::ALL.get(number));
        let Some(phase) = phase else { return Ok(()) };
        let said = std::mem::take(&mut self.said);
        let words = match self.phase {
            6 => format!("{} {:.1} s", std::mem::take(&mut self.weights), self.since.elapsed().as_secs_f64()),
            2 | 4 => said.last().cloned().unwrap_or_default(),
            _ => said.first().cloned().unwrap_or_default(),
        };
        let title = phase.title();
        self.say(&format!("    {} {title:22} {}", self.phase, first_part(&words)))?;
        self.since = Instant::now();
        Ok(())
    }

    fn say(&self, words: &str) -> anyhow::Result<()> {
        if self.shown { line(words) } else { Ok(()) }
    }
}

/// What stands before the first semicolon, and not too much of it.
fn first_part(words: &str) -> String {
    let part = words.split(';').next().unwrap_or_default().trim();
    match part.char_indices().nth(WIDE) {
        Some((end, _)) => format!("{}…", &part[..end]),
        None => part.to_owned(),
    }
}
