use std::fmt;
use std::future::Future;
use std::pin::Pin;

use serde::Serialize;
use signalbox_core::setting::Period;

use super::{Artifact, DriverError, Exit, Fetched, Health, Instance, InstanceId, Launch};
use crate::model::value::Version;

/// What a driver answers, later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, DriverError>> + Send + 'a>>;

/// A place where versions of one service run. Instances outlive whoever started them: after a restart [`list`](Self::list)
/// finds them again. Nothing here knows traffic: who stops an instance has routed it away and drained it before.
pub trait Driver: fmt::Debug + Send + Sync {
    /// For messages: `process`.
    fn name(&self) -> &'static str;

    /// What it can do where it runs; asked before a plan is carried out.
    fn abilities(&self) -> Answer<'_, Abilities>;

    /// Brings an artifact into its version's own folder, hashing what it writes. A checksum that differs is refused and
    /// leaves nothing behind. Doing it twice does no more than doing it once.
    fn fetch<'a>(&'a self, artifact: &'a Artifact) -> Answer<'a, Fetched>;

    /// Starts one more instance and returns as soon as it is known and supervised, mostly before it is healthy:
    /// [`until_well`](super::until_well) waits for that. What `list` told before the call is how a repetition is avoided.
    fn start<'a>(&'a self, launch: &'a Launch) -> Answer<'a, Instance>;

    /// Every instance that is there, dead ones included until [`clean_up`](Self::clean_up); the oldest first.
    fn list(&self) -> Answer<'_, Vec<Instance>>;

    /// Asks the instance itself, at this moment: the manifest's path, the status, and the right version in the answer.
    fn health<'a>(&'a self, id: &'a InstanceId) -> Answer<'a, Health>;

    /// SIGTERM, and SIGKILL after `grace`; returns when it is gone. Nothing for an instance that is not known; its last exit
    /// for one that was dead already.
    fn stop<'a>(&'a self, id: &'a InstanceId, grace: Period) -> Answer<'a, Option<Exit>>;

    /// The last of what it wrote, both streams in the order of their lines, at most so many bytes; nothing for an instance
    /// that is not known.
    fn logs<'a>(&'a self, id: &'a InstanceId, at_most: usize) -> Answer<'a, Option<String>>;

    /// Removes what dead instances left behind, and ends processes that lost their supervisor. Says which instances.
    fn clean_up(&self) -> Answer<'_, Vec<InstanceId>>;

    /// Removes artifacts, but not those of `keep`, of versions with instances, and of the `newest` that were fetched. Says
    /// of which versions.
    fn prune<'a>(&'a self, keep: &'a [Version], newest: usize) -> Answer<'a, Vec<Version>>;
}

/// What a driver can do where it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Abilities {
    pub sandbox: Sandboxing,
    /// What holds an instance below its limit of memory, in words.
    pub memory_limit: String,
}

/// Whether staging can be kept from the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "sandbox", rename_all = "snake_case")]
pub enum Sandboxing {
    Possible {
        how: String,
    },
    /// Then a start with [`Sandbox::NoNetwork`](crate::model::manifest::Sandbox::NoNetwork) is refused: the manifest
    /// has to say `none`.
    Impossible {
        why: String,
    },
}
