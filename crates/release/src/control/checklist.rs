//! The checklist of a version, before and while it is released.

use serde::{Deserialize, Serialize};

use super::controller::Controller;
use super::deploy::{bad_manifest, usual_file};
use super::refusal::Refused;
use crate::executor::{tick, ticked};
use crate::model::exit::Exit;
use crate::model::manifest::{ChecklistItem, Manifest};
use crate::model::readiness::{ChecklistState, Done, checklist_states};
use crate::model::value::{Name, Version};

/// Longer ones are no notes.
const NOTE: usize = 1_000;

/// Asks for the items, or says that one is done.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskChecklist {
    /// The manifest as it is written.
    pub manifest: String,
    /// How errors call it.
    #[serde(default = "usual_file")]
    pub file: String,
    /// Default: that of the manifest.
    #[serde(default)]
    pub version: Option<Version>,
    /// What was done, by its words or a part of them that no other item has.
    #[serde(default)]
    pub done: Option<String>,
    #[serde(default)]
    pub note: Option<String>,
    /// Who did it.
    #[serde(default)]
    pub by: Option<String>,
}

/// The items of a version, as if it were released now.
#[derive(Debug, Serialize)]
pub struct Checklist {
    pub service: Name,
    pub version: Version,
    pub items: Vec<ChecklistState>,
}

impl Controller {
    /// The items; with `done` one of them is ticked before.
    pub async fn checklist(&self, asked: &AskChecklist, by: &str) -> Result<Checklist, Refused> {
        let manifest =
            Manifest::parse(&asked.file, &asked.manifest).map_err(|faults| bad_manifest(&faults.to_string()))?;
        let version = asked.version.clone().or_else(|| manifest.service.version.clone());
        let version = version.ok_or_else(|| Refused::error("which version? Name it behind the command"))?;
        let folder = self.services().join(manifest.service.name.as_str());
        let now = self.now();
        // One writes at a time.
        let _writes = self.beginning.lock().await;
        let known = ticked(&folder, &version).map_err(Refused::error)?;
        if let Some(words) = &asked.done {
            let item = find(&manifest.checklist, words)?;
            if known.iter().any(|done| done.what == item.what && done.offset == item.at) {
                return Err(Refused::new(Exit::Refused, format!("{:?} is ticked already", item.what)));
            }
            let note = asked.note.clone().unwrap_or_default();
            if note.len() > NOTE {
                return Err(Refused::new(Exit::Refused, format!("a note has at most {NOTE} bytes")));
            }
            let done = Done { what: item.what.clone(), offset: item.at, who: by.to_owned(), at: now, note };
            tick(&folder, &version, done).map_err(Refused::error)?;
        }
        let done = ticked(&folder, &version).map_err(Refused::error)?;
        let began = self.one(version.as_str()).map_or(now, |kept| kept.request.at);
        let items = checklist_states(&manifest.checklist, &done, began, now);
        Ok(Checklist { service: manifest.service.name, version, items })
    }
}

/// The item that is meant.
fn find<'a>(items: &'a [ChecklistItem], words: &str) -> Result<&'a ChecklistItem, Refused> {
    if let Some(same) = items.iter().find(|item| item.what == words) {
        return Ok(same);
    }
    let part = words.trim().to_lowercase();
    let like: Vec<_> = items.iter().filter(|item| item.what.to_lowercase().contains(&part)).collect();
    match like.as_slice() {
        [one] => Ok(one),
        [] => Err(Refused::new(Exit::Refused, format!("the checklist has no item {words:?}"))),
        several => {
            let told: Vec<String> = several.iter().map(|item| format!("{:?}", item.what)).collect();
            Err(Refused::new(Exit::Refused, format!("{words:?} may be {}", told.join(" or "))))
        }
    }
}
