//! `GET /contacts/{id}`: what happened to one contact, newest first.

use askama::Template;
use axum::extract::{Extension, Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use signalbox_core::id::{ContactId, encode};
use signalbox_core::page::read_cursor;
use signalbox_http::caller::Caller;
use signalbox_http::page::{Frame, address};
use signalbox_http::reply::{Refusal, Reply};

use super::context::{EventLine, Moment};
use super::events::event_line;
use super::figures::moment;
use super::render;
use crate::api::Insight;
use crate::report::{self, Filter};

const PER_PAGE: i64 = 50;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    cursor: String,
}

#[derive(Debug, Clone, Template)]
#[template(path = "contact.html")]
struct ContactPage {
    frame: Frame,
    name: String,
    id: String,
    since: Moment,
    rows: Vec<EventLine>,
    first: String,
    next: String,
    explorer: String,
    csv: String,
}

pub(super) async fn page(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Reply<Response> {
    let id: ContactId = id.parse().map_err(|_| Refusal::not_found())?;
    let wrong = |_| Refusal::bad_request("This address does not lead to a page of the list; go back to its start.");
    let before = (!asked.cursor.is_empty()).then(|| read_cursor(&asked.cursor).map_err(wrong)).transpose()?;
    let found = insight.store.read(caller.scope.clone(), move |conn| {
        let filter = Filter { recipient: Some(id.0), ..Filter::default() };
        match report::contact(conn, id)? {
            Some(contact) => Ok(Some((contact, report::events(conn, &filter, before, PER_PAGE + 1)?))),
            None => Ok(None),
        }
    });
    let (contact, mut rows) = found.await?.ok_or_else(Refusal::not_found)?;
    let more = rows.len() as i64 > PER_PAGE;
    rows.truncate(PER_PAGE as usize);
    let id = contact.id.to_string();
    let path = format!("/contacts/{id}");
    let next = rows.last().filter(|_| more).map(|last| address(&path, &[("cursor", &encode("cur", last.seq))]));
    render(&ContactPage {
        frame: Frame::new(contact.key.clone(), "events", Some(&caller)),
        name: contact.key,
        since: moment(contact.created_at),
        rows: rows.iter().map(event_line).collect(),
        first: if before.is_some() { path } else { String::new() },
        next: next.unwrap_or_default(),
        explorer: address("/events", &[("contact", &id)]),
        csv: address("/events.csv", &[("contact", &id)]),
        id,
    })
}
