//! `GET /api/v1/live`: what happens, as server-sent events. One poll of the cursor per process, however many watch.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::sse::{Event, KeepAlive, KeepAliveStream, Sse};
use schemars::JsonSchema;
use serde::Serialize;
use signalbox_core::time::{DAY, Micros};
use signalbox_events::kind::{Class, Kind};
use signalbox_http::caller::Caller;
use signalbox_http::extract::Params;
use signalbox_http::reply::{Refusal, Reply};
use signalbox_http::standing::Standing;
use signalbox_store::{Scope, Store, StoreError};
use tokio::sync::watch;
use tokio_stream::wrappers::ReceiverStream;

use crate::api::Insight;
use crate::report::{self, EventRow, Range};

const POLL: Duration = Duration::from_millis(250);
/// Events told at once at most; a flood is told by its totals.
const MOST_EVENTS: i64 = 50;
/// Events replayed to somebody who comes back.
const MOST_REPLAYED: i64 = 500;
/// How far back events are looked for: a watcher of few among many must not cost a walk through all of them.
const LOOK_BACK: i64 = 100_000;
/// Totals are computed for one watcher at most this often.
const TOTALS_EVERY: Duration = Duration::from_millis(500);

/// A stream outlives the right to see it by no more than this when something happens …
const RIGHT_EVERY: Duration = Duration::from_secs(1);
/// … and by no more than this when nothing does.
const RIGHT_EVERY_IDLE: Duration = Duration::from_secs(30);

/// What is watched.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LiveQuery {
    /// From when on the totals count; left out, the last 24 hours.
    from: Option<Micros>,
}

/// The data of a message `event`; its id is the seq.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LiveEvent<'e> {
    id: &'e str,
    kind: Kind,
    class: Option<Class>,
    /// 0 speaks for a person, 1 for a machine.
    score: Option<f64>,
    /// The signals, in words.
    reasons: Vec<&'static str>,
    /// Your name for the campaign, or its id.
    campaign: Option<String>,
    /// Your key for the contact, or its id.
    recipient: Option<String>,
    client: &'static str,
    occurred_at: Micros,
    /// Where a click led.
    link: Option<&'e str>,
}

/// The data of a message `totals`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LiveTotals {
    opens_human: i64,
    clicks_human: i64,
    opens_proxy: i64,
    machine: i64,
    events: i64,
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
    Extension(standing): Extension<Standing>,
    Params(query): Params<LiveQuery>,
    headers: HeaderMap,
) -> Reply<Sse<KeepAliveStream<ReceiverStream<Result<Event, Infallible>>>>> {
    let resume = headers.get("last-event-id").map(read_seq).transpose()?;
    // A restored store may be behind what a watcher saw of the one before it.
    let newest = insight.store.read(Scope::all(), report::projected_seq).await?;
    let start = resume.map_or(newest, |seen| seen.min(newest));
    let (sender, receiver) = tokio::sync::mpsc::channel(16);
    tokio::spawn(watch(insight, caller.scope, standing, start, resume.is_some(), query.from, sender));
    Ok(Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

/// Tells one watcher, until it goes away.
async fn watch(
    insight: Insight,
    scope: Scope,
    standing: Standing,
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
    let mut checked_at = tokio::time::Instant::now();
    loop {
        tokio::select! {
            changed = cursor.changed() => if changed.is_err() { return },
            () = tokio::time::sleep_until(totals_at), if stale => (),
            () = tokio::time::sleep_until(checked_at + RIGHT_EVERY_IDLE) => (),
            () = sender.closed() => return,
            _ = ended.wait_for(|ended| *ended) => return,
        }
        if checked_at.elapsed() >= RIGHT_EVERY {
            if !standing.holds().await {
                return;
            }
            checked_at = tokio::time::Instant::now();
        }
        let seq = (*cursor.borrow_and_update()).max(0);
        if seq > seen {
            stale = true;
            // Of a flood only the newest are told; the cursor still moves past all of it.
            let after = seen.max(seq - LOOK_BACK);
            seen = seq;
            match insight.store.read(scope.clone(), move |conn| report::events_after(conn, after, most)).await {
                Ok(events) => {
                    // They may be ahead of the cursor, which is polled: none of them is told twice.
                    seen = events.last().map_or(seen, |event| event.seq.max(seen));
                    for event in &events {
                        if sender.send(Ok(message(event))).await.is_err() {
                            return;
                        }
                    }
                }
                Err(error) => tracing::debug!(%error, "live events could not be read"),
            }
            most = MOST_EVENTS;
        }
        if stale && totals_at <= tokio::time::Instant::now() {
            totals_at = tokio::time::Instant::now() + TOTALS_EVERY;
            stale = false;
            if let Ok(totals) = totals(&insight.store, scope.clone(), totals_from, insight.clock.now()).await
                && sender.send(Ok(Event::default().event("totals").data(in_json(&totals)))).await.is_err()
            {
                return;
            }
        }
    }
}

/// The headline numbers since `from`, or of the last 24 hours.
async fn totals(store: &Store, scope: Scope, from: Option<Micros>, now: Micros) -> Result<LiveTotals, StoreError> {
    let last_day = Range::last(DAY, now);
    let range = Range { from: from.map_or(last_day.from, Micros::hour), to: last_day.to };
    let totals = store.read(scope, move |conn| report::totals(conn, &range)).await?;
    Ok(LiveTotals {
        opens_human: totals.opens.human.total,
        clicks_human: totals.clicks.human.total,
        opens_proxy: totals.opens.privacy_proxy.total,
        machine: totals.opens.machine.total + totals.clicks.machine.total,
        events: totals.all(),
    })
}

fn message(event: &EventRow) -> Event {
    let verdict = event.verdict.as_ref();
    let data = LiveEvent {
        id: &event.id,
        kind: event.kind,
        class: verdict.map(|verdict| verdict.class),
        score: verdict.map(|verdict| verdict.score),
        reasons: verdict.map_or_else(Vec::new, |verdict| verdict.reasons.iter().map(|reason| reason.words).collect()),
        campaign: event.campaign_name.clone().or(event.campaign.map(|id| id.to_string())),
        recipient: event.recipient_key.clone().or(event.recipient.map(|id| id.to_string())),
        client: event.client,
        occurred_at: event.occurred_at,
        link: event.url.as_deref(),
    };
    Event::default().id(event.seq.to_string()).event("event").data(in_json(&data))
}

fn in_json(data: &impl Serialize) -> String {
    serde_json::to_string(data).unwrap_or_default()
}

/// The seq that a browser saw last, as it was given.
fn read_seq(value: &HeaderValue) -> Reply<i64> {
    let seq = value.to_str().ok().and_then(|text| text.parse().ok()).filter(|seq| *seq >= 0);
    seq.ok_or_else(|| Refusal::bad_request("Last-Event-ID: not one that this stream gave"))
}
