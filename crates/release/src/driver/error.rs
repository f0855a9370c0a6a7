use std::path::{Path, PathBuf};

use super::InstanceId;
use crate::model::manifest::Ports;
use crate::model::value::{Digest, Version};

/// Why a driver could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    #[error("the artifact {path} is {found}, not {wanted}: it is refused", path = path.display())]
    ChecksumDiffers { path: PathBuf, wanted: Digest, found: Digest },
    #[error("the artifact {path}: {said}", path = path.display())]
    Artifact { path: PathBuf, said: String },
    #[error("version {version} is here already with the sha256 {found}, and another one is asked for: {wanted}")]
    OtherArtifact { version: Version, wanted: Digest, found: Digest },
    #[error("no port of {ports} is free")]
    NoPort { ports: Ports },
    #[error(
        "no sandbox without a way out to the network is possible here: {why}; the manifest's staging.sandbox can be \"none\""
    )]
    NoSandbox { why: String },
    #[error("{id} did not start: {said}")]
    NotStarted { id: InstanceId, said: String },
    #[error("the supervisor of {id} does not answer as it should: {said}")]
    Supervisor { id: InstanceId, said: String },
    #[error("{path}", path = path.display())]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// Of drivers that reach their place over a network. Asking again may help.
    #[error("{what}")]
    Unreachable {
        what: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl DriverError {
    /// Names the file of an error of the system.
    pub fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    /// Whether asking again may help without anything being changed.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::NoPort { .. } | Self::Supervisor { .. } | Self::Unreachable { .. })
    }
}
