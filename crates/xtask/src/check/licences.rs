//! Licences and bans of what we depend on, as `deny.toml` has them: by cargo-deny where it is installed, and otherwise
//! by ourselves from `cargo metadata`, so that the check is never skipped.

use std::collections::HashSet;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::files::Files;
use super::outcome::Outcome;
use super::spdx;
use crate::metadata::{Metadata, Package};
use crate::process;
use crate::workspace::Workspace;

/// The part of `deny.toml` that is checked here.
#[derive(Deserialize)]
struct Deny {
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licences {
    allow: HashSet<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    allow: HashSet<String>,
    #[serde(rename = "crate")]
    name: String,
}

#[derive(Deserialize)]
struct Bans {
    #[serde(default)]
    deny: Vec<Banned>,
}

#[derive(Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
    /// Crates that may depend on it all the same.
    #[serde(default)]
    wrappers: HashSet<String>,
}

impl Banned {
    /// Whether nobody but its wrappers depends on `package`.
    fn is_wrapped(&self, package: &Package, metadata: &Metadata) -> bool {
        let name = |id: &str| metadata.packages.iter().find(|one| one.id == id).map_or("", |one| one.name.as_str());
        let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
        let mut dependents = nodes.filter(|node| node.deps.iter().any(|dependency| dependency.pkg == package.id));
        !self.wrappers.is_empty() && dependents.all(|node| self.wrappers.contains(name(&node.id)))
    }
}

pub(crate) fn check(workspace: &Workspace, files: &Files, metadata: &Metadata) -> Result<Outcome> {
    if process::output(workspace.cargo().args(["deny", "--version"])).is_ok() {
        let deny = process::run(workspace.cargo().args(["deny", "check", "licenses", "bans"]));
        return Ok(Outcome { note: "by cargo-deny".into(), ..Outcome::of_program(deny) });
    }
    let text = &files.text("deny.toml").context("there is no deny.toml")?.text;
    let deny: Deny = toml::from_str(text).context("deny.toml")?;
    Ok(deny.check(metadata))
}

impl Deny {
    fn check(&self, metadata: &Metadata) -> Outcome {
        let others: Vec<&Package> = metadata.packages.iter().filter(|package| package.source.is_some()).collect();
        let mut problems: Vec<String> = others.iter().filter_map(|package| self.problem(package, metadata)).collect();
        problems.sort_unstable();
        Outcome::new(format!("{} crates, by xtask itself: cargo-deny is not installed", others.len()), problems)
    }

    fn problem(&self, package: &Package, metadata: &Metadata) -> Option<String> {
        let Package { name, version, .. } = package;
        let mut banned = self.bans.deny.iter().filter(|banned| banned.name == *name);
        if let Some(banned) = banned.find(|banned| !banned.is_wrapped(package, metadata)) {
            return Some(format!("{name} {version} is banned: {}", banned.reason));
        }
        let Some(expression) = &package.license else { return Some(format!("{name} {version} names no licence")) };
        let allowed = |id: &str| {
            let excepted = |exception: &Exception| exception.name == *name && exception.allow.contains(id);
            self.licenses.allow.contains(id) || self.licenses.exceptions.iter().any(excepted)
        };
        match spdx::satisfies(expression, &allowed) {
            Ok(true) => None,
            Ok(false) => Some(format!("{name} {version}: {expression} is not allowed")),
            Err(error) => Some(format!("{name} {version}: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = "
        [licenses]
        allow = ['MIT']
        exceptions = [{ allow = ['CDLA-Permissive-2.0'], crate = 'roots' }]
        [bans]
        multiple-versions = 'warn'
        deny = [{ crate = 'openssl-sys', reason = 'rustls it is' }]
    ";

    #[test]
    fn what_is_not_allowed_is_named() {
        let package = |name: &str, license: Option<&str>, source: Option<&str>| {
            serde_json::json!({"id": name, "name": name, "version": "1.0.0", "license": license, "source": source,
                "manifest_path": "/x/Cargo.toml", "dependencies": []})
        };
        let packages = [
            package("fine", Some("MIT OR GPL-3.0-only"), Some("registry")),
            package("roots", Some("CDLA-Permissive-2.0"), Some("registry")),
            package("other-roots", Some("CDLA-Permissive-2.0"), Some("registry")),
            package("nameless", None, Some("registry")),
            package("openssl-sys", Some("MIT"), Some("registry")),
            package("ours", None, None),
        ];
        let metadata =
            serde_json::json!({"packages": packages, "workspace_members": ["ours"], "target_directory": "/t"});
        let outcome = toml::from_str::<Deny>(DENY).unwrap().check(&serde_json::from_value(metadata).unwrap());
        let expected = [
            "nameless 1.0.0 names no licence",
            "openssl-sys 1.0.0 is banned: rustls it is",
            "other-roots 1.0.0: CDLA-Permissive-2.0 is not allowed",
        ];
        assert_eq!(outcome.problems, expected);
        assert!(outcome.note.starts_with("5 crates"), "{}", outcome.note);
    }
}
