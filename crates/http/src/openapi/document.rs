//! The OpenAPI document: made from the routing table, so that no route can be left out.

use std::collections::BTreeSet;

use axum::http::Method;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use signalbox_core::problem::Problem;

use super::failure::Failure;
use super::operation::{Answer, Operation, Parameter};
use super::serve::DOCS_PATH;
use crate::caller::Permission;
use crate::route::{Access, COOKIE, Row};

/// What was said about a route.
#[derive(Debug, Clone)]
pub struct Described {
    pub method: Method,
    pub path: String,
    pub operation: Operation,
}

const ABOUT: &str = "\
Signalbox records what happens to mail, judges who caused it, and counts.\n\n\
Errors are problem details (RFC 9457). A parameter that an operation does not have is an error, and so is one that is given twice. \
A method that a path does not have gets 405 and the header `Allow`; `HEAD` is answered wherever `GET` is. \
Instants are RFC 3339; answers give them in UTC. Ids sort by time.";

/// The document over every API route of `table`. A route without a description is in it all the same, and so is a
/// description without a route: a test looks for both.
pub fn document(table: &[Row], described: &[Described]) -> Value {
    let mut schemas = Schemas::new();
    let mut paths: Map<String, Value> = Map::new();
    let mut tags: Vec<Value> = Vec::new();
    let mut undescribed = Vec::new();
    for row in table {
        let found = described.iter().find(|one| one.method == row.method && one.path == row.path);
        let Some(Described { operation, .. }) = found else {
            if is_api(row) {
                undescribed.push(format!("{} {}", row.method, row.path));
            }
            continue;
        };
        let item = paths.entry(row.path.clone()).or_insert_with(|| json!({}));
        item[row.method.as_str().to_ascii_lowercase()] = schemas.operation(row, operation);
    }
    // Features come before what the process says of itself.
    for tag in described.iter().map(|one| one.operation.tag) {
        let tag = json!({"name": tag.name, "description": tag.about});
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    let routeless =
        described.iter().filter(|one| !table.iter().any(|row| row.method == one.method && row.path == one.path));
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Signalbox",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This installation."}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas.finish(),
            "responses": Failure::ALL.iter().map(|one| (one.component(), one.response())).collect::<Map<_, _>>(),
            "headers": headers(),
            "securitySchemes": security_schemes(),
        },
    });
    let routeless: Vec<_> = routeless.map(|one| format!("{} {}", one.method, one.path)).collect();
    for (key, found) in [("x-undescribed", undescribed), ("x-routeless", routeless)] {
        if !found.is_empty() {
            document[key] = json!(found);
        }
    }
    document
}

/// The names of the parameters in the query of `operation`.
pub(super) fn query_names(operation: &Operation) -> BTreeSet<String> {
    let Some(shape) = operation.query else { return BTreeSet::new() };
    let schema = shape(&mut SchemaSettings::draft2020_12().into_generator());
    schema
        .get("properties")
        .and_then(Value::as_object)
        .map(|fields| fields.keys().cloned().collect())
        .unwrap_or_default()
}

/// Whether programs use the route.
fn is_api(row: &Row) -> bool {
    row.path.starts_with("/api/") && row.path != DOCS_PATH
}

/// How the schemas of types become components.
struct Schemas {
    /// For what is answered.
    out: SchemaGenerator,
    /// For what is taken.
    taken: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let mut settings = SchemaSettings::draft2020_12();
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
        let mut out = settings.clone().for_serialize().into_generator();
        out.subschema_for::<Problem>();
        Self { out, taken: settings.for_deserialize().into_generator() }
    }

    fn finish(mut self) -> Value {
        let mut all = self.taken.take_definitions(true);
        all.extend(self.out.take_definitions(true));
        let mut all = Value::Object(all);
        tidy(&mut all);
        all
    }

    fn operation(&mut self, row: &Row, operation: &Operation) -> Value {
        let mut parameters: Vec<Value> = operation.parameters.iter().map(|one| self.parameter(one)).collect();
        if let Some(query) = operation.query {
            parameters.extend(query_parameters(&query(&mut self.taken)));
        }
        let mut responses = Map::new();
        for failure in failures(row, operation) {
            let reference = format!("#/components/responses/{}", failure.component());
            responses.insert(failure.status().to_string(), json!({"$ref": reference}));
        }
        for answer in &operation.answers {
            responses.insert(answer.status.to_string(), self.answer(answer, operation));
        }
        let mut value = json!({
            "operationId": operation.id,
            "tags": [operation.tag.name],
            "summary": operation.summary,
            "security": security(row.access),
            "responses": responses,
        });
        if !operation.about.is_empty() {
            value["description"] = json!(operation.about);
        }
        if !parameters.is_empty() {
            value["parameters"] = json!(parameters);
        }
        if !operation.bodies.is_empty() {
            let content = operation.bodies.iter().map(|body| {
                let examples: Map<_, _> =
                    body.examples.iter().map(|(name, value)| ((*name).to_owned(), json!({"value": value}))).collect();
                (body.media.to_owned(), json!({"schema": (body.shape)(&mut self.taken), "examples": examples}))
            });
            value["requestBody"] = json!({"required": true, "content": content.collect::<Map<_, _>>()});
        }
        tidy(&mut value);
        value
    }

    fn parameter(&mut self, parameter: &Parameter) -> Value {
        json!({
            "in": parameter.place,
            "name": parameter.name,
            "description": parameter.about,
            "required": parameter.place == "path",
            "schema": (parameter.shape)(&mut self.taken),
        })
    }

    fn answer(&mut self, answer: &Answer, operation: &Operation) -> Value {
        let mut value = json!({
            "description": answer.about,
            "headers": {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}},
        });
        if let Some(media) = answer.media {
            let mut content = json!({"schema": (answer.shape)(&mut self.out)});
            if let Some(example) = &answer.example {
                content["examples"] = json!({"usual": {"value": example}});
            }
            for (name, shape) in &answer.messages {
                content["x-messages"][name] = shape(&mut self.out).to_value();
            }
            value["content"] = json!({media: content});
        }
        if answer.status < 300 {
            for link in &operation.links {
                value["links"][link.name] =
                    json!({"operationId": link.operation, "parameters": {link.parameter: link.from}});
            }
        }
        value
    }
}

/// The parameters of a query, from the schema of the type that it is read into.
fn query_parameters(schema: &Schema) -> Vec<Value> {
    let empty = Map::new();
    let fields = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let parameter = |(name, schema): (&String, &Value)| {
        let mut schema = without_null(schema);
        let about = schema.as_object_mut().and_then(|schema| schema.remove("description")).unwrap_or_default();
        let is_required = required.iter().any(|one| one == name);
        json!({"in": "query", "name": name, "description": about, "required": is_required, "schema": schema})
    };
    fields.iter().map(parameter).collect()
}

/// An absent parameter is left out; it is never null.
fn without_null(schema: &Value) -> Value {
    let mut schema = schema.clone();
    let Some(fields) = schema.as_object_mut() else { return schema };
    if let Some(Value::Array(types)) = fields.get_mut("type") {
        types.retain(|one| one != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            fields.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(mut choices)) = fields.remove("anyOf") {
        choices.retain(|one| one != &json!({"type": "null"}));
        match (choices.len(), choices.pop()) {
            (1, Some(Value::Object(only))) => fields.extend(only),
            (_, last) => {
                choices.extend(last);
                fields.insert("anyOf".into(), choices.into());
            }
        }
    }
    schema
}

/// Every way in which the operation can refuse.
fn failures(row: &Row, operation: &Operation) -> BTreeSet<Failure> {
    let mut all: BTreeSet<_> = operation.failures.iter().copied().collect();
    all.insert(Failure::TooManyRequests);
    if is_api(row) {
        all.insert(Failure::NotAcceptable);
        if !all.contains(&Failure::EventsRefused) {
            all.insert(Failure::BadRequest);
        }
    }
    if row.access != Access::Public {
        all.extend([Failure::Unauthenticated, Failure::Forbidden, Failure::Internal, Failure::Unavailable]);
    }
    if !operation.bodies.is_empty() {
        all.extend([Failure::Timeout, Failure::TooLarge, Failure::UnsupportedMediaType]);
    }
    all
}

fn security(access: Access) -> Value {
    match access {
        Access::Public => json!([]),
        _ => {
            let permission = access.permission();
            let words: Vec<_> = permission.iter().map(|permission| permission.word()).collect();
            json!([{"bearer": words}, {"session": words}])
        }
    }
}

fn security_schemes() -> Value {
    let scopes = Permission::ALL.map(|permission| format!("`{permission}`")).join(", ");
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "sbx_…",
            "description": format!(
                "An API token; `signalbox api-token create` makes one. Its scopes are some of {scopes}. \
                 It reaches the principals that it was made for; rows of others do not exist for it."
            ),
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": COOKIE,
            "description": "The cookie that the page `/sign-in` sets.",
        },
    })
}

fn headers() -> Value {
    let header = |about: &str, schema: Value| json!({"description": about, "required": true, "schema": schema});
    json!({
        "RequestId": header("The id under which the request is logged.", json!({"type": "string"})),
        "RetryAfter": header("Seconds after which to try again.", json!({"type": "integer", "minimum": 1})),
        "Authenticate": header("How to sign in.", json!({"type": "string", "const": "Bearer"})),
    })
}

/// Takes out what only Rust knows.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let is_rust_only = |format: &Value| format.as_str().is_some_and(|text| text.starts_with("uint"));
            if fields.get("format").is_some_and(is_rust_only) {
                fields.remove("format");
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => (),
    }
}
