//! What somebody does who has signed in: never both the asking and the answering for it.

use tokio::sync::watch;

use super::controller::Controller;
use super::refusal::Refused;
use super::shelf::Kept;
use crate::executor::{Status, Tools};
use crate::model::exit::Exit;
use crate::model::machine::Verb;
use crate::model::value::Name;

/// Whether somebody of that name began the release. Behind a name may stand how they came: `ann (uid 1000)`.
pub(crate) fn began_by(kept: &Kept, name: &str) -> bool {
    let bare = |name: &str| name.split_once(" (").map_or(name, |(name, _)| name).trim().to_lowercase();
    bare(&kept.request.by) == bare(name)
}

impl Controller {
    /// Goes on without a verdict: `person` answers for it, and is not who began the release.
    pub async fn promote_as(&self, id: &str, person: &str, reason: String, all: bool) -> Result<Status, Refused> {
        let kept = self.one(id)?;
        if began_by(&kept, person) {
            let said = "promoting without a verdict needs an approver who is somebody else than who began the release";
            return Err(Refused::new(Exit::Refused, said));
        }
        let by = format!("the release of {}", kept.request.by);
        self.verb(&kept.id, Verb::Promote { all, approver: person.to_owned(), reason }, by).await
    }

    /// Signs for a role; not for what one began oneself.
    pub async fn sign_as(&self, id: &str, role: Name, person: &str) -> Result<Status, Refused> {
        let kept = self.one(id)?;
        if began_by(&kept, person) {
            return Err(Refused::new(Exit::Refused, "somebody else than who began the release has to sign for it"));
        }
        self.sign(&kept.id, role, person.to_owned()).await
    }

    /// What releases use.
    pub(crate) fn tools(&self) -> &Tools {
        &self.tools
    }

    /// Raised by every change that somebody may wait for.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Where the token of the interface is.
    pub(crate) fn token_file(&self) -> std::path::PathBuf {
        self.lead.folder().join("token")
    }
}
