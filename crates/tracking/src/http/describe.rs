//! What tracking's API operations say about themselves.

use axum::http::Method;

use serde_json::{Map, Value, json};
use signalbox_http::openapi::{Body, Failure, Operation, Tag, shape};
use signalbox_http::route::Routes;

use super::events::Receipt;
use super::schema::{Events, FileName, Kinds, schema};
use signalbox_events::kind::Kind;

const EVENTS: Tag = Tag { name: "Events", about: "What happened to messages: recorded, and read back one by one." };
const SCHEMAS: Tag = Tag { name: "Event schemas", about: "JSON schemas (2020-12) of the events that can be sent." };

/// Adds the descriptions.
pub(super) fn describe(routes: Routes) -> Routes {
    routes
        .describe(Method::POST, "/api/v1/events", record())
        .describe(
            Method::GET,
            "/api/v1/schemas/events",
            Operation::new(SCHEMAS, "listEventSchemas", "The kinds of events").answers_json::<Kinds>(
                "Every kind, and the path of its schema.",
                json!({"items": [{"kind": "opened", "schema": "/api/v1/schemas/events/opened.json"}]}),
            ),
        )
        .describe(
            Method::GET,
            "/api/v1/schemas/events/{kind}",
            Operation::new(SCHEMAS, "getEventSchema", "The schema of one kind of event")
                .path::<FileName>("kind", "The kind, and `.json`.")
                .answers_json::<Map<String, Value>>("A JSON schema.", schema(Kind::Replied)),
        )
}

fn record() -> Operation {
    let open = json!({"kind": "opened", "campaign": "spring", "message": "m-17", "recipient": "anna@example.org",
        "ip": "192.0.2.7", "user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Thunderbird/140.0"});
    let conversion = json!({"kind": "converted", "id": "order-4711", "recipient": "anna@example.org", "campaign": "spring",
        "value": "49.9", "currency": "EUR", "properties": {"plan": "pro"}});
    let bounce =
        json!({"kind": "bounced", "message": "m-18", "bounce_type": "hard", "code": "5.1.1", "reason": "no such user"});
    let lines = format!("{open}\n{bounce}\n");
    Operation::new(EVENTS, "recordEvents", "Record one event or many")
        .about(
            "One JSON object, an array of objects, or one object per line (NDJSON), in UTF-8; without a content type the body is \
             taken as what it looks like. `Content-Encoding: gzip` is accepted. At most 10,000 events and 16 MiB, before and after \
             decompression, unless the settings `intake.batch_events` and `intake.batch_bytes` say otherwise.\n\n\
             An event that is wrong does not sink the others: it is named in `errors`. The events of one request are committed \
             together, and are on disk before the answer. Sending an id again records nothing new. A field that is `null` counts as left out.\n\n\
             Lengths are counted in bytes of UTF-8. `name`, `reason`, `code`, `bounce_type` and `properties` together take at most \
             8,192 bytes; no text holds a NUL character.",
        )
        .body(Body {
            media: "application/json",
            shape: shape::<Events>(),
            examples: vec![("several", json!([open, conversion, bounce])), ("single", open)],
        })
        .body(Body {
            media: "application/x-ndjson",
            shape: shape::<Lines>(),
            examples: vec![("lines", json!(lines))],
        })
        .answers_json::<Receipt>(
            "At least one event is recorded.",
            json!({
                "recorded": 2, "ids": ["order-4711", null, "evt_06xnysvwc0003"],
                "errors": [{"index": 1, "detail": "unknown field `colour`"}],
            }),
        )
        .fails(Failure::EventsRefused)
}

/// One event per line.
#[derive(schemars::JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "its schema is all that is wanted")]
struct Lines(String);
