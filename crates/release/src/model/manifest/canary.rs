use std::borrow::Cow;
use std::collections::HashSet;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use signalbox_core::setting::{Period, did_you_mean};
use signalbox_core::setting_file::{Field, Reader};

use super::health::positive;
use super::{Profile, Said, ServiceKind};
use crate::model::limits::{Allowance, Policy};
use crate::model::value::{Count, Percent};

/// How traffic moves to the new version, and what is looked at on the way.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Canary {
    /// Rising; the last is 100 %.
    pub steps: Vec<Hold>,
    /// Requests that the new version must have answered before a step can pass.
    pub min_requests: Count<1, 1_000_000_000>,
    /// Too few requests.
    pub insufficient: Policy,
    /// A metric says nothing at all: no series, not a number, no answer.
    pub no_data: Policy,
    /// A visitor stays with the version that answered first.
    pub sticky: bool,
    pub metrics: Vec<Metric>,
    /// How long the old version stays warm at 0 % after the last step.
    pub bake: Period,
}

/// A step: a weight and the least time at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Hold {
    pub weight: Percent,
    pub hold: Period,
}

/// Something that is compared between both versions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    pub name: String,
    pub source: Source,
    pub worse: Allowance,
    /// Its share of the false alarms that are allowed, against the other metrics.
    pub weight: Count<1, 100>,
    /// Shown, but does not decide.
    pub shadow: bool,
    /// Where it differs from that of the canary.
    pub no_data: Option<Policy>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Failed requests, counted by the edge.
    Errors,
    /// Times of answers, measured by the edge.
    Latency,
    /// Known to Signalbox where the service is engage.
    Business(Business),
    /// A query of Prometheus with `$version` in it.
    Query(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Business {
    TrackingAccuracy,
    Delivery,
    ClickThrough,
    Recording,
}

const BUILT_IN: [(&str, Source); 6] = [
    ("errors", Source::Errors),
    ("latency", Source::Latency),
    ("tracking accuracy", Source::Business(Business::TrackingAccuracy)),
    ("delivery", Source::Business(Business::Delivery)),
    ("click-through", Source::Business(Business::ClickThrough)),
    ("recording", Source::Business(Business::Recording)),
];

/// How traffic moves to the new version, and what is looked at on the way.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Canary")]
pub(super) struct CanaryWire {
    /// Weights in percent, rising, the last 100: 5, or { weight = 5, hold = "10m" }. Default: those of the profile.
    steps: Option<Vec<Field<StepWire>>>,
    /// The least time at each step that names none; default: that of the profile.
    hold: Said<Period>,
    /// Requests that the new version must have answered before a step can pass; default: that of the profile.
    min_requests: Said<Count<1, 1_000_000_000>>,
    /// What happens when they do not come; default: that of the profile.
    insufficient: Said<Policy>,
    /// What happens when a metric says nothing at all; default: as insufficient.
    no_data: Said<Policy>,
    /// Whether a visitor stays with the version that answered first; default false.
    sticky: Said<bool>,
    /// How long the old version stays warm after the last step; default: that of the profile.
    bake: Said<Period>,
    /// What is compared; default: errors +0.5 points, latency +20 %.
    metric: Option<Vec<MetricWire>>,
}

/// A weight in percent, alone or with a time of its own.
#[derive(Debug, Clone, Copy)]
struct StepWire {
    weight: Percent,
    hold: Option<Period>,
}

impl<'de> Deserialize<'de> for StepWire {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Full {
            weight: Percent,
            hold: Option<Period>,
        }
        let value = serde_json::Value::deserialize(input)?;
        let read = if value.is_object() {
            serde_json::from_value(value).map(|Full { weight, hold }| Self { weight, hold })
        } else {
            serde_json::from_value(value).map(|weight| Self { weight, hold: None })
        };
        read.map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for StepWire {
    fn schema_name() -> Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let weight = generator.subschema_for::<Percent>();
        let hold = generator.subschema_for::<Period>();
        json_schema!({"oneOf": [weight, {
            "type": "object", "additionalProperties": false, "required": ["weight"],
            "properties": {"weight": weight, "hold": hold},
        }]})
    }
}

/// Something that is compared between both versions.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Metric", extend("required" = ["name", "worse"]))]
struct MetricWire {
    /// `errors` or `latency`; for engage also `tracking accuracy`, `delivery`, `click-through` or `recording`; any other
    /// name has a query.
    name: Said<String>,
    /// A query of Prometheus with $version in it.
    query: Said<String>,
    /// How much worse than the old version is too much: +0.5 points, +20 %, -5 %.
    worse: Said<Allowance>,
    /// Its share of the false alarms that are allowed, against the other metrics; default 1.
    weight: Said<Count<1, 100>>,
    /// Shown, but does not decide; default false.
    shadow: Said<bool>,
    /// What happens when it says nothing at all; default: that of the canary.
    no_data: Said<Policy>,
}

impl CanaryWire {
    pub(super) fn read(self, reader: &mut Reader<'_, '_>, profile: Profile, kind: ServiceKind) -> Canary {
        let hold = positive(reader, self.hold);
        let steps = match self.steps {
            Some(steps) => read_steps(reader, steps, |weight| hold.unwrap_or(profile.hold(weight))),
            None => {
                let steps = profile.steps().into_iter();
                steps.map(|step| Hold { hold: hold.unwrap_or(step.hold), ..step }).collect()
            }
        };
        let insufficient = reader.take(self.insufficient).unwrap_or(profile.policy());
        Canary {
            steps,
            min_requests: reader.take(self.min_requests).unwrap_or(profile.min_requests()),
            insufficient,
            no_data: reader.take(self.no_data).unwrap_or(insufficient),
            sticky: reader.take(self.sticky).unwrap_or(false),
            metrics: self.metric.map_or_else(usual_metrics, |metrics| read_metrics(reader, metrics, kind)),
            bake: reader.take(self.bake).unwrap_or(profile.bake()),
        }
    }
}

fn read_steps(reader: &mut Reader<'_, '_>, said: Vec<Field<StepWire>>, usual: impl Fn(Percent) -> Period) -> Vec<Hold> {
    let mut steps: Vec<Hold> = Vec::new();
    let mut last = None;
    if said.is_empty() {
        reader.missing("canary", "has no steps; write steps = [1, 5, 10, 25, 50, 100]");
    }
    for field in said {
        let at = field.at;
        let Some(step) = reader.take(Some(field)) else { return steps };
        if step.weight <= steps.last().map_or(Percent::NONE, |last| last.weight) {
            reader.wrong(
                at,
                format!("{} does not rise; steps are above 0 and each higher than the one before", step.weight),
            );
        }
        let hold = step.hold.unwrap_or_else(|| usual(step.weight));
        if hold.0.is_zero() {
            reader.wrong(at, "a step is held for some time, for example 30s");
        }
        last = Some((at, step.weight));
        steps.push(Hold { weight: step.weight, hold });
    }
    if let Some((at, weight)) = last.filter(|(_, weight)| *weight != Percent::ALL) {
        reader.wrong(at, format!("the last step is {weight}; it must be 100"));
    }
    steps
}

fn usual_metrics() -> Vec<Metric> {
    let metric = |name: &str, source, worse| Metric {
        name: name.to_owned(),
        source,
        worse,
        weight: Count::of(1),
        shadow: false,
        no_data: None,
    };
    vec![
        metric("errors", Source::Errors, Allowance::Points(0.5)),
        metric("latency", Source::Latency, Allowance::Relative(20.0)),
    ]
}

fn read_metrics(reader: &mut Reader<'_, '_>, said: Vec<MetricWire>, kind: ServiceKind) -> Vec<Metric> {
    let mut names = HashSet::new();
    let mut metrics = Vec::new();
    for (number, metric) in said.into_iter().enumerate() {
        let section = format!("canary.metric[{}]", number + 1);
        let at = metric.name.as_ref().map(|name| name.at);
        let name = reader.needed(&section, "name", metric.name);
        if let (Some(name), Some(at)) = (&name, at)
            && !names.insert(name.clone())
        {
            reader.wrong(at, format!("{name:?} is there twice; each metric has a name of its own"));
        }
        let source = name.as_deref().zip(at).and_then(|(name, at)| read_source(reader, name, at, metric.query, kind));
        let worse = reader.needed(&section, "worse", metric.worse);
        let weight = reader.take(metric.weight).unwrap_or(Count::of(1));
        let shadow = reader.take(metric.shadow).unwrap_or(false);
        let no_data = reader.take(metric.no_data);
        if let (Some(name), Some(source), Some(worse)) = (name, source, worse) {
            metrics.push(Metric { name, source, worse, weight, shadow, no_data });
        }
    }
    metrics
}

fn read_source(
    reader: &mut Reader<'_, '_>,
    name: &str,
    at: usize,
    query: Said<String>,
    kind: ServiceKind,
) -> Option<Source> {
    let built_in = BUILT_IN.iter().find(|(word, _)| *word == name).map(|(_, source)| source.clone());
    let query_at = query.as_ref().map(|query| query.at);
    let query = reader.take(query);
    if name.trim().is_empty() || name.chars().any(char::is_control) || name.len() > 100 {
        reader.wrong(at, "a metric has a name of 1 to 100 characters");
        return None;
    }
    match (built_in, query, query_at) {
        (None, Some(query), Some(at)) if !query.contains("$version") => {
            reader.wrong(at, "a query has $version in it, so that both versions can be asked for");
            None
        }
        (None, Some(query), _) => Some(Source::Query(query)),
        (None, None, Some(_)) => None,
        (Some(_), _, Some(at)) => {
            reader
                .wrong(at, format!("{name:?} is built in and takes no query; give a metric of your own another name"));
            None
        }
        (Some(Source::Business(_)), ..) if kind != ServiceKind::Engage => {
            reader.wrong(
                at,
                format!("{name:?} is built in only where service.kind = \"engage\"; elsewhere a metric has a query"),
            );
            None
        }
        (Some(source), ..) => Some(source),
        (None, ..) => {
            let of_engage = kind == ServiceKind::Engage;
            let known = BUILT_IN.iter().filter(|(_, source)| of_engage || !matches!(source, Source::Business(_)));
            let known: Vec<&str> = known.map(|(name, _)| *name).collect();
            let hint = did_you_mean(name, known.iter().copied());
            reader.wrong(at, format!("{name:?} has no query, and built in are {}{hint}", known.join(", ")));
            None
        }
    }
}
