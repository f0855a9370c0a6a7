use std::collections::BTreeMap;

use signalbox_core::setting::Period;
use signalbox_core::time::Micros;
use signalbox_release::model::manifest::{Manifest, Order, Profile};
use signalbox_release::model::migration::{Set, read};
use signalbox_release::model::plan::{Inputs, Live, LiveVersion, Plan, Refusal, Role, Traffic, plan};
use signalbox_release::model::readiness::Evidence;
use signalbox_release::model::value::{Percent, Version};

/// The least that a manifest says.
pub const LEAST: &str =
    "[service]\nname = \"shop\"\nrun = [\"./shop\", \"{port}\"]\nhealth = { path = \"/healthz\" }\n";

pub fn manifest(text: &str) -> Manifest {
    Manifest::parse("release.toml", text).unwrap_or_else(|faults| panic!("{faults}"))
}

pub fn version(text: &str) -> Version {
    text.parse().unwrap()
}

pub fn at(text: &str) -> Micros {
    text.parse().unwrap()
}

/// A Monday morning.
pub fn monday() -> Micros {
    at("2026-11-23T08:00:00Z")
}

/// Staging, migrations, and so many instances.
pub fn full(profile: Profile, instances: u64, more: &str) -> Manifest {
    let word = profile.word();
    manifest(&format!(
        "profile = \"{word}\"\n{LEAST}instances = {instances}\n[approvals]\nroles = []\n[migrations]\ndir = \"m\"\ndatabase = \"sqlite:shop.db\"\n\
         [staging]\nsmoke = [[\"./smoke\"]]\nload = {{ peak = 10 }}\n[[staging.probe]]\npath = \"/\"\n{more}"
    ))
}

/// An expand that ran, and one of each kind that waits.
pub fn migrations() -> Set {
    let sql: &[u8] = b"SELECT 1;";
    let files = [("0001.expand.sql", sql), ("0002.backfill.sql", sql), ("0003.contract.sql", sql)];
    read(files, Order::Number).unwrap()
}

/// One version that serves everything.
pub fn live(manifest: &Manifest, serving: &str) -> Live {
    let version = version(serving);
    let instances = manifest.service.instances.get();
    let stable = LiveVersion {
        spec: manifest.spec(&version),
        version,
        instances,
        ready: instances,
        weight: Percent::ALL,
        role: Role::Stable,
    };
    Live { versions: vec![stable], applied: Vec::new() }
}

pub fn traffic(requests_per_second: f64) -> Traffic {
    Traffic { requests_per_second, errors: Some(0.001), seen_for: Some(Period::from_secs(3600)) }
}

/// A plan for 2.0.0, at plenty of traffic.
pub fn planned(manifest: &Manifest, live: &Live, set: Option<&Set>) -> Result<Option<Plan>, Refusal> {
    plan(Inputs {
        manifest,
        version: &version("2.0.0"),
        live,
        migrations: set,
        evidence: &Evidence::default(),
        traffic: Some(traffic(100_000.0)),
        took: &BTreeMap::new(),
    })
}
