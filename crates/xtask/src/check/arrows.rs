//! Which crate may depend on which: DESIGN §2. Arrows point down, features do not know each other, the pure crates do
//! no I/O, and only `store` knows a database driver. Dependencies of tests alone are free, and so is `e2e`.

use std::collections::{HashMap, HashSet};

use super::outcome::Outcome;
use crate::metadata::{Kind, Metadata, Package};

/// From the bottom up. Inside `Pure` and `House` crates may lean on each other; cargo refuses circles.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Layer {
    Pure,
    House,
    Feature,
    Binary,
    Tooling,
}

const CRATES: [(Layer, &[&str]); 5] = [
    (Layer::Pure, &["crypto", "events", "canary", "core"]),
    (Layer::House, &["http", "mailer", "outbound", "telemetry", "tls", "audit", "store"]),
    (
        Layer::Feature,
        &["access", "tracking", "insight", "outreach", "messaging", "flags", "monitor", "edge", "release", "backup"],
    ),
    (Layer::Binary, &["signalbox"]),
    (Layer::Tooling, &["e2e", "xtask"]),
];
const NOT_IN_PURE: [&str; 5] = ["tokio", "axum", "hyper", "rusqlite", "tokio-postgres"];
const ONLY_IN_STORE: [&str; 4] = ["rusqlite", "tokio-postgres", "deadpool", "deadpool-postgres"];

pub(crate) fn check(metadata: &Metadata) -> Outcome {
    let mut problems = Vec::new();
    let mut ours = HashMap::new();
    for package in metadata.members() {
        let folder = folder(package);
        let Some(layer) = layer(folder) else {
            problems.push(format!("crates/{folder} has no place in the layers"));
            continue;
        };
        let expected = expected_name(folder);
        if package.name != expected {
            problems.push(format!("crates/{folder}: the package is called {}, not {expected}", package.name));
        }
        ours.insert(package.name.as_str(), (folder, layer));
    }
    let mut arrows = 0;
    for package in metadata.members() {
        let Some((folder, layer)) = ours.get(package.name.as_str()).copied() else { continue };
        for dependency in package.dependencies.iter().filter(|dependency| dependency.kind != Kind::Dev) {
            if let Some((other, below)) = ours.get(dependency.name.as_str()).copied() {
                arrows += 1;
                problems.extend(refusal(folder, layer, other, below));
            } else if ONLY_IN_STORE.contains(&dependency.name.as_str()) && folder != "store" && layer < Layer::Tooling {
                problems.push(format!("{folder} → {}: only store knows a database driver", dependency.name));
            }
        }
        if layer == Layer::Pure {
            problems.extend(impurities(metadata, package));
        }
    }
    problems.sort_unstable();
    Outcome::new(format!("{} crates, {arrows} arrows", ours.len()), problems)
}

fn refusal(from: &str, layer: Layer, to: &str, below: Layer) -> Option<String> {
    let why = if layer == Layer::Feature && below == Layer::Feature {
        "a feature never depends on a feature"
    } else if below >= Layer::Binary {
        "nothing depends on it"
    } else if below > layer {
        "arrows point down"
    } else {
        return None;
    };
    Some(format!("{from} → {to}: {why}"))
}

/// What does I/O and is linked into a pure crate, directly or through others.
fn impurities(metadata: &Metadata, package: &Package) -> Vec<String> {
    let Some(resolve) = &metadata.resolve else { return Vec::new() };
    let nodes: HashMap<&str, _> = resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let packages = metadata.by_id();
    let mut seen = HashSet::from([package.id.as_str()]);
    let mut waiting = vec![package.id.as_str()];
    let mut found = Vec::new();
    while let Some(node) = waiting.pop().and_then(|id| nodes.get(id)) {
        for dependency in &node.deps {
            let linked = dependency.dep_kinds.iter().any(|kind| kind.kind == Kind::Normal);
            if !linked || !seen.insert(&dependency.pkg) {
                continue;
            }
            waiting.push(&dependency.pkg);
            if let Some(other) = packages.get(dependency.pkg.as_str())
                && NOT_IN_PURE.contains(&other.name.as_str())
            {
                found.push(format!("{} → {}: a pure crate does no I/O", folder(package), other.name));
            }
        }
    }
    found
}

fn folder(package: &Package) -> &str {
    let folder = package.manifest_path.parent().and_then(|folder| folder.file_name());
    folder.and_then(|name| name.to_str()).unwrap_or_default()
}

fn layer(folder: &str) -> Option<Layer> {
    CRATES.iter().find(|(_, folders)| folders.contains(&folder)).map(|(layer, _)| *layer)
}

fn expected_name(folder: &str) -> String {
    match folder {
        "signalbox" | "xtask" => folder.to_owned(),
        _ => format!("signalbox-{folder}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// `links` are (from, to, kind); a name that is not a folder of ours is somebody else's crate.
    fn problems(folders: &[&str], links: &[(&str, &str, Option<&str>)]) -> Vec<String> {
        let name = |folder: &str| if folders.contains(&folder) { expected_name(folder) } else { folder.to_owned() };
        let mut all: Vec<&str> = folders.to_vec();
        all.extend(links.iter().map(|(_, to, _)| *to));
        all.sort_unstable();
        all.dedup();
        let of = |folder: &str| links.iter().filter(move |(from, _, _)| *from == folder).copied().collect::<Vec<_>>();
        let packages: Vec<Value> = all
            .iter()
            .map(|folder| {
                let dependencies: Vec<Value> =
                    of(folder).iter().map(|(_, to, kind)| json!({"name": name(to), "kind": kind})).collect();
                let source = (!folders.contains(folder)).then_some("registry");
                json!({"id": folder, "name": name(folder), "version": "0.1.0", "license": "MIT", "source": source,
                    "manifest_path": format!("/src/crates/{folder}/Cargo.toml"), "dependencies": dependencies})
            })
            .collect();
        let nodes: Vec<Value> = all
            .iter()
            .map(|folder| {
                let deps: Vec<Value> =
                    of(folder).iter().map(|(_, to, kind)| json!({"pkg": to, "dep_kinds": [{"kind": kind}]})).collect();
                json!({"id": folder, "deps": deps})
            })
            .collect();
        let metadata = json!({"packages": packages, "workspace_members": folders, "target_directory": "/target",
            "resolve": {"nodes": nodes}});
        check(&serde_json::from_value(metadata).unwrap()).problems
    }

    const ALL: [&str; 8] = ["core", "crypto", "store", "access", "tracking", "signalbox", "e2e", "xtask"];

    #[test]
    fn arrows_that_point_down_pass() {
        let links = [
            ("crypto", "core", None),
            ("store", "core", None),
            ("store", "rusqlite", None),
            ("rusqlite", "tokio", None),
            ("tracking", "crypto", None),
            ("tracking", "store", None),
            ("tracking", "tokio", None),
            ("tracking", "access", Some("dev")),
            ("tracking", "tokio-postgres", Some("dev")),
            ("core", "tokio", Some("dev")),
            ("signalbox", "tracking", None),
            ("e2e", "tokio-postgres", None),
        ];
        assert_eq!(problems(&ALL, &links), [] as [&str; 0]);
    }

    #[test]
    fn arrows_that_point_up_or_sideways_fail() {
        for (from, to, kind, why) in [
            ("core", "store", None, "arrows point down"),
            ("store", "access", None, "arrows point down"),
            ("store", "access", Some("build"), "arrows point down"),
            ("tracking", "access", None, "a feature never depends on a feature"),
            ("tracking", "signalbox", None, "nothing depends on it"),
            ("signalbox", "xtask", None, "nothing depends on it"),
            ("tracking", "rusqlite", None, "only store knows a database driver"),
            ("signalbox", "deadpool-postgres", None, "only store knows a database driver"),
            ("core", "hyper", None, "a pure crate does no I/O"),
        ] {
            assert_eq!(problems(&ALL, &[(from, to, kind)]), [format!("{from} → {to}: {why}")]);
        }
    }

    #[test]
    fn a_pure_crate_does_no_io_through_another_either() {
        let links = [("core", "harmless", None), ("harmless", "tokio", None)];
        assert_eq!(problems(&ALL, &links), ["core → tokio: a pure crate does no I/O"]);
    }

    #[test]
    fn a_crate_without_a_place_fails() {
        assert_eq!(problems(&["core", "misc"], &[]), ["crates/misc has no place in the layers"]);
    }
}
