use clap::Args;
use signalbox_audit::Actor;
use signalbox_audit::read::{Filter, Row, page};
use signalbox_core::time::Micros;
use signalbox_store::Scope;

use super::Common;
use crate::output::{print, table};

/// Rows that are read at once.
const PAGE: usize = 1000;

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    common: Common,
    /// Only this action, or all whose first word it is: `key` finds `key.rotated`.
    #[arg(long)]
    action: Option<String>,
    /// Only what this actor did: system, command, anonymous, or the id of a user or API token.
    #[arg(long)]
    actor: Option<Actor>,
    /// Only what was done to this: an id, as the list shows it.
    #[arg(long)]
    object: Option<String>,
    /// Only what was done together: the id of a request or command.
    #[arg(long)]
    correlation: Option<String>,
    /// Not before this instant, for example 2026-05-01T12:00:00Z.
    #[arg(long, value_name = "INSTANT")]
    from: Option<Micros>,
    /// Before this instant.
    #[arg(long, value_name = "INSTANT")]
    to: Option<Micros>,
    /// At most so many, the newest.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
}

impl List {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let filter = Filter {
            action: self.action,
            actor: self.actor.map(|actor| actor.to_string()),
            object: self.object,
            correlation: self.correlation,
            from: self.from,
            to: self.to,
        };
        let open = self.common.open()?;
        let limit = self.limit as usize;
        let mut rows: Vec<Row> = Vec::new();
        while rows.len() < limit {
            let before = rows.last().map(|row| row.seq);
            let wanted = PAGE.min(limit - rows.len());
            let more = open.store.read_here(&Scope::all(), |conn| page(conn, &filter, before, wanted))?;
            let ended = more.len() < wanted;
            rows.extend(more);
            if ended {
                break;
            }
        }
        print(self.common.output, &serde_json::json!({"items": rows}), |_| {
            let cells = |row: &Row| {
                let who = row.actor_name.as_deref().unwrap_or("(erased)");
                let actor = if row.actor == "system" { row.actor.clone() } else { format!("{} {who}", row.actor) };
                let what = |value: &Option<serde_json::Value>| value.as_ref().map_or("-".into(), ToString::to_string);
                let change = match (&row.before, &row.after) {
                    (None, None) => "-".into(),
                    (None, after) => what(after),
                    (before, after) => format!("{} -> {}", what(before), what(after)),
                };
                let address = row.address.clone().unwrap_or_else(|| "-".into());
                let object = if row.object.is_empty() { "-".into() } else { row.object.clone() };
                vec![
                    row.seq.to_string(),
                    row.at.to_string(),
                    harmless(&actor),
                    address,
                    row.action.clone(),
                    harmless(&object),
                    harmless(&change),
                ]
            };
            table(
                &["SEQ", "AT", "ACTOR", "ADDRESS", "ACTION", "OBJECT", "CHANGE"],
                &rows.iter().map(cells).collect::<Vec<_>>(),
            )
        })
    }
}

/// Somebody's text must not steer the terminal.
fn harmless(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}
