use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use signalbox_core::setting::Period;
use signalbox_core::time::Micros;

use super::{LogLimits, Namespaces};
use crate::driver::{InstanceId, Role};
use crate::model::manifest::{Health, Restart};
use crate::model::value::{Digest, Name, Version};

/// Everything that a shim needs to know, in a file that it reads once.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) id: InstanceId,
    pub(crate) service: Name,
    pub(crate) version: Version,
    pub(crate) role: Role,
    pub(crate) artifact: Option<Digest>,
    pub(crate) made_at: Micros,
    /// Program and arguments, everything filled in.
    pub(crate) command: Vec<String>,
    /// Where it runs.
    pub(crate) folder: PathBuf,
    /// All of its environment.
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) port: u16,
    pub(crate) sandbox: Option<Namespaces>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) files: Option<u64>,
    pub(crate) restart: Restart,
    /// From SIGTERM to SIGKILL where nobody says otherwise.
    pub(crate) stop: Period,
    pub(crate) health: Health,
    pub(crate) log: LogLimits,
}

impl Spec {
    /// Where requests reach it.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }
}

/// Without the environment: it may hold secrets.
impl fmt::Debug for Spec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Spec").field("id", &self.id).field("command", &self.command).finish_non_exhaustive()
    }
}
