//! `GET /audit`, `/audit.csv`, `/audit/{seq}`: the audit log for people.

use axum::extract::{Extension, Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use signalbox_audit::read::{self, Filter, Row as Entry};
use signalbox_core::page::USUAL;
use signalbox_http::caller::Caller;
use signalbox_http::csv;
use signalbox_http::page::{Frame, address};
use signalbox_http::reply::{Refusal, Reply};

use super::answer::*;
use super::parts::{Moment, moment};
use crate::sign_in::Access;

/// Entries of the CSV file that are read at once.
const PER_DOWNLOAD_PAGE: usize = 1000;

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
    correlation: String,
    from: String,
    to: String,
    rows: Vec<Row>,
    first: String,
    next: String,
    csv: String,
}

#[derive(askama::Template)]
#[template(path = "audit_entry.html")]
struct EntryPage {
    frame: Frame,
    row: Row,
    before: String,
    after: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    action: String,
    actor: String,
    object: String,
    correlation: String,
    /// Days or instants.
    from: String,
    to: String,
    before: Option<i64>,
}

impl Asked {
    fn filter(&self) -> Reply<Filter> {
        let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let instant = |text: &str| match some(text) {
            None => Ok(None),
            Some(text) => match format!("{text}T00:00:00Z").parse().or_else(|_| text.parse()) {
                Ok(at) => Ok(Some(at)),
                Err(_) => Err(Refusal::bad_request(format!("{text:?} is no day such as 2026-01-31, and no instant."))),
            },
        };
        Ok(Filter {
            action: some(&self.action),
            actor: some(&self.actor),
            object: some(&self.object),
            correlation: some(&self.correlation),
            from: instant(&self.from)?,
            to: instant(&self.to)?,
        })
    }

    fn address(&self, path: &str, before: Option<i64>) -> String {
        let before = before.map_or(String::new(), |seq| seq.to_string());
        address(
            path,
            &[
                ("action", &self.action),
                ("actor", &self.actor),
                ("object", &self.object),
                ("correlation", &self.correlation),
                ("from", &self.from),
                ("to", &self.to),
                ("before", &before),
            ],
        )
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
    let (filter, before, limit) = (asked.filter()?, asked.before, usize::try_from(USUAL).unwrap_or(100));
    let mut found = access.look(move |conn| read::page(conn, &filter, before, limit + 1)).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| asked.address("/audit", Some(last.seq)));
    render(&AuditPage {
        frame: Frame::new("Audit log", "audit", Some(&caller)),
        rows: found.iter().map(row).collect(),
        first: asked.before.map_or(String::new(), |_| asked.address("/audit", None)),
        next: next.unwrap_or_default(),
        csv: asked.address("/audit.csv", None),
        action: asked.action,
        actor: asked.actor,
        object: asked.object,
        correlation: asked.correlation,
        from: asked.from,
        to: asked.to,
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
    const HEAD: [&str; 10] =
        ["seq", "at", "actor", "actor_name", "address", "action", "object", "correlation", "before", "after"];
    let filter = asked.filter()?;
    csv::stream("audit", &HEAD, move |before: Option<i64>| {
        let (access, filter, before) = (access.clone(), filter.clone(), before.or(asked.before));
        async move {
            let found = access.look(move |conn| read::page(conn, &filter, before, PER_DOWNLOAD_PAGE)).await?;
            let next = found.last().filter(|_| found.len() == PER_DOWNLOAD_PAGE).map(|last| last.seq);
            Ok((found.into_iter().map(cells).collect(), next))
        }
    })
    .await
}

fn cells(entry: Entry) -> Vec<String> {
    let json = |value: Option<serde_json::Value>| value.map(|value| value.to_string()).unwrap_or_default();
    vec![
        entry.seq.to_string(),
        entry.at.to_string(),
        entry.actor,
        entry.actor_name.unwrap_or_default(),
        entry.address.unwrap_or_default(),
        entry.action,
        entry.object,
        entry.correlation,
        json(entry.before),
        json(entry.after),
    ]
}
