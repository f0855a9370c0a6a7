//! `signalbox rebuild`, `signalbox verdict replay`

use std::time::Instant;

use clap::{Args, Subcommand};
use serde_json::json;
use signalbox_access::trail::{Act, Deed, note};
use signalbox_insight::rebuild::{Rebuilt, rebuild};
use signalbox_store::Scope;

use super::Common;
use super::events::project_all;
use crate::output::print;
use crate::progress::Progress;

#[derive(Debug, Args)]
pub struct Rebuild {
    #[command(flatten)]
    common: Common,
    /// Compare only; correct nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub enum Verdict {
    /// Judge all of history by the present rules.
    Replay(Rebuild),
    /// Show every signal and what it weighs.
    Rules(Common),
}

impl Rebuild {
    /// `words` are those of the command, `actions` what the audit log calls its beginning and its end.
    fn work(&self, words: &str, actions: [&str; 2]) -> anyhow::Result<(Rebuilt, f64)> {
        let open = self.common.open()?;
        let act = open.act(words);
        let tell = |action: &str, after: Option<serde_json::Value>| {
            if self.dry_run {
                return Ok(());
            }
            let act = Act { now: open.clock.now(), ..act.clone() };
            open.store.write_here(&Scope::all(), |conn| note(conn, &act, Deed { action, after, ..Deed::default() }))
        };
        tell(actions[0], None)?;
        project_all(&open)?;
        let mut progress = Progress::new("events read");
        let started = Instant::now();
        let rebuilt = rebuild(&open.store, self.dry_run, |events| progress.at(events))?;
        tell(actions[1], Some(serde_json::to_value(&rebuilt)?))?;
        Ok((rebuilt, started.elapsed().as_secs_f64()))
    }

    pub fn run(self) -> anyhow::Result<()> {
        let (rebuilt, seconds) = self.work("rebuild", ["figures.rebuild_started", "figures.rebuilt"])?;
        let per_second = (rebuilt.events as f64 / seconds.max(0.001)) as u64;
        let value = json!({"rebuilt": rebuilt, "equal": rebuilt.differences.is_none(), "seconds": seconds, "events_per_second": per_second});
        print(self.common.output, &value, |_| {
            let speed = format!("{} events in {seconds:.1} s ({per_second} per second)", rebuilt.events);
            let found = rebuilt.differences;
            if found.is_none() {
                return format!("{speed}: every figure equals the live one");
            }
            let kinds = [
                ("verdicts", found.verdicts),
                ("counters", found.counters),
                ("client counters", found.clients),
                ("conversion counters", found.conversions),
                ("first events", found.firsts),
                ("message times", found.messages),
                ("source records", found.sources),
            ];
            let lines: String = kinds
                .iter()
                .filter(|(_, rows)| *rows > 0)
                .map(|(kind, rows)| format!("  {kind}: {rows} rows\n"))
                .collect();
            let what = if rebuilt.corrected {
                "these differed and were corrected"
            } else {
                "these differ; nothing was changed"
            };
            format!("{speed}: {what}\n{lines}")
        })
    }
}

impl Verdict {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Verdict::Replay(replay) => {
                let actions = ["verdicts.replay_started", "verdicts.replayed"];
                let (rebuilt, seconds) = replay.work("verdict replay", actions)?;
                let value = json!({"replayed": rebuilt, "seconds": seconds});
                print(replay.common.output, &value, |_| {
                    let head = format!(
                        "{} events judged by rule version {} in {seconds:.1} s",
                        rebuilt.events, rebuilt.rule_version
                    );
                    if rebuilt.differences.verdicts == 0 {
                        return format!("{head}: no verdict changes");
                    }
                    let verb = if rebuilt.corrected { "changed" } else { "would change" };
                    let changes: String =
                        rebuilt.class_changes.iter().map(|(change, count)| format!("  {change}: {count}\n")).collect();
                    format!(
                        "{head}: {} verdicts {verb} their reasons or score, of these their class\n{changes}",
                        rebuilt.differences.verdicts
                    )
                })
            }
            Verdict::Rules(common) => print(common.output, &rules(), |_| {
                let rows: Vec<_> = signalbox_events::judge::REASONS
                    .iter()
                    .map(|reason| {
                        vec![
                            reason.code.to_owned(),
                            format!("{:.2}", f64::from(reason.weight) / 1000.0),
                            reason.words.to_owned(),
                        ]
                    })
                    .collect();
                crate::output::table(&["SIGNAL", "WEIGHT", "MEANING"], &rows)
            }),
        }
    }
}

fn rules() -> serde_json::Value {
    let signals: Vec<_> = signalbox_events::judge::REASONS
        .iter()
        .map(|reason| json!({"code": reason.code, "weight": f64::from(reason.weight) / 1000.0, "words": reason.words}))
        .collect();
    json!({"rule_version": signalbox_events::judge::RULE_VERSION, "machine_at": 0.7, "signals": signals})
}
