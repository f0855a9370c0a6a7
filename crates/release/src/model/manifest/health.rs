use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_core::setting::Period;
use signalbox_core::setting_file::Reader;

use super::Said;
use crate::model::text::written_as_text;
use crate::model::value::JsonPath;

/// How an instance says that it is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub path: UrlPath,
    pub interval: Period,
    pub timeout: Period,
    /// Where its JSON tells the version, so that a wrong one is not taken for healthy.
    pub version: Option<JsonPath>,
    /// What answers with 200 as long as the instance reaches its database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<UrlPath>,
    /// How long an instance may take until it is healthy for the first time.
    pub startup: Period,
}

/// The path and perhaps the query of a request: `/healthz?full=1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlPath(String);

impl fmt::Display for UrlPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for UrlPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let good = text.starts_with('/') && !text.starts_with("//") && text.len() <= 2048;
        if !good || !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(format!("{text:?} is not a path; it starts with one / and has no spaces and no #"));
        }
        Ok(Self(text.to_owned()))
    }
}

written_as_text!(UrlPath, "UrlPath", "The path of a request.", "/healthz");

/// How an instance says that it is well.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Health", extend("required" = ["path"]))]
pub(super) struct HealthWire {
    /// What is asked; 200 is healthy.
    path: Said<UrlPath>,
    /// How often; default 1s.
    interval: Said<Period>,
    /// How long an answer may take; default 2s.
    timeout: Said<Period>,
    /// Where the JSON of the answer tells the version. Another version than the one started is not healthy.
    version: Said<JsonPath>,
    /// What answers with 200 as long as the instance reaches its database: for rollback.database.
    database: Said<UrlPath>,
    /// How long until an instance must be healthy for the first time; default 30s.
    startup: Said<Period>,
}

impl HealthWire {
    pub(super) fn read(self, reader: &mut Reader<'_, '_>) -> Option<Health> {
        let path = reader.needed("service.health", "path", self.path);
        let interval = positive(reader, self.interval).unwrap_or(Period::from_secs(1));
        let timeout = positive(reader, self.timeout).unwrap_or(Period::from_secs(2));
        let startup = positive(reader, self.startup).unwrap_or(Period::from_secs(30));
        let version = reader.take(self.version);
        let database = reader.take(self.database);
        Some(Health { path: path?, interval, timeout, version, database, startup })
    }
}

/// A duration of more than nothing.
pub(super) fn positive(reader: &mut Reader<'_, '_>, said: Said<Period>) -> Option<Period> {
    let at = said.as_ref()?.at;
    let period = reader.take(said)?;
    if period.0.is_zero() {
        reader.wrong(at, "must be longer than nothing, for example 1s");
        return None;
    }
    Some(period)
}
