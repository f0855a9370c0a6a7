//! `GET /api/v1/schemas/events`, `GET /api/v1/schemas/events/{kind}.json`: the JSON schema of each kind of event.

use std::borrow::Cow;

use axum::extract::Path;
use axum::response::Json;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value, json};
use signalbox_core::id::{LinkId, PrincipalId, pattern};
use signalbox_events::kind::Kind;
use signalbox_events::record::most;
use signalbox_http::reply::{Refusal, Reply};

/// The kinds of events.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Kinds {
    items: Vec<KindSchema>,
}

/// A kind, and where its schema is.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct KindSchema {
    kind: Kind,
    /// A path.
    schema: String,
}

/// The name of a schema's file.
pub(super) struct FileName;

/// An event of any kind, as sent.
pub(super) struct Event;

/// One event, or an array of them.
pub(super) struct Events;

/// The kinds and where their schemas are.
pub(super) async fn list() -> Json<Kinds> {
    Json(Kinds { items: Kind::ALL.iter().map(|kind| KindSchema { kind: *kind, schema: path(*kind) }).collect() })
}

/// The schema of one kind.
pub(super) async fn one(Path(name): Path<String>) -> Reply<Json<Value>> {
    let kind = name.strip_suffix(".json").and_then(|kind| kind.parse::<Kind>().ok()).ok_or_else(Refusal::not_found)?;
    Ok(Json(schema(kind)))
}

impl JsonSchema for FileName {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "FileName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = Kind::ALL.iter().map(|kind| format!("{kind}.json")).collect();
        json_schema!({"type": "string", "enum": names})
    }
}

impl JsonSchema for Event {
    fn schema_name() -> Cow<'static, str> {
        "Event".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let place = generator.settings().definitions_path.clone();
        let mut references = Map::new();
        for kind in Kind::ALL {
            let word = kind.word();
            let name = format!("{}{}Event", word[..1].to_uppercase(), &word[1..]);
            let mut schema = schema(*kind);
            if let Some(fields) = schema.as_object_mut() {
                // They name a document of its own.
                fields.remove("$schema");
                fields.remove("$id");
            }
            references.insert(word.to_owned(), json!(format!("#{place}/{name}")));
            generator.definitions_mut().insert(name, schema);
        }
        let choices: Vec<_> = references.values().map(|reference| json!({"$ref": reference})).collect();
        json_schema!({
            "description": "An event of any kind, as sent.",
            "oneOf": choices,
            "discriminator": {"propertyName": "kind", "mapping": references},
        })
    }
}

impl JsonSchema for Events {
    fn schema_name() -> Cow<'static, str> {
        "Events".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let event = generator.subschema_for::<Event>();
        // A bad item is refused by itself; the request is good as long as one item is.
        let item =
            json!({"anyOf": [event, {"description": "Anything else is refused by itself, and named in `errors`."}]});
        json_schema!({
            "description": "One event, or an array of events.",
            "anyOf": [event, {"type": "array", "minItems": 1, "maxItems": 10_000, "items": item}],
        })
    }
}

fn path(kind: Kind) -> String {
    format!("/api/v1/schemas/events/{kind}.json")
}

/// JSON Schema 2020-12 of what [`crate::wire`] takes. Null is as good as left out.
pub fn schema(kind: Kind) -> Value {
    let text = |most: usize, words: &str| json!({"type": ["string", "null"], "minLength": 1, "maxLength": most, "pattern": TEXT, "description": words});
    let id = |prefix: &str, words: &str| json!({"type": ["string", "null"], "pattern": pattern(prefix), "description": words});
    let none = json!({"type": "null"});
    let mut fields: Map<String, Value> = OF_SOME.iter().map(|name| ((*name).to_owned(), none.clone())).collect();
    let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    add("kind", json!({"const": kind}));
    add("id", text(most::ID, "Unique per principal; sending the same id again records nothing new."));
    add("principal", id(PrincipalId::PREFIX, "`pri_…`; needed only when the token reaches several."));
    add("campaign", text(most::KEY, "A campaign's id (`cmp_…`) or your own name for it."));
    add("message", text(most::KEY, "A message's id (`msg_…`) or your own."));
    add("recipient", text(most::KEY, "A contact's id (`con_…`) or your own key, for example an address."));
    add(
        "occurred_at",
        json!({"type": ["string", "null"], "format": "date-time",
            "description": "Now when left out; at most 5 minutes ahead and 5 years back."}),
    );
    add(
        "user_agent",
        json!({"type": ["string", "null"], "pattern": NO_CONTROL,
            "description": format!("Of the reader; cut after {} bytes.", most::USER_AGENT)}),
    );
    add(
        "ip",
        json!({"description": "The reader's IPv4 or IPv6 address.",
            "anyOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}, none]}),
    );
    add("properties", json!({"type": ["object", "null"], "description": "Anything else, as JSON."}));
    let mut required = vec!["kind"];
    match kind {
        Kind::Clicked => {
            let mut url = text(most::URL, "Where the click led: an `http` or `https` address.");
            url["pattern"] = json!(WEB);
            add("url", url);
            add("link", id(LinkId::PREFIX, "`lnk_…`, instead of url."));
        }
        Kind::Converted => {
            let words = "At most 6 decimals and 9 digits before them, as a number or, exactly as written, as a text.";
            add(
                "value",
                json!({"description": words, "anyOf": [
                    {"type": "number", "exclusiveMinimum": -1e9, "exclusiveMaximum": 1e9},
                    {"type": "string", "pattern": "^-?[0-9]{1,9}([.][0-9]{1,6})?$"},
                ]}),
            );
            add(
                "currency",
                json!({"type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217, for example `EUR`."}),
            );
            add("link", id(LinkId::PREFIX, "`lnk_…`: the link that led to it."));
            add("name", text(1024, "What was bought or done."));
            required.extend(["value", "currency"]);
        }
        Kind::Custom => {
            let mut name = text(1024, "What happened.");
            name["type"] = json!("string");
            add("name", name);
            required.push("name");
        }
        Kind::Bounced | Kind::Deferred | Kind::Complained => {
            add("code", text(1024, "The enhanced status code, for example `5.1.1`."));
            add("reason", text(1024, "The server's words."));
        }
        Kind::Unsubscribed => {
            add("reason", text(1024, "Why, in the person's words."));
        }
        Kind::Sent | Kind::Delivered | Kind::Replied | Kind::Opened => (),
    }
    if kind == Kind::Bounced {
        add("bounce_type", json!({"enum": ["hard", "soft", null]}));
    }
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": path(kind),
        "title": format!("A {kind} event"),
        "type": "object",
        "properties": fields,
        "required": required,
        "additionalProperties": false,
    });
    if kind == Kind::Clicked {
        // They name the same thing.
        let both = json!({"url": {"type": "string"}, "link": {"type": "string"}});
        schema["not"] = json!({"properties": both, "required": ["url", "link"]});
    }
    schema
}

/// Fields that belong to some kinds only.
const OF_SOME: [&str; 8] = ["url", "link", "value", "currency", "name", "bounce_type", "code", "reason"];
/// Not blank, and without control characters.
const TEXT: &str =
    "^[^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*$";
/// An address of the web, without control characters.
const WEB: &str =
    "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#:\\s\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*$";
const NO_CONTROL: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";
