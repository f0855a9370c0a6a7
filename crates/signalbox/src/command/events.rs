//! `signalbox events export|count`

use std::io::{BufWriter, Write as _};
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use signalbox_insight::projector::{Projector, catch_up};
use signalbox_insight::report::{EventRow, read_events};
use signalbox_store::{Scope, StoreError};

use super::Common;
use crate::installation::Installation;
use crate::output::print;
use crate::progress::Progress;

#[derive(Debug, Subcommand)]
pub enum Events {
    /// Write every stored event to standard output, in order.
    Export(Export),
    /// How many events are stored.
    Count(Common),
}

#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    common: Common,
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object per line.
    Jsonl,
    Csv,
}

/// Projects what still waits in the log, beside a running server or without one.
pub fn project_all(open: &Installation) -> anyhow::Result<()> {
    let mut projector = Projector::new(&open.store, Arc::clone(&open.ids), Arc::clone(&open.clock))?;
    let mut progress = Progress::new("projecting");
    catch_up(&mut projector, |seq, target| progress.at(format!("{seq} of {target}")))?;
    Ok(())
}

impl Events {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Events::Export(export) => export.run(),
            Events::Count(common) => {
                let open = common.open()?;
                project_all(&open)?;
                let count = open.store.read_here(&Scope::all(), |conn| {
                    conn.first("SELECT CAST(COUNT(*) AS BIGINT) FROM event", &[], |row| row.int(0))
                })?;
                let count = count.unwrap_or_default();
                print(common.output, &json!({"events": count}), |_| format!("events stored: {count}"))
            }
        }
    }
}

impl Export {
    fn run(self) -> anyhow::Result<()> {
        let open = self.common.open()?;
        project_all(&open)?;
        let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
        let mut gone = false;
        let written = match self.format {
            Format::Jsonl => open.store.read_here(&Scope::all(), |conn| {
                read_events(conn, &mut |event| {
                    let line = serde_json::to_writer(&mut out, &event)
                        .map_err(std::io::Error::from)
                        .and_then(|()| out.write_all(b"\n"));
                    stop_at(line, &mut gone)
                })
            }),
            Format::Csv => {
                let mut rows = csv::Writer::from_writer(&mut out);
                rows.write_record(HEADINGS)?;
                open.store.read_here(&Scope::all(), |conn| {
                    read_events(conn, &mut |event| {
                        stop_at(rows.write_record(cells(&event)).map_err(std::io::Error::other), &mut gone)
                    })
                })
            }
        };
        if gone {
            // Whoever read has seen enough (`| head`).
            return Ok(());
        }
        written?;
        match out.flush() {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }
}

fn stop_at(written: std::io::Result<()>, gone: &mut bool) -> Result<(), StoreError> {
    written.map_err(|error| {
        *gone |= error.kind() == std::io::ErrorKind::BrokenPipe;
        StoreError::Aborted(format!("writing the export: {error}"))
    })
}

const HEADINGS: [&str; 24] = [
    "seq",
    "id",
    "principal",
    "kind",
    "occurred_at",
    "received_at",
    "campaign",
    "campaign_name",
    "message",
    "recipient",
    "recipient_key",
    "link",
    "url",
    "ip",
    "user_agent",
    "client",
    "device",
    "class",
    "score",
    "reasons",
    "value",
    "currency",
    "detail",
    "version",
];

/// A spreadsheet must not take somebody's text for a formula.
fn harmless(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err() {
        format!("'{text}")
    } else {
        text
    }
}

fn cells(event: &EventRow) -> [String; 24] {
    fn text<T: ToString>(value: &Option<T>) -> String {
        value.as_ref().map(T::to_string).unwrap_or_default()
    }
    let verdict = event.verdict.as_ref();
    let reasons = verdict.map(|verdict| verdict.reasons.iter().map(|reason| reason.code).collect::<Vec<_>>().join(" "));
    [
        event.seq.to_string(),
        harmless(event.id.clone()),
        event.principal.to_string(),
        event.kind.to_string(),
        event.occurred_at.to_string(),
        event.received_at.to_string(),
        text(&event.campaign),
        harmless(text(&event.campaign_name)),
        text(&event.message),
        text(&event.recipient),
        harmless(text(&event.recipient_key)),
        text(&event.link),
        harmless(text(&event.url)),
        text(&event.ip),
        harmless(event.user_agent.clone()),
        event.client.to_owned(),
        event.device.to_owned(),
        text(&verdict.map(|verdict| verdict.class)),
        text(&verdict.map(|verdict| verdict.score)),
        text(&reasons),
        text(&event.value),
        text(&event.currency),
        harmless(text(&event.detail.as_ref().map(|detail| detail.get()))),
        event.version.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_defused() {
        assert_eq!(harmless("=1+1".into()), "'=1+1");
        assert_eq!(harmless("-12.5".into()), "-12.5");
        assert_eq!(harmless("anna".into()), "anna");
    }
}
