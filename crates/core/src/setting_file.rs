//! A TOML file that knows its lines: unknown keys and wrong values are told as `release.toml:14: …`, all of them at once.
//!
//! The shape of the file is a serde struct whose values are [`Field`]s; its JSON schema says which keys there are.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

use crate::setting::did_you_mean;

/// Something is wrong at a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// From 1.
    pub line: usize,
    pub message: String,
}

/// Everything that is wrong with a file, a line of text each, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    file: String,
    list: Vec<Fault>,
}

impl Faults {
    /// What is wrong, in order of the lines.
    pub fn list(&self) -> &[Fault] {
        &self.list
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.list.iter().enumerate() {
            let newline = if number == 0 { "" } else { "\n" };
            write!(out, "{newline}{}:{}: {}", self.file, fault.line, fault.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// A value as the file says it: good, or with what is wrong; and where it stands.
#[derive(Debug, Clone)]
pub struct Field<T> {
    /// The value, or what would be right.
    pub value: Result<T, String>,
    /// Its first byte in the file.
    pub at: usize,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let spanned = toml::Spanned::<toml::Value>::deserialize(input)?;
        let at = spanned.span().start;
        let value = T::deserialize(spanned.into_inner()).map_err(|error| error.message().to_owned());
        Ok(Self { value, at })
    }
}

impl<T: schemars::JsonSchema> schemars::JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// A parsed file.
#[derive(Debug)]
pub struct Document<'t> {
    name: String,
    text: &'t str,
    root: DeTable<'t>,
    /// Which key has the value that begins at this byte.
    paths: BTreeMap<usize, String>,
}

impl<'t> Document<'t> {
    /// Reads `text`, which errors call `name`.
    pub fn parse(name: &str, text: &'t str) -> Result<Self, Faults> {
        let (root, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let list = errors.iter().map(|error| Fault {
                line: error.span().map_or(1, |span| line_at(text, span.start)),
                message: error.message().replace('\n', ", "),
            });
            return Err(faults(name, list.collect()));
        }
        let root = root.into_inner();
        let mut paths = BTreeMap::new();
        note_paths(&root, "", &mut paths);
        Ok(Self { name: name.to_owned(), text, root, paths })
    }

    /// The line of a byte.
    pub fn line_at(&self, at: usize) -> usize {
        line_at(self.text, at)
    }

    /// The line on which the key or section stands; in a list of sections, the first that has it.
    pub fn line_of(&self, path: &[&str]) -> Option<usize> {
        find(&self.root, path).map(|at| self.line_at(at))
    }

    /// Keys that `schema` does not know, and sections and lists that are something else.
    pub fn misfits(&self, schema: &Json) -> Vec<Fault> {
        let mut faults = Vec::new();
        self.walk(&self.root, schema, schema, "", &mut faults);
        faults
    }

    /// The whole file as `T`, where [`Document::misfits`] found nothing.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Faults> {
        toml::from_str(self.text).map_err(|error| {
            let line = error.span().map_or(1, |span| self.line_at(span.start));
            self.faults(vec![Fault { line, message: error.message().to_owned() }])
        })
    }

    /// These faults as one error.
    pub fn faults(&self, list: Vec<Fault>) -> Faults {
        faults(&self.name, list)
    }

    fn walk(&self, table: &DeTable<'t>, schema: &Json, root: &Json, path: &str, faults: &mut Vec<Fault>) {
        let schema = resolve(schema, root);
        let known = schema["properties"].as_object();
        for (key, value) in table {
            let name: &str = key.get_ref();
            let line = self.line_at(key.span().start);
            let inside = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            let any = &schema["additionalProperties"];
            if let Some(wanted) = known.and_then(|known| known.get(name)) {
                self.compare(value.get_ref(), resolve(wanted, root), root, &inside, line, faults);
            } else if any.is_object() {
                self.compare(value.get_ref(), resolve(any, root), root, &inside, line, faults);
            } else if let Some(known) = known {
                let hint = did_you_mean(name, known.keys().map(String::as_str));
                let message = match (path, value.get_ref()) {
                    ("", DeValue::Table(_)) => format!("unknown section [{name}]{hint}"),
                    ("", DeValue::Array(list)) if list.iter().any(|one| one.get_ref().is_table()) => {
                        format!("unknown section [[{name}]]{hint}")
                    }
                    ("", _) => format!("unknown key {name:?} outside of the sections{hint}"),
                    _ => format!("unknown key {name:?} in {}{hint}", section(path)),
                };
                faults.push(Fault { line, message });
            }
        }
    }

    fn compare(&self, value: &DeValue<'t>, schema: &Json, root: &Json, path: &str, line: usize, out: &mut Vec<Fault>) {
        let sections = &schema["items"];
        let table_of = |schema: &Json| schema["properties"].is_object() || schema["additionalProperties"].is_object();
        match value {
            DeValue::Table(table) if table_of(schema) => self.walk(table, schema, root, path, out),
            DeValue::Array(list) if sections.is_object() => {
                for (number, one) in list.iter().enumerate() {
                    let line = self.line_at(one.span().start);
                    let path = format!("{path}[{}]", number + 1);
                    self.compare(one.get_ref(), resolve(sections, root), root, &path, line, out);
                }
            }
            _ if table_of(schema) => {
                out.push(Fault { line, message: format!("{path} is a section; write {}", section(path)) });
            }
            _ if sections.is_object() && table_of(resolve(sections, root)) => {
                out.push(Fault { line, message: format!("{path} is a list of sections; write [[{path}]]") });
            }
            _ if sections.is_object() => {
                out.push(Fault { line, message: format!("{path} is a list; write {path} = [\"…\", \"…\"]") });
            }
            _ => (),
        }
    }
}

/// Takes fields apart and gathers what is wrong with them.
#[derive(Debug)]
pub struct Reader<'d, 't> {
    document: &'d Document<'t>,
    faults: Vec<Fault>,
}

impl<'d, 't> Reader<'d, 't> {
    /// A reader that knows these faults already.
    pub fn new(document: &'d Document<'t>, faults: Vec<Fault>) -> Self {
        Self { document, faults }
    }

    /// The value, where it is said and good.
    pub fn take<T>(&mut self, field: Option<Field<T>>) -> Option<T> {
        let Field { value, at } = field?;
        value.map_err(|message| self.wrong(at, message)).ok()
    }

    /// The good ones among these.
    pub fn each<T>(&mut self, fields: Vec<Field<T>>) -> Vec<T> {
        fields.into_iter().filter_map(|field| self.take(Some(field))).collect()
    }

    /// The value of `key`, which must be said in `section`.
    pub fn needed<T>(&mut self, section_path: &str, key: &str, field: Option<Field<T>>) -> Option<T> {
        if field.is_none() {
            self.missing(section_path, &format!("needs {key:?}"));
        }
        self.take(field)
    }

    /// Something is missing in a section.
    pub fn missing(&mut self, section_path: &str, what: &str) {
        let parts: Vec<&str> = section_path.split('.').collect();
        let line = self.document.line_of(&parts).unwrap_or(1);
        self.faults.push(Fault { line, message: format!("{} {what}", section(section_path)) });
    }

    /// The value that begins at this byte is wrong.
    pub fn wrong(&mut self, at: usize, message: impl fmt::Display) {
        let line = self.document.line_at(at);
        let message = match self.document.paths.get(&at) {
            Some(path) => format!("{path}: {message}"),
            None => message.to_string(),
        };
        self.faults.push(Fault { line, message });
    }

    /// Nothing, or everything that was found.
    pub fn finish(self) -> Result<(), Faults> {
        if self.faults.is_empty() { Ok(()) } else { Err(self.document.faults(self.faults)) }
    }
}

fn faults(name: &str, mut list: Vec<Fault>) -> Faults {
    list.sort();
    list.dedup();
    Faults { file: name.to_owned(), list }
}

fn line_at(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// `[canary]`, and `[[canary.metric]]` for the path `canary.metric[2]`.
fn section(path: &str) -> String {
    match path.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) {
        Some((list, _)) => format!("[[{list}]]"),
        None => format!("[{path}]"),
    }
}

fn resolve<'s>(schema: &'s Json, root: &'s Json) -> &'s Json {
    let name = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/"));
    let schema = name.map_or(schema, |name| &root["$defs"][name]);
    // `Option` of a section.
    let options = schema["anyOf"].as_array().map_or(&[][..], Vec::as_slice);
    match options.iter().find(|option| option["type"] != "null") {
        Some(option) if options.len() == 2 && options.iter().any(|one| one["type"] == "null") => resolve(option, root),
        _ => schema,
    }
}

fn find(table: &DeTable<'_>, path: &[&str]) -> Option<usize> {
    let (first, rest) = path.split_first()?;
    let (first, number) = match first.strip_suffix(']').and_then(|name| name.rsplit_once('[')) {
        Some((name, number)) => (name, number.parse::<usize>().ok()),
        None => (*first, None),
    };
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == first)?;
    match (value.get_ref(), number) {
        (DeValue::Array(list), Some(number)) => {
            let one = list.get(number.checked_sub(1)?)?;
            match one.get_ref() {
                DeValue::Table(inner) if !rest.is_empty() => find(inner, rest),
                _ => Some(one.span().start),
            }
        }
        _ if rest.is_empty() => Some(key.span().start),
        (DeValue::Table(inner), _) => find(inner, rest),
        (DeValue::Array(list), None) => list.iter().find_map(|one| find(one.get_ref().as_table()?, rest)),
        _ => None,
    }
}

fn note_paths(table: &DeTable<'_>, path: &str, paths: &mut BTreeMap<usize, String>) {
    for (key, value) in table {
        let inside = if path.is_empty() { key.get_ref().to_string() } else { format!("{path}.{}", key.get_ref()) };
        note_path(value, inside, paths);
    }
}

fn note_path(value: &toml::Spanned<DeValue<'_>>, path: String, paths: &mut BTreeMap<usize, String>) {
    match value.get_ref() {
        DeValue::Table(inner) => note_paths(inner, &path, paths),
        DeValue::Array(list) => {
            for (number, one) in list.iter().enumerate() {
                note_path(one, format!("{path}[{}]", number + 1), paths);
            }
        }
        _ => (),
    }
    paths.insert(value.span().start, path);
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;

    use super::*;
    use crate::setting::Period;

    #[derive(Debug, Default, Deserialize, JsonSchema)]
    #[serde(default)]
    struct File {
        canary: Option<Canary>,
        names: Vec<Field<Period>>,
        env: BTreeMap<String, Field<String>>,
    }

    #[derive(Debug, Default, Deserialize, JsonSchema)]
    #[serde(default)]
    struct Canary {
        hold: Option<Field<Period>>,
        metric: Vec<Metric>,
    }

    #[derive(Debug, Default, Deserialize, JsonSchema)]
    #[serde(default)]
    struct Metric {
        every: Option<Field<Period>>,
    }

    fn said(text: &str) -> String {
        let document = match Document::parse("f.toml", text) {
            Ok(document) => document,
            Err(faults) => return faults.to_string(),
        };
        let schema = serde_json::to_value(schemars::schema_for!(File)).unwrap();
        let misfits = document.misfits(&schema);
        let Ok(file) = document.read::<File>() else { return document.faults(misfits).to_string() };
        let mut reader = Reader::new(&document, misfits);
        reader.each(file.names);
        if let Some(canary) = file.canary {
            reader.take(canary.hold);
            for (number, metric) in canary.metric.into_iter().enumerate() {
                reader.needed(&format!("canary.metric[{}]", number + 1), "every", metric.every);
            }
        }
        reader.finish().err().map_or(String::new(), |faults| faults.to_string())
    }

    #[test]
    fn what_fits_is_read() {
        assert_eq!(
            said("names = [\"5s\"]\nenv.A = \"b\"\n[canary]\nhold = \"5m\"\n[[canary.metric]]\nevery = \"1s\""),
            ""
        );
    }

    #[test]
    fn mistakes_are_told_together_with_their_lines() {
        assert_eq!(
            said(
                "names = [\"5s\",\n  \"soon\"]\n[canary]\nhodl = 1\nhold = 5\n[[canary.metric]]\n[[canary.metric]]\never = \"1s\""
            ),
            "f.toml:2: names[2]: \"soon\" is not a duration; write it as 500ms, 30s, 5m, 2h or 7d\n\
             f.toml:4: unknown key \"hodl\" in [canary]; did you mean \"hold\"?\n\
             f.toml:5: canary.hold: invalid type: integer `5`, expected a text such as \"30s\" or \"32 MiB\"\n\
             f.toml:6: [[canary.metric]] needs \"every\"\n\
             f.toml:7: [[canary.metric]] needs \"every\"\n\
             f.toml:8: unknown key \"ever\" in [[canary.metric]]; did you mean \"every\"?"
        );
        assert_eq!(said("[canry]"), "f.toml:1: unknown section [canry]; did you mean \"canary\"?");
        assert_eq!(said("\nhold = 1"), "f.toml:2: unknown key \"hold\" outside of the sections");
        assert_eq!(said("canary = 5"), "f.toml:1: canary is a section; write [canary]");
        assert_eq!(
            said("canary = { metric = 5 }"),
            "f.toml:1: canary.metric is a list of sections; write [[canary.metric]]"
        );
        assert_eq!(said("names = \"5s\""), "f.toml:1: names is a list; write names = [\"…\", \"…\"]");
    }

    #[test]
    fn every_slip_of_the_syntax_is_told() {
        let text = said("names = \nenv = \n");
        assert!(text.starts_with("f.toml:1: ") && text.contains("f.toml:2: "), "{text}");
    }
}
