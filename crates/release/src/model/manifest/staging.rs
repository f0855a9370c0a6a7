use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_core::setting_file::{Field, Reader};

use super::Said;
use super::health::UrlPath;
use crate::model::value::{Command, Count, JsonPath};

/// The version beside production, on a restored copy, before anybody sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Staging {
    pub sandbox: Sandbox,
    /// Each must end with 0.
    pub smoke: Vec<Command>,
    pub accessibility: Vec<Command>,
    pub web_vitals: Vec<Command>,
    /// Also asked in production, at every step.
    pub probes: Vec<Probe>,
    pub load: Option<Load>,
}

/// What keeps staging from the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sandbox {
    /// A network namespace without a way out.
    #[default]
    NoNetwork,
    /// Nothing: for services that cannot do harm.
    None,
}

/// How much load staging must bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Load {
    /// Requests a second that production has at its peak.
    pub peak: Count<1, 10_000_000>,
    pub factor: Count<1, 100>,
}

/// A request whose answer must have the right content, because a wrong body comes with status 200 too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probe {
    pub path: UrlPath,
    pub status: Count<100, 599>,
    pub contains: Vec<String>,
    pub json: Vec<Expected>,
}

/// What stands at a place of a JSON answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Expected {
    pub path: JsonPath,
    pub value: serde_json::Value,
}

impl Probe {
    /// What is wrong with an answer; nothing when it is as it should be.
    pub fn judge(&self, status: u16, body: &str) -> Result<(), String> {
        if u64::from(status) != self.status.get() {
            return Err(format!("{} answered {status} instead of {}", self.path, self.status.get()));
        }
        if let Some(missing) = self.contains.iter().find(|text| !body.contains(text.as_str())) {
            return Err(format!("the answer of {} does not contain {missing:?}", self.path));
        }
        if self.json.is_empty() {
            return Ok(());
        }
        let document = serde_json::from_str::<serde_json::Value>(body);
        let document = document.map_err(|_| format!("the answer of {} is not JSON", self.path))?;
        for expected in &self.json {
            match expected.path.find(&document) {
                Some(found) if *found == expected.value => (),
                Some(found) => {
                    let text = found.to_string().chars().take(80).collect::<String>();
                    return Err(format!("{} of {} is {text} instead of {}", expected.path, self.path, expected.value));
                }
                None => return Err(format!("the answer of {} has no {}", self.path, expected.path)),
            }
        }
        Ok(())
    }
}

/// The version beside production, on a restored copy.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Staging")]
pub(super) struct StagingWire {
    /// no-network or none; default no-network.
    sandbox: Said<Sandbox>,
    /// Commands that must end with 0, {port} filled in: [["./smoke", "http://127.0.0.1:{port}"]].
    smoke: Vec<Field<Command>>,
    /// Commands that check the pages' accessibility.
    accessibility: Vec<Field<Command>>,
    /// Commands that check the pages' speed.
    web_vitals: Vec<Field<Command>>,
    /// Requests whose answers must have the right content; asked in production too.
    probe: Vec<ProbeWire>,
    /// How much load staging must bear.
    load: Option<LoadWire>,
}

/// A request whose answer must have the right content.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Probe", extend("required" = ["path"]))]
struct ProbeWire {
    /// What is asked by GET.
    path: Said<UrlPath>,
    /// Default 200.
    status: Said<Count<100, 599>>,
    /// Texts that the answer contains.
    contains: Vec<Field<String>>,
    /// What stands where in a JSON answer: { "$.status" = "ok" }.
    json: BTreeMap<String, Field<serde_json::Value>>,
}

/// How much load staging must bear.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Load", extend("required" = ["peak"]))]
struct LoadWire {
    /// Requests a second that production has at its peak.
    peak: Said<Count<1, 10_000_000>>,
    /// So many times that; default 10.
    factor: Said<Count<1, 100>>,
}

impl StagingWire {
    pub(super) fn read(self, reader: &mut Reader<'_, '_>) -> Staging {
        let load = self.load.and_then(|load| {
            let peak = reader.needed("staging.load", "peak", load.peak);
            let factor = reader.take(load.factor).unwrap_or(Count::of(10));
            Some(Load { peak: peak?, factor })
        });
        let probes = self.probe.into_iter().enumerate();
        Staging {
            sandbox: reader.take(self.sandbox).unwrap_or_default(),
            smoke: reader.each(self.smoke),
            accessibility: reader.each(self.accessibility),
            web_vitals: reader.each(self.web_vitals),
            probes: probes.filter_map(|(number, probe)| probe.read(reader, number + 1)).collect(),
            load,
        }
    }
}

impl ProbeWire {
    fn read(self, reader: &mut Reader<'_, '_>, number: usize) -> Option<Probe> {
        let path = reader.needed(&format!("staging.probe[{number}]"), "path", self.path);
        let status = reader.take(self.status).unwrap_or(Count::of(200));
        let contains = reader.each(self.contains);
        let mut json = Vec::new();
        for (place, value) in self.json {
            let at = value.at;
            match place.parse::<JsonPath>() {
                Ok(path) => json.extend(reader.take(Some(value)).map(|value| Expected { path, value })),
                Err(error) => reader.wrong(at, error),
            }
        }
        Some(Probe { path: path?, status, contains, json })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_looks_at_the_content() {
        let probe = Probe {
            path: "/".parse().unwrap(),
            status: Count::of(200),
            contains: vec!["cart".into()],
            json: vec![Expected { path: "$.items[0].id".parse().unwrap(), value: 7.into() }],
        };
        let judge = |status, body: &str| probe.judge(status, body).err().unwrap_or_default();
        assert_eq!(judge(200, "{\"items\": [{\"id\": 7}], \"cart\": 1}"), "");
        assert_eq!(judge(500, ""), "/ answered 500 instead of 200");
        assert_eq!(judge(200, "{}"), "the answer of / does not contain \"cart\"");
        assert_eq!(judge(200, "cart"), "the answer of / is not JSON");
        assert_eq!(judge(200, "{\"cart\": 1}"), "the answer of / has no $.items[0].id");
        assert_eq!(
            judge(200, "{\"items\": [{\"id\": \"7\"}], \"cart\": 1}"),
            "$.items[0].id of / is \"7\" instead of 7"
        );
    }
}
