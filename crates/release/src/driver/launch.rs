use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::Role;
use crate::model::manifest::{Sandbox, Service};
use crate::model::value::{Digest, Name, Version};

/// A file or a folder to bring to where versions run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    pub service: Name,
    pub version: Version,
    /// Where it lies on this machine.
    pub path: PathBuf,
    /// Of a file as sha256sum prints it; of a folder as docs/releases.md says.
    pub sha256: Digest,
}

/// An artifact in its version's own folder, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fetched {
    pub version: Version,
    pub sha256: Digest,
    /// Where an instance runs: the folder, or the folder with the file in it.
    pub folder: PathBuf,
    pub bytes: u64,
}

/// One more instance, please.
#[derive(Debug, Clone)]
pub struct Launch {
    /// As the manifest has it: command, environment, ports, limits, restarts, health.
    pub service: Service,
    pub version: Version,
    pub role: Role,
    /// Of an instance in staging; production never has one.
    pub sandbox: Sandbox,
    /// What is run, checked again before the start. Without one the command runs in `base`, and nothing proves what it is.
    pub artifact: Option<Fetched>,
    /// The folder of the manifest.
    pub base: PathBuf,
    /// What `{data}` stands for.
    pub data: PathBuf,
    /// Variables beside those of the manifest; where both name one, these win. Nothing else of the caller's environment
    /// reaches an instance. They may hold secrets: they are kept in files for the owner alone and never logged.
    pub env: BTreeMap<String, String>,
}

impl Launch {
    /// An instance for traffic.
    pub fn production(service: &Service, version: &Version, base: PathBuf, data: PathBuf) -> Self {
        Self {
            service: service.clone(),
            version: version.clone(),
            role: Role::Production,
            sandbox: Sandbox::None,
            artifact: None,
            base,
            data,
            env: BTreeMap::new(),
        }
    }

    /// An instance beside production, on the copy in `data`.
    pub fn staging(service: &Service, version: &Version, sandbox: Sandbox, base: PathBuf, data: PathBuf) -> Self {
        Self { role: Role::Staging, sandbox, ..Self::production(service, version, base, data) }
    }

    /// The same, running that artifact.
    #[must_use]
    pub fn of(mut self, artifact: Fetched) -> Self {
        self.artifact = Some(artifact);
        self
    }

    /// The same with one more variable.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }
}
