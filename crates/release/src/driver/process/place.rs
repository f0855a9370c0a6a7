use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use signalbox_core::clock::Clock;
use signalbox_core::setting::Period;

use super::{artifact, list, prune, start, stop};
use crate::driver::{
    Abilities, Answer, Artifact, Driver, DriverError, Exit, Fetched, Health, Instance, InstanceId, Launch, Sandboxing,
};
use crate::model::value::{Name, Version};
use crate::shim::{Folder, possible};

/// How long a shim may take to answer what it can answer at once.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Runs instances of one service as processes of this machine. Several drivers may work on one folder at the same time: what is
/// there lies in files and sockets, never in a driver.
#[derive(Debug, Clone)]
pub struct ProcessDriver {
    pub(super) root: PathBuf,
    pub(super) service: Name,
    pub(super) program: ShimProgram,
    pub(super) clock: Arc<dyn Clock>,
}

/// What is run as `PROGRAM shim run FOLDER`: this very program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShimProgram(pub OsString);

impl Default for ShimProgram {
    /// Also where the program's file was replaced since.
    fn default() -> Self {
        Self("/proc/self/exe".into())
    }
}

impl ProcessDriver {
    /// Over `root`, which is made where it is not there: `instances/ID` and `artifacts/SERVICE/VERSION` lie in it.
    pub fn open(root: &Path, service: Name, program: ShimProgram, clock: Arc<dyn Clock>) -> Result<Self, DriverError> {
        let make = |path: &Path| {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
            made.map_err(DriverError::file(path))
        };
        make(root)?;
        // The shim looks for it from another folder.
        let root = root.canonicalize().map_err(DriverError::file(root))?;
        make(&root.join("instances"))?;
        make(&root.join("artifacts").join(service.as_str()))?;
        Ok(Self { root, service, program, clock })
    }

    pub(super) fn instances(&self) -> PathBuf {
        self.root.join("instances")
    }

    pub(super) fn folder(&self, id: &InstanceId) -> Folder {
        Folder::at(self.instances().join(id.as_str()))
    }

    /// Held while instances are added and removed, by one driver at a time.
    pub(super) fn lock(&self) -> Result<File, DriverError> {
        let path = self.root.join("driver.lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(DriverError::file(&path))?;
        flock(&file, FlockOperation::LockExclusive).map_err(|error| DriverError::file(&path)(error.into()))?;
        Ok(file)
    }

    /// Off the threads that others need.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, DriverError> + Send + 'static,
    ) -> Result<T, DriverError> {
        let own = self.clone();
        match tokio::task::spawn_blocking(move || work(&own)).await {
            Ok(done) => done,
            Err(error) => Err(DriverError::file(&self.root)(std::io::Error::other(error))),
        }
    }
}

impl Driver for ProcessDriver {
    fn name(&self) -> &'static str {
        "process"
    }

    fn abilities(&self) -> Answer<'_, Abilities> {
        Box::pin(async {
            let sandbox = match possible().await {
                Ok(namespaces) => Sandboxing::Possible { how: namespaces.how().to_owned() },
                Err(why) => Sandboxing::Impossible { why },
            };
            let memory_limit = "the shim measures it four times a second and kills who is above".to_owned();
            Ok(Abilities { sandbox, memory_limit })
        })
    }

    fn fetch<'a>(&'a self, artifact: &'a Artifact) -> Answer<'a, Fetched> {
        let artifact = artifact.clone();
        Box::pin(self.blocking(move |driver| artifact::fetch(driver, &artifact)))
    }

    fn start<'a>(&'a self, launch: &'a Launch) -> Answer<'a, Instance> {
        Box::pin(start::start(self, launch))
    }

    fn list(&self) -> Answer<'_, Vec<Instance>> {
        Box::pin(list::list(self))
    }

    fn health<'a>(&'a self, id: &'a InstanceId) -> Answer<'a, Health> {
        Box::pin(list::health(self, id))
    }

    fn stop<'a>(&'a self, id: &'a InstanceId, grace: Period) -> Answer<'a, Option<Exit>> {
        Box::pin(stop::stop(self, id, grace))
    }

    fn logs<'a>(&'a self, id: &'a InstanceId, at_most: usize) -> Answer<'a, Option<String>> {
        let id = id.clone();
        Box::pin(self.blocking(move |driver| list::logs(driver, &id, at_most)))
    }

    fn clean_up(&self) -> Answer<'_, Vec<InstanceId>> {
        Box::pin(self.blocking(stop::clean_up))
    }

    fn prune<'a>(&'a self, keep: &'a [Version], newest: usize) -> Answer<'a, Vec<Version>> {
        let keep = keep.to_vec();
        Box::pin(self.blocking(move |driver| prune::prune(driver, &keep, newest)))
    }
}
