//! `GET /audit`, `/audit.csv`, `/audit/{seq}`: the audit log for people.

use axum::extract::{Extension, Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use signalbox_audit::read::{self, Filter, Row as Entry};
use signalbox_core::page::USUAL;
use signalbox_http::caller::Caller;
use signalbox_http::page::Frame;
use signalbox_http::reply::{Refusal, Reply};

use super::answer::*;
use super::parts::{Moment, moment};
use crate::sign_in::Access;

/// Entries of one CSV file; who needs all of them takes `signalbox audit export`.
const MOST_CSV: usize = 10_000;

struct Row {
    seq: i64,
    at: Moment,
    who: String,
    actor: String,
    action: String,
    object: String,
    address: String,
    correlation: String,
    hash: String,
}

#[derive(askama::Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    action: String,
    actor: String,
    object: String,
    rows: Vec<Row>,
    first: String,
    next: String,
    query: String,
}

#[derive(askama::Template)]
#[template(path = "audit_entry.html")]
struct EntryPage {
    frame: Frame,
    row: Row,
    before: String,
    after: String,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    action: String,
    #[serde(default)]
    actor: String,
    #[serde(default)]
    object: String,
    before: Option<i64>,
}

impl Asked {
    fn filter(&self) -> Filter {
        let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Filter { action: some(&self.action), actor: some(&self.actor), object: some(&self.object), ..Filter::default() }
    }

    /// The filter as the query of an address.
    fn query(&self, before: Option<i64>) -> String {
        let mut parts = Vec::new();
        for (name, text) in [("action", &self.action), ("actor", &self.actor), ("object", &self.object)] {
            if !text.is_empty() {
                let encoded: String = text
                    .bytes()
                    .map(|byte| match byte {
                        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' => (byte as char).to_string(),
                        _ => format!("%{byte:02X}"),
                    })
                    .collect();
                parts.push(format!("{name}={encoded}"));
            }
        }
        parts.extend(before.map(|seq| format!("before={seq}")));
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }
}

fn row(entry: &Entry) -> Row {
    Row {
        seq: entry.seq,
        at: moment(entry.at),
        who: entry.actor_name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| entry.actor.clone()),
        actor: entry.actor.clone(),
        action: entry.action.clone(),
        object: entry.object.clone(),
        address: entry.address.clone().unwrap_or_default(),
        correlation: entry.correlation.clone(),
        hash: entry.hash.clone(),
    }
}

pub(super) async fn list(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Asked>,
) -> Reply<Response> {
    let (filter, before, limit) = (asked.filter(), asked.before, usize::try_from(USUAL).unwrap_or(100));
    let mut found = access.look(move |conn| read::page(conn, &filter, before, limit + 1)).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next =
        found.last().filter(|_| more).map_or(String::new(), |last| format!("/audit{}", asked.query(Some(last.seq))));
    render(&AuditPage {
        frame: Frame::new("Audit log", "audit", Some(&caller)),
        rows: found.iter().map(row).collect(),
        first: asked.before.map_or(String::new(), |_| format!("/audit{}", asked.query(None))),
        next,
        query: asked.query(None),
        action: asked.action,
        actor: asked.actor,
        object: asked.object,
    })
}

pub(super) async fn entry(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    Path(seq): Path<String>,
) -> Reply<Response> {
    let seq: i64 = seq.parse().map_err(|_| Refusal::not_found())?;
    let found = access.look(move |conn| read::page(conn, &Filter::default(), seq.checked_add(1), 1)).await?;
    let entry = found.into_iter().find(|entry| entry.seq == seq).ok_or_else(Refusal::not_found)?;
    let text = |value: &Option<serde_json::Value>| {
        value.as_ref().and_then(|value| serde_json::to_string_pretty(value).ok()).unwrap_or_default()
    };
    render(&EntryPage {
        frame: Frame::new(format!("Entry {seq}"), "audit", Some(&caller)),
        row: row(&entry),
        before: text(&entry.before),
        after: text(&entry.after),
    })
}

pub(super) async fn csv(State(access): State<Access>, Query(asked): Query<Asked>) -> Reply<Response> {
    let (filter, before) = (asked.filter(), asked.before);
    let found = access.look(move |conn| read::page(conn, &filter, before, MOST_CSV)).await?;
    let mut text = String::from("seq,at,actor,actor_name,address,action,object,correlation,before,after\r\n");
    for entry in &found {
        let json = |value: &Option<serde_json::Value>| value.as_ref().map(ToString::to_string).unwrap_or_default();
        let cells = [
            entry.seq.to_string(),
            entry.at.to_string(),
            entry.actor.clone(),
            entry.actor_name.clone().unwrap_or_default(),
            entry.address.clone().unwrap_or_default(),
            entry.action.clone(),
            entry.object.clone(),
            entry.correlation.clone(),
            json(&entry.before),
            json(&entry.after),
        ];
        text.push_str(&cells.map(|cell| csv_cell(&cell)).join(","));
        text.push_str("\r\n");
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.csv\""),
    ];
    Ok((headers, text).into_response())
}

/// A cell that no spreadsheet takes for a formula.
fn csv_cell(text: &str) -> String {
    let guarded = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() };
    if guarded.contains([',', '"', '\n', '\r']) { format!("\"{}\"", guarded.replace('"', "\"\"")) } else { guarded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        assert_eq!(csv_cell("=1+2"), "'=1+2");
        assert_eq!(csv_cell("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
        assert_eq!(csv_cell("@x,y"), "\"'@x,y\"");
    }
}
