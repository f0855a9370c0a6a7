//! `POST /api/v1/events`

use std::io::Read as _;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use signalbox_core::problem::ItemProblem;
use signalbox_events::chunk::Packed;
use signalbox_http::caller::Caller;
use signalbox_http::reply::{Refusal, Reply};
use signalbox_http::room::is_too_long;
use signalbox_http::shell::Origin;
use tokio::sync::SemaphorePermit;
use tokio_stream::StreamExt as _;

use super::Tracking;
use crate::intake::Outcome;
use crate::wire::{Sender, pack, split};

const BODY_PATIENCE: Duration = Duration::from_secs(10);
/// Bodies are taken in as long as they fit together into so many units of this size.
pub(super) const UNIT_BYTES: usize = 64 << 10;
pub(super) const UNITS: usize = 512;

/// Names that NDJSON goes by.
const LINES: [&str; 5] = [
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/jsonlines",
];

/// What became of a batch.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Receipt {
    /// Events that are on disk now (a repeated id counts: it was recorded before).
    recorded: usize,
    /// One id per event of the request, null for refused ones.
    ids: Vec<Option<String>>,
    /// What is wrong with the refused ones; left out when there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ItemProblem>,
}

pub(super) async fn record(
    State(tracking): State<Tracking>,
    Extension(caller): Extension<Caller>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    body: Body,
) -> Reply<Response> {
    let place = place(&tracking, &headers).await?;
    let body = read_body(&headers, body, tracking.batch_bytes).await?;
    let gate = &tracking.gate;
    let now = gate.clock.now();
    let sender = Sender {
        scope: &caller.scope,
        principal: caller
            .scope
            .only()
            .or_else(|| caller.scope.contains(tracking.default_principal).then_some(tracking.default_principal)),
        request_id: if origin.trusted { &origin.request_id } else { "" },
        now,
    };
    let items = split(&body, is_lines(&headers), tracking.batch_events).map_err(Refusal::bad_request)?;
    let mut packed = Packed::default();
    let (mut ids, mut errors) = (Vec::with_capacity(items.len()), Vec::new());
    for (index, item) in items.iter().enumerate() {
        let taken = item.as_ref().map_err(String::clone);
        match taken.and_then(|item| pack(item, &sender, gate.ids.next_at(now), &mut packed)) {
            Ok(id) => ids.push(Some(id)),
            Err(detail) => {
                ids.push(None);
                errors.push(ItemProblem { index, detail });
            }
        }
    }
    tracking.counters.rejected_items.inc_by(errors.len() as u64);
    let recorded = packed.count() as usize;
    drop(items);
    drop(body);
    drop(place);
    if recorded == 0 {
        let mut refusal = Refusal::new(
            StatusCode::BAD_REQUEST,
            "events-refused",
            "No event was recorded",
            "Every event of the request is wrong; see errors.",
        );
        refusal.0.errors = errors;
        return Err(refusal);
    }
    match tracking.intake.record(packed, tracking.patience).await {
        Ok(Outcome::Recorded) => Ok(Json(Receipt { recorded, ids, errors }).into_response()),
        Ok(Outcome::Unrecorded) => {
            tracking.counters.unrecorded_store.inc_by(recorded as u64);
            Err(Refusal::unavailable(
                "The events could not be made durable. Send them again with the same ids: nothing is counted twice.",
                2,
            ))
        }
        Err(_) => {
            tracking.counters.unrecorded_overload.inc_by(recorded as u64);
            Err(Refusal::unavailable(
                "More events arrive than can be stored. Send these again later with the same ids.",
                1,
            ))
        }
    }
}

/// Whether the content type says: one event per line.
fn is_lines(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    LINES.iter().any(|name| kind.eq_ignore_ascii_case(name))
}

fn announced_bytes(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Room for the body in memory, before any of it is read.
async fn place<'t>(tracking: &'t Tracking, headers: &HeaderMap) -> Reply<SemaphorePermit<'t>> {
    let plain = !headers.contains_key(header::CONTENT_ENCODING);
    let bytes = announced_bytes(headers).filter(|_| plain).unwrap_or(tracking.batch_bytes).min(tracking.batch_bytes);
    let units = u32::try_from(bytes.div_ceil(UNIT_BYTES).clamp(1, UNITS)).unwrap_or(1);
    match tokio::time::timeout(tracking.patience, tracking.bodies.acquire_many(units)).await {
        Ok(Ok(place)) => Ok(place),
        _ => Err(Refusal::unavailable("Too many large requests at once. Send this one again.", 1)),
    }
}

/// The whole body, decompressed, within its limit.
async fn read_body(headers: &HeaderMap, body: Body, most: usize) -> Reply<Bytes> {
    let too_large = || {
        Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The body is too large",
            format!("At most {most} bytes, after decompression."),
        )
    };
    // Its place is taken: growing step by step would take more than that.
    let mut raw = Vec::with_capacity(announced_bytes(headers).unwrap_or(0).min(most));
    let mut stream = body.into_data_stream();
    loop {
        // A client that stops sending does not keep its place.
        match tokio::time::timeout(BODY_PATIENCE, stream.next()).await {
            Ok(None) => break,
            Ok(Some(Ok(part))) if raw.len() + part.len() <= most => raw.extend_from_slice(&part),
            Ok(Some(Ok(_))) => return Err(too_large()),
            Ok(Some(Err(error))) if is_too_long(&error) => return Err(too_large()),
            Ok(Some(Err(_))) => return Err(Refusal::bad_request("The body ended early.")),
            Err(_) => {
                let detail = "Nothing of the body came for 10 seconds.";
                return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "timeout", "The request took too long", detail));
            }
        }
    }
    let raw = Bytes::from(raw);
    let coding = headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim());
    match coding.map(str::to_ascii_lowercase).as_deref() {
        None | Some("identity" | "") => Ok(raw),
        Some("gzip" | "x-gzip") => {
            // A few bytes may stand for gigabytes: reading stops at the limit, on a thread that may block.
            let inflated = tokio::task::spawn_blocking(move || {
                let mut text = Vec::new();
                let read = flate2::read::MultiGzDecoder::new(raw.as_ref()).take(most as u64 + 1).read_to_end(&mut text);
                read.map(|_| text)
            });
            match inflated.await {
                Ok(Ok(text)) if text.len() > most => Err(too_large()),
                Ok(Ok(text)) => Ok(Bytes::from(text)),
                _ => Err(Refusal::bad_request("The body is not gzip, although content-encoding says so.")),
            }
        }
        Some(other) => Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-encoding",
            "The content encoding is not supported",
            format!("{other:?} is not supported; send gzip or no encoding."),
        )),
    }
}
