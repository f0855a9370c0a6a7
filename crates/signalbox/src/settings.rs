//! Settings: defaults, then signalbox.toml, then the environment, then the command line. Read once, before any port is bound.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Deserialize;
use signalbox_access::oidc::settings::{ProviderSettings, check as check_providers};
use signalbox_access::role::Role;
use signalbox_access::settings::Rules;
use signalbox_audit::checkpoint::Syslog;
use signalbox_core::setting::{Period, Size, did_you_mean, listen, nearest, networks};
use signalbox_core::setting_file::Document;
use signalbox_crypto::link::Destination;
use signalbox_telemetry::logs::Logs;

use crate::shown::{self, Shown};

/// The documented default file; also what a fresh installation runs with.
pub const DEFAULT_FILE: &str = include_str!("../signalbox.toml");
/// Every variable that is read, and the setting it stands for.
pub(crate) const VARIABLES: [(&str, &[&str]); 6] = [
    ("DATABASE_URL", &["database", "url"]),
    ("LOG_LEVEL", &["logs", "level"]),
    ("METRICS_ENDPOINT", &["server", "metrics_path"]),
    ("HEALTH_CHECK_ENDPOINT", &["server", "health_path"]),
    ("SSL_CERT_PATH", &["tls", "certificate"]),
    ("SSL_KEY_PATH", &["tls", "key"]),
];
pub(crate) const PREFIX: &str = "SIGNALBOX_";
/// Variables with our prefix that are not settings of the server.
const NOT_SETTINGS: [&str; 3] = ["SIGNALBOX_TEST_", "SIGNALBOX_BIN", "SIGNALBOX_INSTANCE"];

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub server: Server,
    pub tls: Tls,
    pub acme: Acme,
    pub database: Database,
    pub intake: Intake,
    pub projector: Projector,
    pub limits: Limits,
    pub audit: Audit,
    pub access: Access,
    pub logs: Logs,
    /// All of them for people, with where each comes from.
    #[serde(skip)]
    pub shown: Vec<Shown>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub data: PathBuf,
    #[serde(deserialize_with = "listen")]
    pub listen: SocketAddr,
    pub connections: usize,
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
    pub metrics_path: String,
    pub health_path: String,
    pub public_url: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
    #[serde(deserialize_with = "listen")]
    pub listen: SocketAddr,
    pub redirect: bool,
    pub port: u16,
    pub hsts: Period,
    pub handshakes: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acme {
    pub domains: Vec<String>,
    pub contact: String,
    pub directory: String,
    pub ca: PathBuf,
}

/// Where the certificate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateSource {
    Files,
    Acme,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    pub url: String,
    pub connections: usize,
}

/// The URL may hold a password.
impl std::fmt::Debug for Database {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = if self.url.is_empty() { "none" } else { "[redacted]" };
        out.debug_struct("Database").field("url", &url).field("connections", &self.connections).finish()
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intake {
    pub threads: usize,
    pub connections: usize,
    pub queue_events: usize,
    pub queue_bytes: Size,
    pub patience: Period,
    pub batch_events: usize,
    pub batch_bytes: Size,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Projector {
    pub enabled: bool,
    pub yield_above: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub enabled: bool,
    pub hits_per_second: u32,
    pub api_per_second: u32,
    #[serde(deserialize_with = "networks")]
    pub exempt: Vec<IpNet>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    pub checkpoints: PathBuf,
    pub syslog: String,
    pub checkpoint_entries: u64,
    pub checkpoint_every: Period,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    pub session_idle: Period,
    pub session_lifetime: Period,
    pub require_second_factor: Vec<Role>,
    pub read_only: bool,
    pub oidc: Vec<ProviderSettings>,
}

impl Access {
    /// As the feature takes them.
    pub fn rules(&self) -> Rules {
        let micros = |period: &Period| i64::try_from(period.0.as_micros()).unwrap_or(i64::MAX);
        Rules {
            session_idle: micros(&self.session_idle),
            session_lifetime: micros(&self.session_lifetime),
            second_factor: self.require_second_factor.clone(),
            read_only: self.read_only,
        }
    }
}

/// What the command line may say on top.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub config: Option<PathBuf>,
    pub data: Option<PathBuf>,
    pub listen: Option<SocketAddr>,
    pub limits_off: bool,
    /// Look for no settings file.
    pub no_file: bool,
}

/// A setting is wrong; the text names the place and what would be right.
#[derive(Debug)]
pub struct BadSetting(String);

impl std::fmt::Display for BadSetting {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for BadSetting {}

/// The environment, read in this one place.
#[expect(clippy::disallowed_methods, reason = "this is the one home of the environment")]
pub fn environment() -> Vec<(String, String)> {
    let text = |value: std::ffi::OsString| value.into_string().ok();
    std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect()
}

/// The version that this process is an instance of, as its shim says.
pub fn instance_version(environment: &[(String, String)]) -> Option<String> {
    variable(environment, "SIGNALBOX_INSTANCE_VERSION").map(str::to_owned)
}

/// What the demo runs with: nothing from outside, and only warnings in the log.
pub fn demo_environment() -> Vec<(String, String)> {
    vec![("LOG_LEVEL".into(), "warn".into())]
}

impl Settings {
    /// Puts the four sources together. Pure but for reading the file.
    pub fn load(overrides: &Overrides, environment: &[(String, String)]) -> Result<Self, BadSetting> {
        let mut table: toml::Table = DEFAULT_FILE.parse().expect("the default file is valid");
        let default = table.clone();
        let data = overrides.data.clone().or_else(|| variable(environment, "SIGNALBOX_DATA").map(PathBuf::from));
        let file = match &overrides.config {
            Some(path) => Some(path.clone()),
            None if overrides.no_file => None,
            None => [
                "signalbox.toml".into(),
                data.clone().unwrap_or_else(|| "signalbox-data".into()).join("signalbox.toml"),
            ]
            .into_iter()
            .find(|path| path.is_file()),
        };
        let mut said = None;
        if let Some(path) = &file {
            let text = std::fs::read_to_string(path).map_err(|error| {
                let hint = "without a settings file and without --config the defaults hold";
                BadSetting(format!("the settings file {} cannot be read: {error}; {hint}", path.display()))
            })?;
            said = Some((path.as_path(), merge_file(&mut table, &default, path, &text)?));
        }
        merge_environment(&mut table, &default, environment)?;
        let said = said.as_ref().map(|(path, values)| (*path, values));
        let shown = shown::lines(&table, said, environment, overrides);
        let mut settings: Settings =
            table.try_into().map_err(|error: toml::de::Error| BadSetting(error.message().to_owned()))?;
        settings.shown = shown;
        if let Some(data) = data {
            settings.server.data = data;
        }
        if let Some(listen) = overrides.listen {
            settings.server.listen = listen;
        }
        settings.limits.enabled &= !overrides.limits_off;
        settings.check()?;
        Ok(settings)
    }

    /// Where the certificate comes from; none: TLS is off.
    pub fn certificate_source(&self) -> Option<CertificateSource> {
        if !self.acme.domains.is_empty() {
            return Some(CertificateSource::Acme);
        }
        (!self.tls.certificate.as_os_str().is_empty()).then_some(CertificateSource::Files)
    }

    fn check_tls(&self) -> Result<(), BadSetting> {
        let wrong = |text: &str| Err(BadSetting(text.to_owned()));
        let given = [&self.tls.certificate, &self.tls.key].map(|path| !path.as_os_str().is_empty());
        if given[0] != given[1] {
            return wrong("tls.certificate and tls.key (SSL_CERT_PATH and SSL_KEY_PATH) belong together: set both");
        }
        if given[0] && !self.acme.domains.is_empty() {
            return wrong("tls.certificate and acme.domains exclude each other: keep one of them");
        }
        let bad_name = |name: &&String| {
            name.starts_with('.')
                || !name.contains('.')
                || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || ".-".contains(letter))
        };
        if let Some(name) = self.acme.domains.iter().find(bad_name) {
            return Err(BadSetting(format!(
                "acme.domains: {name:?} is not a public host name such as \"t.example.org\" (no wildcard, no address)"
            )));
        }
        if !self.acme.directory.starts_with("https://") {
            return wrong("acme.directory starts with https://");
        }
        if !(1..=100_000).contains(&self.tls.handshakes) {
            return wrong("tls.handshakes must be from 1 to 100000");
        }
        if !(10..=1_000_000).contains(&self.server.connections) {
            return wrong("server.connections must be from 10 to 1000000");
        }
        Ok(())
    }

    /// Values with which nothing would be recorded.
    fn check_intake(&self) -> Result<(), BadSetting> {
        let wrong = |text: &str| Err(BadSetting(text.to_owned()));
        let intake = &self.intake;
        if !(1..=64).contains(&intake.threads) {
            return wrong("intake.threads must be from 1 to 64");
        }
        if !(10..=1_000_000).contains(&intake.connections) {
            return wrong("intake.connections must be from 10 to 1000000");
        }
        if intake.batch_events == 0 || intake.queue_events < intake.batch_events {
            return wrong("intake.queue_events must be at least intake.batch_events, which must be at least 1");
        }
        if !(1 << 10..=1 << 30).contains(&intake.batch_bytes.0) {
            return wrong("intake.batch_bytes must be from 1 KiB to 1 GiB");
        }
        if intake.queue_bytes < intake.batch_bytes || intake.queue_bytes.0 > 1 << 40 {
            return wrong("intake.queue_bytes must be at least intake.batch_bytes, and at most 1024 GiB");
        }
        if !(10..=60_000).contains(&intake.patience.0.as_millis()) {
            return wrong("intake.patience must be from 10ms to 60s");
        }
        Ok(())
    }

    /// The database's, and the one that links begin with.
    fn check_addresses(&self) -> Result<(), BadSetting> {
        let wrong = |text: &str| Err(BadSetting(text.to_owned()));
        // It may hold a password: it is not repeated.
        let scheme = self.database.url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("sqlite" | "sqlite3" | "file") => {
                return wrong(
                    "database.url (DATABASE_URL) names a PostgreSQL database; leave it out for SQLite, whose files lie in server.data",
                );
            }
            Some(other) if !matches!(other, "postgres" | "postgresql") && self.database.url.contains("://") => {
                return wrong("database.url (DATABASE_URL) looks like postgres://user:password@host:5432/name");
            }
            _ => (),
        }
        let public = &self.server.public_url;
        if !public.is_empty() && (Destination::parse(public).is_err() || public.contains(['?', '#'])) {
            return Err(BadSetting(format!(
                "server.public_url {public:?} is not the address of a website; it looks like https://t.example.org"
            )));
        }
        Ok(())
    }

    fn check(&self) -> Result<(), BadSetting> {
        let wrong = |text: &str| Err(BadSetting(text.to_owned()));
        self.check_tls()?;
        self.check_intake()?;
        self.check_addresses()?;
        if !(2..=100).contains(&self.database.connections) {
            return wrong("database.connections must be from 2 to 100");
        }
        if self.limits.hits_per_second == 0 || self.limits.api_per_second == 0 {
            return wrong("limits must be at least 1 per second; to switch them off say limits.enabled = false");
        }
        if self.audit.checkpoint_entries == 0 || self.audit.checkpoint_every.0 < std::time::Duration::from_secs(1) {
            return wrong("audit.checkpoint_entries must be at least 1, audit.checkpoint_every at least 1s");
        }
        if let (false, Err(error)) = (self.audit.syslog.is_empty(), self.audit.syslog.parse::<Syslog>()) {
            return Err(BadSetting(format!("audit.syslog: {error}")));
        }
        if self.access.session_idle.0.as_secs() < 60 || self.access.session_lifetime.0 < self.access.session_idle.0 {
            return wrong("access.session_idle must be at least 1m, and access.session_lifetime no shorter than it");
        }
        check_providers(&self.access.oidc, &self.server.public_url, |word| word.parse::<Role>().is_ok())
            .map_err(BadSetting)?;
        for path in [&self.server.metrics_path, &self.server.health_path] {
            if !path.starts_with('/') || path.contains(['{', '}', '?', '#', ' ']) {
                return Err(BadSetting(format!(
                    "{path:?} is not a path; it starts with / and has no ?, #, space or braces"
                )));
            }
        }
        let taken = |path: &str| {
            let prefixes = [
                "/o/",
                "/c/",
                "/api/",
                "/assets/",
                "/.well-known/",
                "/campaigns",
                "/events",
                "/contacts",
                "/search",
                "/settings",
                "/about",
                "/sign-",
                "/set-up",
                "/profile",
                "/users",
                "/tokens",
                "/sessions",
                "/audit",
            ];
            prefixes.iter().any(|prefix| path.starts_with(prefix)) || path == "/"
        };
        if taken(&self.server.metrics_path)
            || taken(&self.server.health_path)
            || self.server.metrics_path == self.server.health_path
        {
            return wrong(
                "server.metrics_path and server.health_path must differ and not lie on a path that is in use",
            );
        }
        Ok(())
    }
}

fn variable<'e>(environment: &'e [(String, String)], name: &str) -> Option<&'e str> {
    environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

/// Takes over the file's settings and gives them back, refusing unknown keys and wrong types with their line.
fn merge_file(
    table: &mut toml::Table,
    default: &toml::Table,
    path: &Path,
    text: &str,
) -> Result<toml::Table, BadSetting> {
    let document =
        Document::parse(&path.display().to_string(), text).map_err(|faults| BadSetting(faults.to_string()))?;
    let file: toml::Table = document.read().map_err(|faults| BadSetting(faults.to_string()))?;
    for (section, values) in &file {
        let place = |key: &str| {
            let line = document.line_of(&[section, key]).or_else(|| document.line_of(&[section]));
            format!("{}:{}", path.display(), line.unwrap_or(1))
        };
        let Some(known) = default.get(section).and_then(toml::Value::as_table) else {
            let hint = did_you_mean(section, default.keys().map(String::as_str));
            return Err(BadSetting(format!("{}: unknown section [{section}]{hint}", place(""))));
        };
        let Some(values) = values.as_table() else {
            return Err(BadSetting(format!("{}: {section:?} is a section; write [{section}]", place(section))));
        };
        for (key, value) in values {
            if !known.contains_key(key) {
                let hint = did_you_mean(key, known.keys().map(String::as_str));
                return Err(BadSetting(format!("{}: unknown key {key:?} in [{section}]{hint}", place(key))));
            }
            table
                .get_mut(section)
                .and_then(toml::Value::as_table_mut)
                .expect("a known section")
                .insert(key.clone(), value.clone());
            if let Err(error) = table.clone().try_into::<Settings>() {
                return Err(BadSetting(format!("{}: {section}.{key}: {}", place(key), error.message())));
            }
        }
    }
    Ok(file)
}

fn merge_environment(
    table: &mut toml::Table,
    default: &toml::Table,
    environment: &[(String, String)],
) -> Result<(), BadSetting> {
    for (name, value) in environment {
        if value.is_empty() {
            continue;
        }
        if let Some((_, path)) = VARIABLES.iter().find(|(variable, _)| variable == name) {
            set(table, default, path[0], path[1], name, path_of(path[1], value))?;
            continue;
        }
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        if rest == "DATA" || rest == "CONFIG" || NOT_SETTINGS.iter().any(|other| name.starts_with(other)) {
            continue;
        }
        let rest = rest.to_ascii_lowercase();
        let rest = if rest == "listen" { "server_listen" } else { &rest };
        let (section, key) = rest.split_once('_').unwrap_or((rest, ""));
        if !default.contains_key(section) {
            let known: Vec<_> =
                default.keys().map(|section| format!("{PREFIX}{}_…", section.to_ascii_uppercase())).collect();
            return Err(BadSetting(format!("unknown variable {name}; settings are {}", known.join(", "))));
        }
        set(table, default, section, key, name, value)?;
    }
    Ok(())
}

/// Other programs write the endpoints as whole addresses: what counts is their path.
fn path_of<'v>(key: &str, value: &'v str) -> &'v str {
    let address = value.strip_prefix("http://").or_else(|| value.strip_prefix("https://"));
    match address.filter(|_| key.ends_with("_path")) {
        Some(address) => address.find('/').map_or("/", |at| &address[at..]),
        None => value,
    }
}

fn set(
    table: &mut toml::Table,
    default: &toml::Table,
    section: &str,
    key: &str,
    name: &str,
    value: &str,
) -> Result<(), BadSetting> {
    let known = default[section].as_table().expect("sections are tables");
    let Some(sample) = known.get(key) else {
        let candidates: Vec<_> = known
            .keys()
            .map(|key| format!("{PREFIX}{}_{}", section.to_ascii_uppercase(), key.to_ascii_uppercase()))
            .collect();
        let hint = nearest(name, candidates.iter().map(String::as_str))
            .map_or(String::new(), |near| format!("; did you mean {near}?"));
        return Err(BadSetting(format!("unknown variable {name}{hint}")));
    };
    let value = match sample {
        toml::Value::String(_) => toml::Value::String(value.to_owned()),
        toml::Value::Array(_) => {
            toml::Value::Array(value.split(',').map(|item| toml::Value::String(item.trim().to_owned())).collect())
        }
        _ => format!("v = {value}")
            .parse::<toml::Table>()
            .ok()
            .and_then(|mut table| table.remove("v"))
            .ok_or_else(|| BadSetting(format!("{name}: {value:?} is not a {}", sample.type_str())))?,
    };
    table.get_mut(section).and_then(toml::Value::as_table_mut).expect("a known section").insert(key.to_owned(), value);
    table.clone().try_into::<Settings>().map(|_| ()).map_err(|error| BadSetting(format!("{name}: {}", error.message())))
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
