use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_core::setting::did_you_mean;

use crate::model::text::written_as_text;
use crate::model::value::Version;

const KNOWN: [&str; 3] = ["port", "version", "data"];

/// Text with `{port}`, `{version}` and `{data}` in it; `{{` and `}}` are braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Port,
    Version,
    Data,
}

/// What the placeholders of one instance stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholders {
    pub port: u16,
    pub version: Version,
    /// The folder that the instances of the service share.
    pub data: String,
}

impl Template {
    /// The text with everything filled in.
    pub fn fill(&self, with: &Placeholders) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Port => text.push_str(&with.port.to_string()),
                Piece::Version => text.push_str(with.version.as_str()),
                Piece::Data => text.push_str(&with.data),
            }
        }
        text
    }

    /// Whether `{port}` is in it.
    pub fn has_port(&self) -> bool {
        self.pieces.contains(&Piece::Port)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('\0') {
            return Err(format!("{text:?} holds a zero byte, which no program can be given"));
        }
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let tail = &rest[at..];
            if let Some(after) = tail.strip_prefix("{{").or_else(|| tail.strip_prefix("}}")) {
                plain.push_str(&tail[..1]);
                rest = after;
                continue;
            }
            let name = tail.strip_prefix('{').and_then(|tail| tail.split_once('}'));
            let Some((name, after)) = name else {
                return Err(format!(
                    "{text:?} has a brace without its other half; write {{{{ or }}}} for a brace itself"
                ));
            };
            let piece = match name {
                "port" => Piece::Port,
                "version" => Piece::Version,
                "data" => Piece::Data,
                _ => {
                    let hint = did_you_mean(name, KNOWN);
                    return Err(format!(
                        "{{{name}}} is not known; there are {{port}}, {{version}} and {{data}}{hint}; write {{{{ for a brace itself"
                    ));
                }
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(piece);
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self { text: text.to_owned(), pieces })
    }
}

written_as_text!(Template, "Template", "Text with {port}, {version} and {data} filled in.", "--port={port}");

/// A program and its arguments. No shell reads it, so nothing needs quoting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Command(#[schemars(length(min = 1))] Vec<Template>);

impl Command {
    /// Program and arguments with everything filled in.
    pub fn fill(&self, with: &Placeholders) -> Vec<String> {
        self.0.iter().map(|word| word.fill(with)).collect()
    }

    /// Its words.
    pub fn words(&self) -> &[Template] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let wrong =
            || serde::de::Error::custom("a command is a list, the program first: [\"./shop\", \"--port\", \"{port}\"]");
        let value = serde_json::Value::deserialize(input)?;
        let words = value.as_array().filter(|words| !words.is_empty()).ok_or_else(wrong)?;
        let words: Result<Vec<_>, D::Error> = words
            .iter()
            .map(|word| word.as_str().ok_or_else(wrong)?.parse::<Template>().map_err(serde::de::Error::custom))
            .collect();
        let words = words?;
        if words[0].to_string().trim().is_empty() { Err(wrong()) } else { Ok(Self(words)) }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, word) in self.0.iter().enumerate() {
            let space = if number == 0 { "" } else { " " };
            let plain = !word.text.is_empty() && !word.text.contains([' ', '"', '\'', '\\', '\t', '\n']);
            if plain { write!(out, "{space}{word}")? } else { write!(out, "{space}{:?}", word.text)? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_and_braces_stay() {
        let with = Placeholders { port: 9001, version: "1.4.0".parse().unwrap(), data: "data".into() };
        let fill = |text: &str| text.parse::<Template>().map(|template| template.fill(&with));
        assert_eq!(fill("--port={port}"), Ok("--port=9001".into()));
        assert_eq!(fill("{data}/{version}.log"), Ok("data/1.4.0.log".into()));
        assert_eq!(fill("{{\"a\": {port}}}"), Ok("{\"a\": 9001}".into()));
        assert_eq!(fill(""), Ok(String::new()));
        assert!(fill("{prot}").unwrap_err().contains("did you mean \"port\"?"));
        for wrong in ["{", "}", "{port", "a}b", "{}", "\0"] {
            assert!(fill(wrong).is_err(), "{wrong}");
        }
    }
}
