//! `GET /api/v1/schemas/events`, `GET /api/v1/schemas/events/{kind}`: the JSON schema of each kind of event.

use axum::extract::Path;
use axum::response::Json;
use serde_json::{Map, Value, json};
use signalbox_events::kind::Kind;
use signalbox_events::record::most;
use signalbox_http::reply::{Refusal, Reply};

/// The kinds and where their schemas are.
pub(super) async fn list() -> Json<Value> {
    let kinds: Vec<_> = Kind::ALL.iter().map(|kind| json!({"kind": kind, "schema": path(*kind)})).collect();
    Json(json!({ "items": kinds }))
}

/// The schema of one kind.
pub(super) async fn one(Path(kind): Path<String>) -> Reply<Json<Value>> {
    let kind = kind.trim_end_matches(".json").parse::<Kind>().map_err(|_| Refusal::not_found())?;
    Ok(Json(schema(kind)))
}

fn path(kind: Kind) -> String {
    format!("/api/v1/schemas/events/{kind}.json")
}

/// JSON Schema 2020-12 of what [`crate::wire`] takes.
pub fn schema(kind: Kind) -> Value {
    let text =
        |most: usize, words: &str| json!({"type": "string", "minLength": 1, "maxLength": most, "description": words});
    let mut fields = Map::new();
    let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    add("kind", json!({"const": kind}));
    add("id", text(most::ID, "Unique per principal; sending the same id again records nothing new."));
    add("principal", text(32, "pri_…; needed only when the token reaches several."));
    add("campaign", text(most::KEY, "A campaign's id (cmp_…) or your own name for it."));
    add("message", text(most::KEY, "A message's id (msg_…) or your own."));
    add("recipient", text(most::KEY, "A contact's id (con_…) or your own key, for example an address."));
    add("occurred_at", json!({"type": "string", "format": "date-time", "description": "RFC 3339; now when left out."}));
    add("user_agent", json!({"type": "string", "description": format!("Cut after {} bytes.", most::USER_AGENT)}));
    add("ip", json!({"type": "string", "description": "The reader's IPv4 or IPv6 address."}));
    add("properties", json!({"type": "object", "description": "Anything else, as JSON."}));
    let mut required = vec!["kind"];
    match kind {
        Kind::Clicked => {
            add("url", text(most::URL, "Where the click led."));
            add("link", text(32, "lnk_…, instead of url."));
        }
        Kind::Converted => {
            add("value", json!({"type": "number", "description": "At most 6 decimals and 9 digits before them."}));
            add("currency", json!({"type": "string", "pattern": "^[A-Z]{3}$"}));
            add("link", text(32, "lnk_…: the link that led to it."));
            add("name", text(1024, "What was bought or done."));
            required.extend(["value", "currency"]);
        }
        Kind::Custom => {
            add("name", text(1024, "What happened."));
            required.push("name");
        }
        Kind::Bounced | Kind::Deferred | Kind::Complained => {
            add("code", text(1024, "The enhanced status code, for example 5.1.1."));
            add("reason", text(1024, "The server's words."));
        }
        Kind::Unsubscribed => {
            add("reason", text(1024, "Why, in the person's words."));
        }
        Kind::Sent | Kind::Delivered | Kind::Replied | Kind::Opened => (),
    }
    if kind == Kind::Bounced {
        add("bounce_type", json!({"enum": ["hard", "soft"]}));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": path(kind),
        "title": format!("A {kind} event"),
        "type": "object",
        "properties": fields,
        "required": required,
        "additionalProperties": false,
    })
}
