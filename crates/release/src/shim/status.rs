use serde::{Deserialize, Serialize};
use signalbox_core::time::Micros;

use super::{Identity, Spec};
use crate::driver::{Exit, Instance, InstanceId, State};

/// How an instance is: what its shim tells over the socket, and writes to a file whenever the state changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) id: InstanceId,
    pub(crate) shim: Identity,
    /// The service's own process, while there is one.
    pub(crate) process: Option<Identity>,
    pub(crate) state: State,
    pub(crate) since: Micros,
    pub(crate) started_at: Option<Micros>,
    pub(crate) restarts: u64,
    pub(crate) failures: u64,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) last_exit: Option<Exit>,
    /// What it wrote and no file could take.
    pub(crate) log_lost_bytes: u64,
    pub(crate) said: String,
}

impl Status {
    /// Before anything was started.
    pub(super) fn new(id: InstanceId, shim: Identity, now: Micros) -> Self {
        Self {
            id,
            shim,
            process: None,
            state: State::Starting,
            since: now,
            started_at: None,
            restarts: 0,
            failures: 0,
            memory_bytes: None,
            last_exit: None,
            log_lost_bytes: 0,
            said: "not started yet".into(),
        }
    }

    /// Changes the state, and says why.
    pub(super) fn turn(&mut self, state: State, now: Micros, said: impl Into<String>) {
        if self.state != state {
            self.since = now;
        }
        self.state = state;
        self.said = said.into();
    }
}

impl Spec {
    /// The instance as a driver lists it.
    pub(crate) fn instance(&self, status: Option<&Status>) -> Instance {
        let fresh = || (State::Starting, self.made_at, "its shim begins".to_owned());
        let (state, since, said) =
            status.map_or_else(fresh, |status| (status.state, status.since, status.said.clone()));
        Instance {
            id: self.id.clone(),
            service: self.service.clone(),
            version: self.version.clone(),
            role: self.role,
            address: self.address(),
            state,
            since,
            started_at: status.and_then(|status| status.started_at),
            restarts: status.map_or(0, |status| status.restarts),
            failures: status.map_or(0, |status| status.failures),
            memory_bytes: status.and_then(|status| status.memory_bytes),
            memory_limit_bytes: self.memory_bytes,
            last_exit: status.and_then(|status| status.last_exit.clone()),
            artifact: self.artifact,
            said,
        }
    }
}
