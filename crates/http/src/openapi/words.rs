//! Schemas and descriptions in words, cut into pieces that a template can mark up.

use serde_json::Value;

/// A piece of a text.
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) code: bool,
    /// The component that it names.
    pub(super) schema: bool,
}

/// A paragraph of a description.
pub(super) struct Paragraph(pub(super) Vec<Piece>);

/// What a schema allows.
pub(super) struct Kind(pub(super) Vec<Piece>);

fn plain(text: impl Into<String>) -> Piece {
    Piece { text: text.into(), code: false, schema: false }
}

fn code(text: impl Into<String>) -> Piece {
    Piece { text: text.into(), code: true, schema: false }
}

/// The paragraphs of a description; what stands between backticks is code.
pub(super) fn paragraphs(description: &Value) -> Vec<Paragraph> {
    let text = description.as_str().unwrap_or_default();
    let pieces = |paragraph: &str| {
        let parts = paragraph.split('`').enumerate().filter(|(_, part)| !part.is_empty());
        Paragraph(parts.map(|(index, part)| if index % 2 == 1 { code(part) } else { plain(part) }).collect())
    };
    text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()).map(pieces).collect()
}

/// What `schema` allows, in a few words.
pub(super) fn kind(schema: &Value) -> Kind {
    let mut pieces = Vec::new();
    say(schema, &mut pieces);
    Kind(pieces)
}

fn say(schema: &Value, pieces: &mut Vec<Piece>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        pieces.push(Piece { text: name.into(), code: false, schema: true });
        return;
    }
    if let Some(value) = schema.get("const") {
        pieces.push(code(value.to_string()));
        return;
    }
    if let Some(values) = schema["enum"].as_array() {
        say_list(values, pieces, |value, pieces| {
            pieces.push(code(value.as_str().map_or(value.to_string(), str::to_owned)))
        });
        return;
    }
    if let Some(choices) = ["oneOf", "anyOf"].iter().find_map(|key| schema[*key].as_array()) {
        say_list(choices, pieces, say);
        return;
    }
    match &schema["type"] {
        Value::Array(types) => say_list(types, pieces, |one, pieces| say_type(one, schema, pieces)),
        one => say_type(one, schema, pieces),
    }
}

fn say_list(all: &[Value], pieces: &mut Vec<Piece>, say_one: impl Fn(&Value, &mut Vec<Piece>)) {
    for (index, one) in all.iter().enumerate() {
        match index {
            0 => (),
            _ if index + 1 == all.len() => pieces.push(plain(" or ")),
            _ => pieces.push(plain(", ")),
        }
        say_one(one, pieces);
    }
}

fn say_type(one: &Value, schema: &Value, pieces: &mut Vec<Piece>) {
    match one.as_str() {
        Some("array") => {
            pieces.push(plain("array of "));
            say(&schema["items"], pieces);
        }
        Some("string") => {
            pieces.push(plain(schema["format"].as_str().unwrap_or("string")));
            if let Some(most) = schema["maxLength"].as_u64() {
                pieces.push(plain(format!(", at most {most} bytes")));
            }
        }
        Some(name @ ("integer" | "number")) => {
            pieces.push(plain(name));
            if let (Some(least), Some(most)) = (schema.get("minimum"), schema.get("maximum")) {
                pieces.push(plain(format!(", {least} to {most}")));
            }
        }
        Some("object") if schema["additionalProperties"].is_object() => {
            pieces.push(plain("object of "));
            say(&schema["additionalProperties"], pieces);
        }
        Some(name) => pieces.push(plain(name)),
        None => pieces.push(plain("anything")),
    }
}
