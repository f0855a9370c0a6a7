//! `GET /ops/releases/{id}/live`: the live parts of a page as server-sent events, a quarter of a second apart at least.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Extension, Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive, KeepAliveStream};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use serde::Deserialize;
use signalbox_http::caller::Caller;
use signalbox_http::reply::Reply;
use signalbox_http::standing::Standing;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::release::{Asked, Parts, body};
use super::{House, door, text};

/// What happens in between is told together.
const PACE: Duration = Duration::from_millis(250);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    journal: String,
}

struct Reader {
    house: House,
    caller: Caller,
    standing: Standing,
    id: String,
    asked: Asked,
    changes: tokio::sync::watch::Receiver<u64>,
    last: String,
    not_before: Instant,
    until: Instant,
    over: bool,
}

pub(super) async fn stream(
    State(house): State<House>,
    Extension(caller): Extension<Caller>,
    Extension(standing): Extension<Standing>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Reply<Sse<KeepAliveStream<BoxStream<'static, Result<Event, Infallible>>>>> {
    let id = house.controller.one(&id)?.id;
    let now = Instant::now();
    let reader = Reader {
        changes: house.controller.changes(),
        until: now + door::stream_lasts(&house.door, &headers),
        house,
        caller,
        standing,
        id,
        asked: Asked { journal: wanted.journal, done: String::new() },
        last: String::new(),
        not_before: now,
        over: false,
    };
    let events = stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok::<_, Infallible>(event), reader))
    });
    Ok(Sse::new(events.boxed()).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

impl Reader {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if self.over {
                return None;
            }
            sleep_until(self.not_before).await;
            self.not_before = Instant::now() + PACE;
            self.changes.mark_unchanged();
            if !self.standing.holds().await {
                return None;
            }
            let body = body(&self.house, &self.caller, &self.id, &self.asked).await.ok()?;
            self.over = body.is_over;
            let parts = text(&Parts { body: &body }).ok()?;
            if parts != self.last {
                self.last.clone_from(&parts);
                let event = if self.over { "end" } else { "parts" };
                return Some(Event::default().event(event).data(parts));
            }
            // Time goes on in the pictures too.
            let soon = Instant::now() + Duration::from_secs(1);
            if Instant::now() >= self.until {
                return None;
            }
            if let Ok(changed) = timeout_at(soon, self.changes.changed()).await {
                changed.ok()?;
            }
        }
    }
}
