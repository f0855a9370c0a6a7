//! The document as a page: what the JSON says, laid out for reading. Nothing is known here that is not in it.

use askama::Template;
use serde_json::{Map, Value};

use super::words::{Kind, Paragraph, kind, paragraphs};
use crate::page::Frame;

#[derive(Template)]
#[template(path = "api_docs.html")]
struct DocsPage {
    frame: Frame,
    version: String,
    about: Vec<Paragraph>,
    groups: Vec<Group>,
    failures: Vec<Failure>,
    schemas: Vec<SchemaView>,
}

struct Group {
    name: String,
    anchor: String,
    about: String,
    operations: Vec<OperationView>,
}

struct OperationView {
    id: String,
    method: String,
    path: String,
    summary: String,
    about: Vec<Paragraph>,
    /// Empty: everybody.
    permission: String,
    parameters: Vec<Field>,
    bodies: Vec<Form>,
    answers: Vec<AnswerView>,
    /// Statuses of problems, each with the anchor of its words.
    refusals: Vec<(String, String)>,
    curl: String,
}

/// A parameter, or a field of a schema.
struct Field {
    name: String,
    place: String,
    required: bool,
    kind: Kind,
    about: Vec<Paragraph>,
    default: Option<String>,
}

struct Form {
    media: String,
    kind: Kind,
    examples: Vec<String>,
}

struct AnswerView {
    status: String,
    about: Vec<Paragraph>,
    form: Option<Form>,
    messages: Vec<(String, Kind)>,
}

struct Failure {
    anchor: String,
    status: String,
    name: String,
    about: Vec<Paragraph>,
}

struct SchemaView {
    name: String,
    about: Vec<Paragraph>,
    kind: Kind,
    fields: Vec<Field>,
}

/// The page over `document`.
pub(super) fn page(document: &Value) -> askama::Result<String> {
    let components = &document["components"];
    let group = |tag: &Value| {
        let name = text(&tag["name"]);
        let operations = operations(document).filter(|(.., operation)| operation["tags"][0] == tag["name"]);
        Group {
            anchor: name.to_lowercase().replace(' ', "-"),
            about: text(&tag["description"]),
            operations: operations.map(|(path, method, operation)| view(document, path, method, operation)).collect(),
            name,
        }
    };
    let failure = |(name, response): (&String, &Value)| {
        let example = &response["content"]["application/problem+json"]["examples"]["usual"]["value"];
        Failure {
            anchor: name.clone(),
            status: example["status"].to_string(),
            name: text(&example["type"]),
            about: paragraphs(&response["description"]),
        }
    };
    let mut failures: Vec<_> = entries(&components["responses"]).map(failure).collect();
    failures.sort_by(|one, other| one.status.cmp(&other.status));
    DocsPage {
        frame: Frame::new("API", "", None),
        version: text(&document["info"]["version"]),
        about: paragraphs(&document["info"]["description"]),
        groups: document["tags"].as_array().into_iter().flatten().map(group).collect(),
        failures,
        schemas: entries(&components["schemas"]).map(schema_view).collect(),
    }
    .render()
}

/// Path, method and operation, in order of the paths.
fn operations(document: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    entries(&document["paths"])
        .flat_map(|(path, item)| entries(item).map(move |(method, operation)| (path, method, operation)))
}

fn view(document: &Value, path: &str, method: &str, operation: &Value) -> OperationView {
    let permission = &operation["security"][0]["bearer"][0];
    let mut answers = Vec::new();
    let mut refusals = Vec::new();
    for (status, response) in entries(&operation["responses"]) {
        match response["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
            Some(component) => refusals.push((status.clone(), component.to_owned())),
            None => answers.push(answer(status, response)),
        }
    }
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    OperationView {
        id: text(&operation["operationId"]),
        method: method.to_uppercase(),
        path: path.into(),
        summary: text(&operation["summary"]),
        about: paragraphs(&operation["description"]),
        permission: text(permission),
        parameters: parameters
            .map(|one| {
                let schema = &one["schema"];
                Field {
                    name: text(&one["name"]),
                    place: text(&one["in"]),
                    required: one["required"] == true,
                    kind: kind(schema),
                    about: about_of(document, one, schema),
                    default: schema.get("default").map(Value::to_string),
                }
            })
            .collect(),
        bodies: entries(&operation["requestBody"]["content"]).map(form).collect(),
        answers,
        refusals,
        curl: curl(path, method, operation),
    }
}

/// What is said about it, or about the component that it refers to.
fn about_of(document: &Value, one: &Value, schema: &Value) -> Vec<Paragraph> {
    match one["description"].as_str() {
        Some(_) => paragraphs(&one["description"]),
        None => {
            let pointer = schema["$ref"].as_str().map(|reference| reference.trim_start_matches('#'));
            paragraphs(
                pointer.and_then(|pointer| document.pointer(pointer)).map_or(&Value::Null, |to| &to["description"]),
            )
        }
    }
}

fn answer(status: &str, response: &Value) -> AnswerView {
    let content = entries(&response["content"]).next();
    let messages = content.iter().flat_map(|(_, content)| entries(&content["x-messages"]));
    AnswerView {
        status: status.into(),
        about: paragraphs(&response["description"]),
        messages: messages.map(|(name, schema)| (name.clone(), kind(schema))).collect(),
        form: content.map(form),
    }
}

fn form((media, content): (&String, &Value)) -> Form {
    let is_json = media.ends_with("json") && !media.ends_with("ndjson");
    let example = |example: &Value| match &example["value"] {
        Value::String(text) if !is_json => text.trim_end().to_owned(),
        value => format!("{value:#}"),
    };
    Form {
        media: media.clone(),
        kind: kind(&content["schema"]),
        examples: entries(&content["examples"]).map(|(_, value)| example(value)).collect(),
    }
}

fn schema_view((name, schema): (&String, &Value)) -> SchemaView {
    let required = schema["required"].as_array();
    let field = |(name, schema): (&String, &Value)| Field {
        name: name.clone(),
        place: String::new(),
        required: required.is_some_and(|required| required.iter().any(|one| one == name)),
        kind: kind(schema),
        about: paragraphs(&schema["description"]),
        default: None,
    };
    SchemaView {
        name: name.clone(),
        about: paragraphs(&schema["description"]),
        kind: kind(schema),
        // What may only be null is not worth a line.
        fields: entries(&schema["properties"]).filter(|(_, schema)| schema["type"] != "null").map(field).collect(),
    }
}

/// What to type to try it.
fn curl(path: &str, method: &str, operation: &Value) -> String {
    let mut parts = vec!["curl".to_owned()];
    if operation["security"].as_array().is_some_and(|security| !security.is_empty()) {
        parts.push("-H \"Authorization: Bearer $TOKEN\"".into());
    }
    let json = &operation["requestBody"]["content"]["application/json"];
    match (method, json.is_object()) {
        ("get", _) | ("post", true) => (),
        _ => parts.push(format!("-X {}", method.to_uppercase())),
    }
    let mut url = path.to_owned();
    while let Some((before, name, after)) = placeholder(&url) {
        url = format!("{before}${}{after}", name.to_uppercase());
    }
    parts.push(format!("\"$SIGNALBOX{url}\""));
    let mut line = parts.join(" ");
    if let Some((_, example)) = entries(&json["examples"]).next() {
        let body = example["value"].to_string().replace('\'', r"'\''");
        line += &format!(" \\\n  -H 'Content-Type: application/json' \\\n  -d '{body}'");
    }
    line
}

fn placeholder(url: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = url.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
