//! The checklist: what was ticked, by whom, and the commands of items that need nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use signalbox_core::time::{Micros, SECOND};
use tokio::sync::mpsc;

use super::commands;
use super::release::Release;
use crate::model::manifest::{ChecklistItem, Offset};
use crate::model::readiness::{Done, checklist_states};
use crate::model::value::Version;

/// A line of JSON each, in the folder of the service.
const FILE: &str = "checklist.jsonl";
/// A command that failed is not tried again sooner.
const AGAIN: i64 = 10 * SECOND;

/// Somebody did something for a version.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Tick {
    version: Version,
    #[serde(flatten)]
    done: Done,
}

/// What was done for a version. A last line that was torn by a crash was never promised.
pub(crate) fn ticked(service: &Path, version: &Version) -> Result<Vec<Done>, String> {
    let path = service.join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    let ticks = whole
        .lines()
        .map(|line| serde_json::from_str::<Tick>(line).map_err(|error| format!("{}: {error}", path.display())));
    let ticks = ticks.collect::<Result<Vec<_>, _>>()?;
    Ok(ticks.into_iter().filter(|tick| tick.version == *version).map(|tick| tick.done).collect())
}

/// Notes that something was done; it is on disk when this comes back.
pub(crate) fn tick(service: &Path, version: &Version, done: Done) -> Result<(), String> {
    let path = service.join(FILE);
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let tick = Tick { version: version.clone(), done };
    let mut line = serde_json::to_vec(&tick).map_err(|error| error.to_string())?;
    line.push(b'\n');
    std::fs::create_dir_all(service).map_err(told)?;
    // What a crash tore is ended first, so that it takes no line with it.
    let torn = std::fs::read(&path).is_ok_and(|bytes| bytes.last().is_some_and(|last| *last != b'\n'));
    if torn {
        let bytes = std::fs::read(&path).map_err(told)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        crate::disk::store(&path, &bytes[..whole]).map_err(told)?;
    }
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path).map_err(told)?;
    file.write_all(&line).and_then(|()| file.sync_all()).map_err(told)?;
    super::journal_file::sync_folder(service).map_err(told)
}

/// What stands in the way of a release that begins now: the items, and risks that nobody mitigates.
pub(super) fn obstacles(release: &Release, failed: &Failed) -> Result<Vec<String>, String> {
    let now = release.tools.clock.now();
    let done = ticked(release.service_folder(), &release.request.version)?;
    let states = checklist_states(&release.manifest.checklist, &done, now, now);
    let items = states.iter().filter(|item| item.blocks()).map(|item| {
        let why = failed.get(&item.what).map_or_else(String::new, |why| format!(": {why}"));
        format!("checklist {}: {:?} is not done{why}", item.offset, item.what)
    });
    let risks = release.manifest.risks.iter().filter(|risk| risk.is_open());
    let risks = risks.map(|risk| format!("risk {:?} is {} and has no mitigation", risk.what, risk.level.word()));
    Ok(risks.chain(items).collect())
}

/// Why the command of an item did not end well.
pub(super) type Failed = BTreeMap<String, String>;

/// How the command of an item ended.
type Went = (String, Result<(), String>);

/// Runs the commands of items.
pub(crate) struct Runs {
    busy: BTreeSet<String>,
    failed: Failed,
    not_before: BTreeMap<String, Micros>,
    ended: (mpsc::UnboundedSender<Went>, mpsc::UnboundedReceiver<Went>),
}

impl Default for Runs {
    fn default() -> Self {
        let (busy, failed, not_before) = Default::default();
        Self { busy, failed, not_before, ended: mpsc::unbounded_channel() }
    }
}

impl Runs {
    pub(super) fn failed(&self) -> &Failed {
        &self.failed
    }

    /// Begins those of the items that are due, and hears of those that ended.
    pub(crate) fn turn(&mut self, release: &Release, is_due: impl Fn(Offset) -> bool) {
        let now = release.tools.clock.now();
        while let Ok((what, went)) = self.ended.1.try_recv() {
            self.busy.remove(&what);
            self.not_before.insert(what.clone(), now.plus(AGAIN));
            match went {
                Ok(()) => drop(self.failed.remove(&what)),
                Err(why) => {
                    tracing::warn!(release.id = %release.id, item = what, "its command failed: {why}");
                    self.failed.insert(what, why);
                }
            }
        }
        let Ok(done) = ticked(release.service_folder(), &release.request.version) else { return };
        for item in release.manifest.checklist.iter().filter(|item| is_due(item.at)) {
            let ticked = done.iter().any(|done| done.what == item.what && done.offset == item.at);
            let early = self.not_before.get(&item.what).is_some_and(|at| *at > now);
            if ticked || early || self.busy.contains(&item.what) || item.run.is_none() {
                continue;
            }
            self.busy.insert(item.what.clone());
            let (release, item, ended) = (release.clone(), item.clone(), self.ended.0.clone());
            tokio::spawn(async move {
                let went = carry_out(&release, &item).await;
                // Nobody hears it once the release has ended.
                let _ = ended.send((item.what, went));
            });
        }
    }
}

async fn carry_out(release: &Release, item: &ChecklistItem) -> Result<(), String> {
    let Some(command) = &item.run else { return Ok(()) };
    let words = release.words(command, release.manifest.service.ports.first, &release.tools.data);
    let said = commands::run(&words, &release.request.base, &[]).await?;
    let note = said.lines().last().unwrap_or_default().to_owned();
    let done =
        Done { what: item.what.clone(), offset: item.at, who: words.join(" "), at: release.tools.clock.now(), note };
    tick(release.service_folder(), &release.request.version, done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_belong_to_a_version_and_survive_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let version = |text: &str| text.parse::<Version>().unwrap();
        let done = |what: &str| Done {
            what: what.into(),
            offset: "T-24h".parse().unwrap(),
            who: "ann".into(),
            at: Micros(1),
            note: String::new(),
        };
        let (one, two) = (version("1.0.0"), version("2.0.0"));
        assert_eq!(ticked(folder.path(), &one), Ok(Vec::new()));
        tick(folder.path(), &one, done("a")).unwrap();
        tick(folder.path(), &two, done("b")).unwrap();
        let path = folder.path().join(FILE);
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend_from_slice(b"{\"version\": \"1.0");
        std::fs::write(&path, torn).unwrap();
        assert_eq!(ticked(folder.path(), &one), Ok(vec![done("a")]));
        tick(folder.path(), &one, done("c")).unwrap();
        assert_eq!(ticked(folder.path(), &one), Ok(vec![done("a"), done("c")]));
        assert_eq!(ticked(folder.path(), &two), Ok(vec![done("b")]));
    }
}
