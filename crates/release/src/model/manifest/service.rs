use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_core::setting::{Period, Size};
use signalbox_core::setting_file::{Field, Reader};

use super::Said;
use super::health::{Health, HealthWire, positive};
use crate::model::text::written_as_text;
use crate::model::value::{Command, Count, Digest, Name, Template, Version};

/// What is released, and how an instance of it is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Service {
    pub name: Name,
    pub kind: ServiceKind,
    /// Where the manifest names it; a command may name it instead.
    pub version: Option<Version>,
    pub run: Command,
    pub env: BTreeMap<String, Template>,
    pub artifact: Option<Artifact>,
    pub instances: Count<1, 1000>,
    pub ports: Ports,
    pub limits: Limits,
    pub restart: Restart,
    /// How long requests in flight may take to end before the version is stopped.
    pub drain: Period,
    /// From SIGTERM to SIGKILL.
    pub stop: Period,
    pub health: Health,
}

/// Whether it is Signalbox itself, which knows business metrics of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceKind {
    #[default]
    Service,
    Engage,
}

/// The file that is released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Artifact {
    pub path: Template,
    pub sha256: Digest,
}

/// What one instance may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limits {
    pub memory: Option<Size>,
    pub files: Option<Count<16, 1_048_576>>,
}

/// How a dead instance is started again: after `first`, then twice as long each time, up to `most`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    pub first: Period,
    pub most: Period,
    /// So many starts without a healthy moment, and it is given up.
    pub give_up: Count<1, 1000>,
}

/// `20000-20099`: from where instances get their ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    pub first: u16,
    pub last: u16,
}

impl Ports {
    /// How many there are.
    pub fn count(&self) -> u64 {
        u64::from(self.last - self.first) + 1
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.first, self.last)
    }
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port >= 1024);
        let both = text.split_once('-').and_then(|(first, last)| Some((port(first)?, port(last)?)));
        both.filter(|(first, last)| first <= last)
            .map(|(first, last)| Self { first, last })
            .ok_or_else(|| format!("{text:?} is not a range of ports; write 20000-20099, from 1024 to 65535"))
    }
}

written_as_text!(Ports, "Ports", "A range of ports from 1024 on.", "20000-20099");

/// What is released, and how an instance of it is run.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Service", extend("required" = ["name", "run", "health"]))]
pub(super) struct ServiceWire {
    /// What it is called, in paths and labels too.
    name: Said<Name>,
    /// `engage` where it is Signalbox itself, which brings business metrics; default `service`.
    kind: Said<ServiceKind>,
    /// The version that is released; a command may name it instead.
    version: Said<Version>,
    /// Program and arguments, without a shell. {port}, {version} and {data} are filled in.
    run: Said<Command>,
    /// Environment variables, {port}, {version} and {data} filled in. Secrets belong into files.
    env: BTreeMap<String, Field<Template>>,
    /// The file that is released. Without it nothing proves that what was tested is what runs.
    artifact: Option<ArtifactWire>,
    /// How many instances carry all of the traffic; default 2.
    instances: Said<Count<1, 1000>>,
    /// From where instances get their ports: room for two versions; default 20000-20999.
    ports: Said<Ports>,
    /// What one instance may use.
    limits: LimitsWire,
    /// How a dead instance is started again.
    restart: RestartWire,
    /// How long requests in flight may take to end; default 30s.
    drain: Said<Period>,
    /// From SIGTERM to SIGKILL; default 10s.
    stop: Said<Period>,
    /// How an instance says that it is well.
    health: Option<HealthWire>,
}

/// The file that is released.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Artifact", extend("required" = ["path", "sha256"]))]
struct ArtifactWire {
    /// A file on this machine, {version} filled in.
    path: Said<Template>,
    /// As sha256sum prints it.
    sha256: Said<Digest>,
}

/// What one instance may use.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Limits")]
struct LimitsWire {
    /// Memory, for example `512 MiB`; without it there is no limit and no trigger for memory.
    memory: Said<Size>,
    /// Open files and sockets.
    files: Said<Count<16, 1_048_576>>,
}

/// How a dead instance is started again.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Restart")]
struct RestartWire {
    /// Before the first new start; default 500ms. Doubles each time.
    first: Said<Period>,
    /// The longest time between two starts; default 30s.
    most: Said<Period>,
    /// So many starts without a healthy moment, and it is given up; default 5.
    give_up: Said<Count<1, 1000>>,
}

impl ServiceWire {
    pub(super) fn read(self, reader: &mut Reader<'_, '_>) -> Option<Service> {
        let name = reader.needed("service", "name", self.name);
        let kind = reader.take(self.kind).unwrap_or_default();
        let version = reader.take(self.version);
        let run_at = self.run.as_ref().map(|run| run.at);
        let run = reader.needed("service", "run", self.run);
        let env = read_env(reader, self.env);
        let artifact = self.artifact.and_then(|artifact| {
            let path = reader.needed("service.artifact", "path", artifact.path);
            let sha256 = reader.needed("service.artifact", "sha256", artifact.sha256);
            Some(Artifact { path: path?, sha256: sha256? })
        });
        let instances = reader.take(self.instances).unwrap_or(Count::of(2));
        let ports_at = self.ports.as_ref().map(|ports| ports.at);
        let ports = reader.take(self.ports).unwrap_or(Ports { first: 20_000, last: 20_999 });
        let needed = instances.get() * 2 + 1;
        if ports.count() < needed {
            let at = ports_at.or(run_at).unwrap_or(0);
            let told = format!(
                "{} ports are too few: two versions of {} instances and one for staging need {needed}",
                ports.count(),
                instances.get()
            );
            reader.wrong(at, told);
        }
        let listens =
            |run: &Command| run.words().iter().any(Template::has_port) || env.values().any(Template::has_port);
        if let (Some(run), Some(at)) = (&run, run_at)
            && !listens(run)
        {
            reader.wrong(
                at,
                "neither the command nor [service.env] has {port} in it, so two versions cannot run beside each other",
            );
        }
        let limits = Limits { memory: reader.take(self.limits.memory), files: reader.take(self.limits.files) };
        let restart = Restart {
            first: positive(reader, self.restart.first).unwrap_or(Period::from_millis(500)),
            most: positive(reader, self.restart.most).unwrap_or(Period::from_secs(30)),
            give_up: reader.take(self.restart.give_up).unwrap_or(Count::of(5)),
        };
        if restart.most < restart.first {
            reader.missing("service.restart", "must have a most that is no shorter than first");
        }
        let drain = reader.take(self.drain).unwrap_or(Period::from_secs(30));
        let stop = positive(reader, self.stop).unwrap_or(Period::from_secs(10));
        if self.health.is_none() {
            reader.missing("service", "needs \"health\"");
        }
        let health = self.health.and_then(|health| health.read(reader));
        Some(Service {
            name: name?,
            kind,
            version,
            run: run?,
            env,
            artifact,
            instances,
            ports,
            limits,
            restart,
            drain,
            stop,
            health: health?,
        })
    }
}

fn read_env(reader: &mut Reader<'_, '_>, said: BTreeMap<String, Field<Template>>) -> BTreeMap<String, Template> {
    let mut env = BTreeMap::new();
    for (name, value) in said {
        let good = |one: char| one.is_ascii_alphanumeric() || one == '_';
        if name.is_empty() || name.starts_with(|one: char| one.is_ascii_digit()) || !name.chars().all(good) {
            reader.wrong(
                value.at,
                format!("{name:?} is not a name of a variable; write letters, digits and _, no digit first"),
            );
            continue;
        }
        if let Some(value) = reader.take(Some(value)) {
            env.insert(name, value);
        }
    }
    env
}
