//! The driver of the service, which is known from the first release on.

use std::fmt;
use std::sync::{Arc, OnceLock};

use signalbox_core::setting::Period;

use crate::driver::{
    Abilities, Answer, Artifact, Driver, DriverError, Exit, Fetched, Health, Instance, InstanceId, Launch,
};
use crate::model::value::{Name, Version};

/// Makes the driver of a service.
pub type Maker = Box<dyn Fn(&Name) -> Result<Arc<dyn Driver>, DriverError> + Send + Sync>;

/// A driver that is made when the service is known. Before that nothing runs, and nothing can be started.
pub struct LateDriver {
    make: Maker,
    made: OnceLock<Arc<dyn Driver>>,
}

impl LateDriver {
    /// Not made yet.
    pub fn new(make: Maker) -> Arc<Self> {
        Arc::new(Self { make, made: OnceLock::new() })
    }

    /// Makes it where that was not done before.
    pub(super) fn settle(&self, service: &Name) -> Result<(), DriverError> {
        if self.made.get().is_none() {
            let made = (self.make)(service)?;
            self.made.get_or_init(|| made);
        }
        Ok(())
    }

    fn now<T: Send + 'static>(
        &self,
        ask: impl for<'a> FnOnce(&'a dyn Driver) -> Answer<'a, T>,
        before: T,
    ) -> Answer<'_, T> {
        match self.made.get() {
            Some(driver) => ask(&**driver),
            None => Box::pin(async { Ok(before) }),
        }
    }

    fn needed<'a, T: 'a>(&'a self, ask: impl FnOnce(&'a dyn Driver) -> Answer<'a, T>) -> Answer<'a, T> {
        match self.made.get() {
            Some(driver) => ask(&**driver),
            None => Box::pin(async {
                let what = "no service is known yet; deploy one".to_owned();
                Err(DriverError::Unreachable { source: what.clone().into(), what })
            }),
        }
    }
}

impl fmt::Debug for LateDriver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("LateDriver").field(&self.made.get()).finish()
    }
}

impl Driver for LateDriver {
    fn name(&self) -> &'static str {
        self.made.get().map_or("none", |driver| driver.name())
    }

    fn abilities(&self) -> Answer<'_, Abilities> {
        self.needed(|driver| driver.abilities())
    }

    fn fetch<'a>(&'a self, artifact: &'a Artifact) -> Answer<'a, Fetched> {
        self.needed(move |driver| driver.fetch(artifact))
    }

    fn start<'a>(&'a self, launch: &'a Launch) -> Answer<'a, Instance> {
        self.needed(move |driver| driver.start(launch))
    }

    fn list(&self) -> Answer<'_, Vec<Instance>> {
        self.now(|driver| driver.list(), Vec::new())
    }

    fn health<'a>(&'a self, id: &'a InstanceId) -> Answer<'a, Health> {
        self.needed(move |driver| driver.health(id))
    }

    fn stop<'a>(&'a self, id: &'a InstanceId, grace: Period) -> Answer<'a, Option<Exit>> {
        self.needed(move |driver| driver.stop(id, grace))
    }

    fn logs<'a>(&'a self, id: &'a InstanceId, at_most: usize) -> Answer<'a, Option<String>> {
        self.needed(move |driver| driver.logs(id, at_most))
    }

    fn clean_up(&self) -> Answer<'_, Vec<InstanceId>> {
        self.now(|driver| driver.clean_up(), Vec::new())
    }

    fn prune<'a>(&'a self, keep: &'a [Version], newest: usize) -> Answer<'a, Vec<Version>> {
        self.needed(move |driver| driver.prune(keep, newest))
    }
}
