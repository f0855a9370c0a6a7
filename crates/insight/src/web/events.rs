//! `GET /events`, `GET /events.csv`: the event explorer.

use askama::Template;
use axum::extract::{Extension, Query, State};
use axum::response::Response;
use serde::Deserialize;
use signalbox_core::id::{CampaignId, ContactId, MessageId, encode};
use signalbox_core::page::read_cursor;
use signalbox_core::time::{DAY, HOUR, Micros};
use signalbox_events::kind::{Class, Kind};
use signalbox_http::caller::{Caller, Permission};
use signalbox_http::csv;
use signalbox_http::page::{Frame, address};
use signalbox_http::reply::{Refusal, Reply};

use super::campaign::capitalised;
use super::context::{Choice, EventLine};
use super::figures::moment;
use super::render;
use crate::api::Insight;
use crate::report::{self, CampaignOrder, EventRow, Filter, Range};

const PER_PAGE: i64 = 50;
const PER_DOWNLOAD_PAGE: i64 = 1000;
/// Campaigns to choose from.
const MOST_CAMPAIGNS: i64 = 200;
/// How far back: the word in the address, the label, the length.
const PERIODS: [(&str, &str, i64); 5] = [
    ("", "Any time", 0),
    ("1h", "Last hour", HOUR),
    ("24h", "Last 24 hours", DAY),
    ("7d", "Last 7 days", 7 * DAY),
    ("30d", "Last 30 days", 30 * DAY),
];

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    campaign: String,
    contact: String,
    message: String,
    kind: String,
    class: String,
    period: String,
    cursor: String,
}

#[derive(Debug, Clone, Template)]
#[template(path = "events.html")]
struct EventsPage {
    frame: Frame,
    campaigns: Vec<Choice>,
    kinds: Vec<Choice>,
    classes: Vec<Choice>,
    periods: Vec<Choice>,
    /// The contact or message that the list is about, and the address without it.
    about: Option<(String, String)>,
    contact: String,
    message: String,
    is_filtered: bool,
    rows: Vec<EventLine>,
    first: String,
    next: String,
    csv: String,
}

fn read<T: std::str::FromStr>(text: &str, what: &str) -> Reply<Option<T>> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || Refusal::bad_request(format!("This address names no {what}; choose one of the list's filters."));
    text.parse().map(Some).map_err(|_| wrong())
}

impl Asked {
    fn filter(&self, now: Micros) -> Reply<Filter> {
        let period = PERIODS.iter().find(|(word, ..)| *word == self.period).map_or(0, |(.., length)| *length);
        Ok(Filter {
            campaign: read::<CampaignId>(&self.campaign, "campaign")?.map(|id| id.0),
            recipient: read::<ContactId>(&self.contact, "contact")?.map(|id| id.0),
            message: read::<MessageId>(&self.message, "message")?.map(|id| id.0),
            kind: read::<Kind>(&self.kind, "kind of event")?,
            class: read::<Class>(&self.class, "class")?,
            from: (period > 0).then(|| now.plus(-period)),
            to: None,
        })
    }

    fn cursor(&self) -> Reply<Option<i64>> {
        let wrong = |_| Refusal::bad_request("This address does not lead to a page of the list; go back to its start.");
        (!self.cursor.is_empty()).then(|| read_cursor(&self.cursor).map_err(wrong)).transpose()
    }

    fn address(&self, path: &str, cursor: &str) -> String {
        address(
            path,
            &[
                ("campaign", &self.campaign),
                ("contact", &self.contact),
                ("message", &self.message),
                ("kind", &self.kind),
                ("class", &self.class),
                ("period", &self.period),
                ("cursor", cursor),
            ],
        )
    }
}

/// The words for a class on pages, and its mark.
pub(super) fn class_words(class: Class) -> (&'static str, &'static str) {
    match class {
        Class::Human => ("human", "Human"),
        Class::PrivacyProxy => ("proxy", "Privacy proxy"),
        Class::Machine => ("machine", "Machine"),
        Class::Unjudged => ("none", "Not judged"),
    }
}

/// An event as lists show it.
pub(super) fn event_line(event: &EventRow) -> EventLine {
    EventLine {
        href: format!("/events/{}", event.seq),
        kind: capitalised(event.kind.word()),
        verdict: event.verdict.as_ref().map(|verdict| class_words(verdict.class)),
        campaign: event
            .campaign
            .map(|id| (format!("/campaigns/{id}"), event.campaign_name.clone().unwrap_or_else(|| id.to_string()))),
        contact: event
            .recipient
            .map(|id| (format!("/contacts/{id}"), event.recipient_key.clone().unwrap_or_else(|| id.to_string()))),
        detail: event.url.clone().unwrap_or_default(),
        client: if event.user_agent.is_empty() { String::new() } else { capitalised(event.client) },
        at: moment(event.occurred_at),
    }
}

fn choices<'w>(all: impl Iterator<Item = (&'w str, String)>, chosen: &str) -> Vec<Choice> {
    all.map(|(value, label)| Choice { value: value.to_owned(), label, chosen: value == chosen }).collect()
}

pub(super) async fn page(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Asked>,
) -> Reply<Response> {
    let now = insight.clock.now();
    let (filter, before) = (asked.filter(now)?, asked.cursor()?);
    let (contact, wanted) = (read::<ContactId>(&asked.contact, "contact")?, filter.clone());
    // The names in the filter; the list of campaigns belongs to reports, so it is shown to those who may see them.
    let sees_campaigns = caller.may(Permission::ReportsRead);
    let found = insight.store.read(caller.scope.clone(), move |conn| {
        let range = Range::last(DAY, now);
        let campaigns = match sees_campaigns {
            true => report::campaign_list(conn, &range, CampaignOrder::Newest, "", None, MOST_CAMPAIGNS)?,
            false => Vec::new(),
        };
        let contact = contact.map(|id| report::contact(conn, id)).transpose()?.flatten();
        Ok((report::events(conn, &wanted, before, PER_PAGE + 1)?, campaigns, contact))
    });
    let (mut rows, campaigns, contact) = found.await?;
    let more = rows.len() as i64 > PER_PAGE;
    rows.truncate(PER_PAGE as usize);
    let next = rows.last().filter(|_| more).map(|last| asked.address("/events", &encode("cur", last.seq)));
    let names: Vec<_> = campaigns.iter().map(|row| (row.campaign.id.to_string(), row.campaign.name.clone())).collect();
    let any = |label: &str| std::iter::once(("", label.to_owned()));
    let kinds = Kind::ALL.iter().map(|kind| (kind.word(), capitalised(kind.word())));
    let classes = Class::ALL.iter().map(|class| (class.word(), class_words(*class).1.to_owned()));
    let about = match (&contact, asked.contact.is_empty(), asked.message.is_empty()) {
        (Some(contact), ..) => Some(contact.key.clone()),
        (None, false, _) => Some(asked.contact.clone()),
        (None, true, false) => Some(format!("message {}", asked.message)),
        (None, true, true) => None,
    };
    let without = Asked { contact: String::new(), message: String::new(), ..asked.clone() };
    render(&EventsPage {
        frame: Frame::new("Events", "events", Some(&caller)),
        campaigns: choices(
            any("All campaigns").chain(names.iter().map(|(id, name)| (id.as_str(), name.clone()))),
            &asked.campaign,
        ),
        kinds: choices(any("All kinds").chain(kinds), &asked.kind),
        classes: choices(any("All classes").chain(classes), &asked.class),
        periods: choices(PERIODS.iter().map(|(word, label, _)| (*word, (*label).to_owned())), &asked.period),
        about: about.map(|name| (name, without.address("/events", ""))),
        is_filtered: asked.address("", &asked.cursor) != address("", &[("cursor", &asked.cursor)]),
        rows: rows.iter().map(event_line).collect(),
        first: if before.is_some() { asked.address("/events", "") } else { String::new() },
        next: next.unwrap_or_default(),
        csv: asked.address("/events.csv", ""),
        contact: asked.contact,
        message: asked.message,
    })
}

pub(super) async fn csv(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Asked>,
) -> Reply<Response> {
    let filter = asked.filter(insight.clock.now())?;
    const HEAD: [&str; 18] = [
        "id",
        "kind",
        "occurred_at",
        "received_at",
        "campaign",
        "campaign_name",
        "contact",
        "contact_key",
        "message",
        "url",
        "class",
        "score",
        "reasons",
        "rule_version",
        "client",
        "device",
        "user_agent",
        "address",
    ];
    csv::stream("events", &HEAD, move |before: Option<i64>| {
        let (insight, caller, filter) = (insight.clone(), caller.clone(), filter.clone());
        async move {
            let rows = insight
                .store
                .read(caller.scope, move |conn| report::events(conn, &filter, before, PER_DOWNLOAD_PAGE))
                .await?;
            let next = rows.last().filter(|_| rows.len() as i64 == PER_DOWNLOAD_PAGE).map(|last| last.seq);
            Ok((rows.iter().map(cells).collect(), next))
        }
    })
    .await
}

fn cells(event: &EventRow) -> Vec<String> {
    let text = |id: Option<String>| id.unwrap_or_default();
    let verdict = event.verdict.as_ref();
    let reasons: Vec<_> =
        verdict.map(|verdict| verdict.reasons.iter().map(|reason| reason.code).collect()).unwrap_or_default();
    vec![
        event.id.clone(),
        event.kind.to_string(),
        event.occurred_at.to_string(),
        event.received_at.to_string(),
        text(event.campaign.map(|id| id.to_string())),
        text(event.campaign_name.clone()),
        text(event.recipient.map(|id| id.to_string())),
        text(event.recipient_key.clone()),
        text(event.message.map(|id| id.to_string())),
        text(event.url.clone()),
        text(verdict.map(|verdict| verdict.class.to_string())),
        text(verdict.map(|verdict| verdict.score.to_string())),
        reasons.join(" "),
        text(verdict.map(|verdict| verdict.rule_version.to_string())),
        event.client.to_owned(),
        event.device.to_owned(),
        event.user_agent.clone(),
        text(event.ip.clone()),
    ]
}
