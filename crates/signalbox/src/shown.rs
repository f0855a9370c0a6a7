//! The settings as a person may see them: every key with its value, where that comes from, and what it means.
//! Secrets are never shown, only whether they are set.

use std::path::Path;

use crate::settings::{DEFAULT_FILE, Overrides, PREFIX, VARIABLES};

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub section: String,
    pub key: String,
    pub value: String,
    pub origin: Origin,
    /// The comment of the default file.
    pub meaning: String,
}

/// Where a value comes from; later ones win.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(String),
    /// With the name of the variable.
    Variable(String),
    CommandLine,
}

/// Every setting of `merged`, which is what defaults, file and environment gave.
pub fn lines(
    merged: &toml::Table,
    file: Option<(&Path, &toml::Table)>,
    environment: &[(String, String)],
    overrides: &Overrides,
) -> Vec<Shown> {
    let in_file = |section: &str, key: &str| {
        let (path, table) = file?;
        table.get(section)?.as_table()?.get(key)?;
        Some(Origin::File(path.display().to_string()))
    };
    let in_environment = |section: &str, key: &str| {
        let names = |name: &str| {
            let usual = format!("{PREFIX}{}_{}", section.to_ascii_uppercase(), key.to_ascii_uppercase());
            let short = (section, key) == ("server", "listen") && name == "SIGNALBOX_LISTEN"
                || (section, key) == ("server", "data") && name == "SIGNALBOX_DATA";
            name == usual || short || VARIABLES.iter().any(|(known, path)| *known == name && **path == [section, key])
        };
        let set = environment.iter().find(|(name, value)| !value.is_empty() && names(name));
        set.map(|(name, _)| Origin::Variable(name.clone()))
    };
    let mut shown = Vec::new();
    for (section, values) in merged {
        for (key, value) in values.as_table().into_iter().flatten() {
            let mut line = Shown {
                section: section.clone(),
                key: key.clone(),
                value: text(section, key, value),
                origin: in_environment(section, key).or_else(|| in_file(section, key)).unwrap_or(Origin::Default),
                meaning: meaning(section, key),
            };
            let said = match (section.as_str(), key.as_str()) {
                ("server", "data") => overrides.data.as_ref().map(|path| path.display().to_string()),
                ("server", "listen") => overrides.listen.map(|address| address.to_string()),
                ("limits", "enabled") => overrides.limits_off.then(|| "no".to_owned()),
                _ => None,
            };
            if let Some(value) = said {
                (line.value, line.origin) = (value, Origin::CommandLine);
            }
            shown.push(line);
        }
    }
    // As the default file has them: what belongs together stands together.
    let place = |line: &Shown| (find(&format!("[{}]", line.section)), find_key(&line.section, &line.key));
    shown.sort_by_key(place);
    shown
}

fn is_secret(section: &str, key: &str) -> bool {
    let words = ["password", "secret", "token", "private", "hmac", "eab"];
    (section, key) == ("database", "url") || words.iter().any(|word| key.contains(word)) || key.ends_with("_key")
}

fn text(section: &str, key: &str, value: &toml::Value) -> String {
    let is_empty = matches!(value, toml::Value::String(text) if text.is_empty());
    if is_secret(section, key) && !matches!(value, toml::Value::Boolean(_) | toml::Value::Integer(_)) {
        return if is_empty { "not set" } else { "set, not shown" }.to_owned();
    }
    match value {
        toml::Value::String(_) if is_empty => "not set".to_owned(),
        toml::Value::String(text) => text.clone(),
        toml::Value::Boolean(on) => if *on { "yes" } else { "no" }.to_owned(),
        toml::Value::Array(values) if values.is_empty() => "none".to_owned(),
        toml::Value::Array(values) => {
            values.iter().map(|value| text(section, key, value)).collect::<Vec<_>>().join(", ")
        }
        toml::Value::Table(values) => {
            let part = |(key, value): (&String, &toml::Value)| format!("{key}: {}", text(section, key, value));
            values.iter().map(part).collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    }
}

fn find(line: &str) -> usize {
    DEFAULT_FILE.lines().position(|known| known == line).unwrap_or(usize::MAX)
}

fn find_key(section: &str, key: &str) -> usize {
    let start = find(&format!("[{section}]"));
    let is_it = |line: &str| line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
    let found = DEFAULT_FILE.lines().skip(start.saturating_add(1)).take_while(|line| !line.starts_with('['));
    found.into_iter().position(is_it).map_or(usize::MAX, |place| start + 1 + place)
}

/// The comment above the key, up to the line before it; keys that stand together share one.
fn meaning(section: &str, key: &str) -> String {
    let place = find_key(section, key);
    if place == usize::MAX {
        return String::new();
    }
    let lines: Vec<_> = DEFAULT_FILE.lines().take(place).collect();
    let comment = lines.iter().rev().skip_while(|line| line.contains('=') && !line.starts_with('#'));
    let mut words: Vec<_> =
        comment.take_while(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim()).collect();
    words.reverse();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(environment: &[(&str, &str)], file: &str) -> Vec<Shown> {
        let environment: Vec<_> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signalbox.toml");
        std::fs::write(&path, file).unwrap();
        let overrides = Overrides { config: Some(path), ..Overrides::default() };
        crate::settings::Settings::load(&overrides, &environment).unwrap().shown
    }

    fn of<'s>(shown: &'s [Shown], key: &str) -> &'s Shown {
        shown.iter().find(|line| format!("{}.{}", line.section, line.key) == key).unwrap()
    }

    #[test]
    fn every_value_says_where_it_comes_from() {
        let shown =
            shown(&[("LOG_LEVEL", "debug"), ("SIGNALBOX_INTAKE_PATIENCE", "3s")], "[limits]\nenabled = false\n");
        assert_eq!(of(&shown, "logs.level").origin, Origin::Variable("LOG_LEVEL".into()));
        assert_eq!(of(&shown, "intake.patience").value, "3s");
        assert!(matches!(&of(&shown, "limits.enabled").origin, Origin::File(path) if path.ends_with("signalbox.toml")));
        assert_eq!(of(&shown, "limits.enabled").value, "no");
        assert_eq!(of(&shown, "intake.threads").origin, Origin::Default);
        assert_eq!(of(&shown, "intake.threads").meaning, "Event loops that answer pixels and clicks.");
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = shown(&[("DATABASE_URL", "postgres://user:hunter2@host/database")], "");
        assert_eq!(of(&shown, "database.url").value, "set, not shown");
        assert!(!format!("{shown:?}").contains("hunter2"));
    }
}
