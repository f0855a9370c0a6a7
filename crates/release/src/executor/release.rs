//! What one release is about, and what is needed to carry it out.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use signalbox_core::clock::Clock;
use signalbox_core::time::Micros;

use super::business::Business;
use super::fault::FailPoint;
use super::router::Router;
use crate::driver::{Driver, Instance, Role};
use crate::model::manifest::Manifest;
use crate::model::readiness::Evidence;
use crate::model::value::{Command, Placeholders, Version};

/// What every release of a controller uses.
#[derive(Clone)]
pub struct Tools {
    pub router: Router,
    pub driver: Arc<dyn Driver>,
    pub clock: Arc<dyn Clock>,
    /// Where queries of metrics are sent.
    pub prometheus: Option<String>,
    /// What the service itself knows, where it is engage.
    pub business: Option<Arc<dyn Business>>,
    /// What `{data}` stands for.
    pub data: PathBuf,
    /// Of the lead.
    pub epoch: u64,
    pub fail: Option<FailPoint>,
    pub known: Known,
}

/// The instances as they were last seen.
#[derive(Debug, Clone, Default)]
pub struct Known(Arc<Mutex<Vec<Instance>>>);

/// A supervisor that does not answer holds nobody up for longer: the way back least of all.
const LIST_WITHIN: Duration = Duration::from_secs(1);

impl Tools {
    /// Every instance; as it was last seen where that takes too long.
    pub(crate) async fn instances(&self) -> Result<Vec<Instance>, String> {
        let listed = tokio::time::timeout(LIST_WITHIN, self.driver.list()).await;
        let mut known = self.known.0.lock().unwrap_or_else(PoisonError::into_inner);
        match listed {
            Ok(listed) => *known = listed.map_err(|error| error.to_string())?,
            Err(_) if known.is_empty() => return Err("the driver does not say what runs".into()),
            Err(_) => tracing::warn!("the driver is slow to say what runs; what was seen last counts"),
        }
        Ok(known.clone())
    }
}

/// What was asked for, as it is kept beside the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    pub version: Version,
    pub kind: Kind,
    /// The manifest as it was written.
    pub manifest: String,
    /// How errors call it.
    pub file: String,
    /// The folder of the manifest: commands and paths of it begin here.
    pub base: PathBuf,
    pub by: String,
    pub at: Micros,
    pub evidence: Evidence,
}

/// What kind of release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Deploy,
    /// Back to a version that was live: always allowed, and no verdict is waited for.
    Rollback,
}

/// One release on its way.
#[derive(Clone)]
pub struct Release {
    /// `shop-7`
    pub id: String,
    pub folder: PathBuf,
    pub request: Request,
    pub manifest: Manifest,
    pub tools: Tools,
    /// How the version before is run, so that it can be started again.
    pub before: Option<Arc<(Request, Manifest)>>,
}

impl Release {
    /// Where everything of the service is.
    pub(super) fn service_folder(&self) -> &Path {
        self.folder.parent().unwrap_or(Path::new("/"))
    }

    /// Where a path of the manifest is.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.request.base.join(text)
    }

    /// A command of the manifest, filled in.
    pub(super) fn words(&self, command: &Command, port: u16, data: &Path) -> Vec<String> {
        command.fill(&self.placeholders(port, data))
    }

    pub(super) fn placeholders(&self, port: u16, data: &Path) -> Placeholders {
        Placeholders { port, version: self.request.version.clone(), data: data.display().to_string() }
    }

    /// Where staging has its data.
    pub(super) fn copy(&self) -> PathBuf {
        self.folder.join("copy")
    }

    /// The living instances of a version.
    pub(super) async fn living(&self, version: &Version, role: Role) -> Result<Vec<Instance>, String> {
        let listed = self.tools.instances().await?;
        let living = |one: &Instance| one.version == *version && one.role == role && one.state.lives();
        Ok(listed.into_iter().filter(living).collect())
    }
}
