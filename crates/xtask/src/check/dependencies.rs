//! The list of crates in the binary, with their licences, that the page `/about` shows: it must be what
//! `cargo metadata` says.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result};

use super::files::Files;
use super::outcome::Outcome;
use crate::metadata::{Kind, Metadata, Node};
use crate::workspace::Workspace;

const PATH: &str = "crates/signalbox/dependencies.tsv";
const BINARY: &str = "signalbox";

pub(crate) fn check(workspace: &Workspace, files: &Files, metadata: &Metadata, fix: bool) -> Result<Outcome> {
    let wanted = list(metadata)?;
    let note = format!("{} crates", wanted.lines().count());
    if files.text(PATH).is_some_and(|file| file.text == wanted) {
        return Ok(Outcome::new(note, Vec::new()));
    }
    if fix {
        std::fs::write(workspace.root().join(PATH), wanted).with_context(|| format!("cannot write {PATH}"))?;
        return Ok(Outcome::new(format!("{note}, written anew"), Vec::new()));
    }
    Ok(Outcome::new(note, vec![format!("{PATH} is not what cargo metadata says")]))
}

/// Name, version and licence of everything that the binary is linked from, a line each, in order of the names.
fn list(metadata: &Metadata) -> Result<String> {
    let packages = metadata.by_id();
    let resolve = metadata.resolve.as_ref().context("cargo metadata resolved nothing")?;
    let nodes: HashMap<&str, &Node> = resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let binary = metadata.members().find(|package| package.name == BINARY).context("there is no binary")?;
    let mut waiting = vec![binary.id.as_str()];
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if seen.insert(id) {
            let node = nodes.get(id).with_context(|| format!("{id} is not resolved"))?;
            let linked = node.deps.iter().filter(|one| one.dep_kinds.iter().any(|kind| kind.kind == Kind::Normal));
            waiting.extend(linked.map(|one| one.pkg.as_str()));
        }
    }
    let others = seen.into_iter().map(|id| packages[id]).filter(|package| package.source.is_some());
    let lines: BTreeSet<String> = others
        .map(|package| {
            let licence = package.license.as_deref().unwrap_or("not named");
            format!("{}\t{}\t{}\n", package.name, package.version, licence.replace('/', " OR "))
        })
        .collect();
    Ok(lines.into_iter().collect())
}
