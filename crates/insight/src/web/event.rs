//! `GET /events/{seq}`: one event, and why it is in its class.

use askama::Template;
use axum::extract::{Extension, Path, State};
use axum::response::Response;
use signalbox_events::kind::{Class, Kind};
use signalbox_http::caller::Caller;
use signalbox_http::page::{Frame, address};
use signalbox_http::reply::{Refusal, Reply};

use super::campaign::capitalised;
use super::context::{EventLine, Moment};
use super::events::{class_words, event_line};
use super::figures::moment;
use super::render;
use crate::api::Insight;
use crate::report::{self, EventRow, VerdictView};

#[derive(Debug, Clone, Template)]
#[template(path = "event.html")]
struct EventPage {
    frame: Frame,
    id: String,
    line: EventLine,
    occurred: Moment,
    received: Moment,
    verdict: Option<VerdictLines>,
    message: Option<(String, String)>,
    device: String,
    user_agent: String,
    source: String,
    value: String,
    detail: String,
    version: String,
}

/// A verdict and how it came about.
#[derive(Debug, Clone)]
struct VerdictLines {
    mark: &'static str,
    class: &'static str,
    /// What the class means for this event, in one sentence.
    meaning: &'static str,
    /// From 0.00 to 1.00.
    score: String,
    /// The same, in percent of the scale.
    place: String,
    signals: Vec<Signal>,
    rule_version: i64,
}

#[derive(Debug, Clone)]
struct Signal {
    code: &'static str,
    words: String,
    /// From 0.00 to 1.00, or nothing for signals that name a proxy instead of weighing.
    weight: Option<String>,
}

fn verdict_lines(kind: Kind, verdict: &VerdictView) -> VerdictLines {
    let (mark, class) = class_words(verdict.class);
    let meaning = match (verdict.class, kind) {
        (Class::Human, Kind::Clicked) => "A person followed the link, as far as can be told.",
        (Class::Human, _) => "A person saw the mail, as far as can be told.",
        (Class::PrivacyProxy, _) => "A proxy fetched this for a person, and hides where and often when.",
        (Class::Machine, _) => "A program fetched this; it says nothing about a person.",
        (Class::Unjudged, _) => "Nothing was judged yet.",
    };
    let signals = verdict.reasons.iter().map(|reason| Signal {
        code: reason.code,
        words: format!("{}.", capitalised(reason.words)),
        weight: (reason.weight > 0.0).then(|| format!("{:.2}", reason.weight)),
    });
    VerdictLines {
        mark,
        class,
        meaning,
        score: format!("{:.2}", verdict.score),
        place: format!("{:.1}", verdict.score * 100.0),
        signals: signals.collect(),
        rule_version: verdict.rule_version,
    }
}

pub(super) async fn page(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    Path(seq): Path<String>,
) -> Reply<Response> {
    let seq: i64 = seq.parse().map_err(|_| Refusal::not_found())?;
    let event: EventRow = insight
        .store
        .read(caller.scope.clone(), move |conn| report::event(conn, seq))
        .await?
        .ok_or_else(Refusal::not_found)?;
    let line = event_line(&event);
    let (occurred, received) = (moment(event.occurred_at), moment(event.received_at));
    render(&EventPage {
        frame: Frame::new(format!("{} {}", line.kind, event.id), "events", Some(&caller)),
        verdict: event.verdict.as_ref().map(|verdict| verdict_lines(event.kind, verdict)),
        message: event.message.map(|id| {
            let id = id.to_string();
            (address("/events", &[("message", &id)]), id)
        }),
        device: capitalised(event.device),
        user_agent: event.user_agent,
        source: event.ip.unwrap_or_default(),
        value: match (event.value, event.currency) {
            (Some(value), Some(currency)) => format!("{value} {currency}"),
            (Some(value), None) => value,
            (None, _) => String::new(),
        },
        detail: event.detail.map(|detail| detail.get().to_owned()).unwrap_or_default(),
        version: event.version,
        id: event.id,
        line,
        occurred,
        received,
    })
}
