//! `GET /api/v1/live`: what happens, as server-sent events. One poll of the cursor per process, however many watch.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, KeepAliveStream, Sse};
use serde_json::{Value, json};
use signalbox_core::time::{DAY, Micros};
use signalbox_http::caller::Caller;
use signalbox_http::reply::{Refusal, Reply};
use signalbox_store::{Scope, Store, StoreError};
use tokio::sync::watch;
use tokio_stream::wrappers::ReceiverStream;

use crate::api::Insight;
use crate::report::{self, EventRow, Range};

const POLL: Duration = Duration::from_millis(250);
/// Events per message at most; a flood is told by its totals.
const MOST_EVENTS: i64 = 50;
/// Events replayed to somebody who comes back.
const MOST_REPLAYED: i64 = 500;
/// Totals are computed for one watcher at most this often.
const TOTALS_EVERY: Duration = Duration::from_millis(500);

/// From when on the totals count.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Asked {
    from: Option<String>,
}

/// The process's one watch on the projector's cursor.
#[derive(Clone)]
pub struct Live {
    cursor: watch::Receiver<i64>,
    /// Says that the process stops.
    ended: Arc<watch::Sender<bool>>,
}

impl Live {
    /// Starts polling `store` until nobody holds the result.
    pub fn start(store: Store) -> Self {
        let (sender, cursor) = watch::channel(-1);
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(POLL);
            while !sender.is_closed() {
                tick.tick().await;
                // Without watchers there is nothing to tell.
                if sender.receiver_count() <= 1 && *sender.borrow() >= 0 {
                    continue;
                }
                if let Ok(seq) = store.read(Scope::all(), report::projected_seq).await {
                    sender.send_if_modified(|seen| std::mem::replace(seen, seq) != seq);
                }
            }
        });
        Self { cursor, ended: Arc::new(watch::Sender::new(false)) }
    }

    /// Ends every stream; browsers come back to whoever serves next.
    pub fn end(&self) {
        self.ended.send_replace(true);
    }
}

pub(crate) async fn stream(
    State(insight): State<Insight>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Reply<Sse<KeepAliveStream<ReceiverStream<Result<Event, Infallible>>>>> {
    let totals_from = match asked.from {
        Some(text) => Some(text.parse::<Micros>().map_err(|error| Refusal::bad_request(format!("from: {error}")))?),
        None => None,
    };
    let resume =
        headers.get("last-event-id").and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<i64>().ok());
    let start = match resume {
        Some(seq) => seq,
        None => insight.store.read(Scope::all(), report::projected_seq).await?,
    };
    let (sender, receiver) = tokio::sync::mpsc::channel(16);
    tokio::spawn(watch(insight, caller.scope, start, resume.is_some(), totals_from, sender));
    Ok(Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

/// Tells one watcher, until it goes away.
async fn watch(
    insight: Insight,
    scope: Scope,
    mut seen: i64,
    replay: bool,
    totals_from: Option<Micros>,
    sender: tokio::sync::mpsc::Sender<Result<Event, Infallible>>,
) {
    let mut cursor = insight.live.cursor.clone();
    let mut ended = insight.live.ended.subscribe();
    cursor.mark_changed();
    let mut most = if replay { MOST_REPLAYED } else { MOST_EVENTS };
    let mut totals_at = tokio::time::Instant::now();
    let mut stale = true;
    loop {
        tokio::select! {
            changed = cursor.changed() => if changed.is_err() { return },
            () = tokio::time::sleep_until(totals_at), if stale => (),
            () = sender.closed() => return,
            _ = ended.wait_for(|ended| *ended) => return,
        }
        let seq = (*cursor.borrow_and_update()).max(0);
        if seq > seen {
            stale = true;
            // Of a flood only the newest are shown; the cursor still moves past all of it.
            let after = if most == MOST_REPLAYED { seen } else { seen.max(seq - MOST_EVENTS) };
            match insight.store.read(scope.clone(), move |conn| report::events_after(conn, after, most)).await {
                Ok(events) => {
                    for event in &events {
                        if sender.send(Ok(message(event))).await.is_err() {
                            return;
                        }
                    }
                }
                Err(error) => tracing::debug!(%error, "live events could not be read"),
            }
            seen = seq;
            most = MOST_EVENTS;
        }
        if stale && totals_at <= tokio::time::Instant::now() {
            totals_at = tokio::time::Instant::now() + TOTALS_EVERY;
            stale = false;
            if let Ok(totals) = totals(&insight.store, scope.clone(), totals_from, insight.clock.now()).await
                && sender.send(Ok(Event::default().event("totals").data(totals.to_string()))).await.is_err()
            {
                return;
            }
        }
    }
}

/// The headline numbers since `from`, or of the last 24 hours.
async fn totals(store: &Store, scope: Scope, from: Option<Micros>, now: Micros) -> Result<Value, StoreError> {
    let last_day = Range::last(DAY, now);
    let range = Range { from: from.map_or(last_day.from, Micros::hour), to: last_day.to };
    let totals = store.read(scope, move |conn| report::totals(conn, &range)).await?;
    Ok(json!({
        "opens_human": totals.opens.human.total,
        "clicks_human": totals.clicks.human.total,
        "opens_proxy": totals.opens.privacy_proxy.total,
        "machine": totals.opens.machine.total + totals.clicks.machine.total,
        "events": totals.all(),
    }))
}

fn message(event: &EventRow) -> Event {
    let verdict = event.verdict.as_ref();
    let data = json!({
        "id": event.id,
        "kind": event.kind,
        "class": verdict.map(|verdict| verdict.class),
        "score": verdict.map(|verdict| verdict.score),
        "reasons": verdict.map(|verdict| verdict.reasons.iter().map(|reason| reason.words).collect::<Vec<_>>()).unwrap_or_default(),
        "campaign": event.campaign_name.clone().or(event.campaign.map(|id| id.to_string())),
        "recipient": event.recipient_key.clone().or(event.recipient.map(|id| id.to_string())),
        "client": event.client,
        "occurred_at": event.occurred_at,
        "link": event.url,
    });
    Event::default().id(event.seq.to_string()).event("event").data(data.to_string())
}
