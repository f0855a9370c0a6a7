use std::fs;

use signalbox_core::time::Micros;

use super::ProcessDriver;
use super::place::ANSWER_WITHIN;
use crate::driver::{DriverError, Exit, ExitHow, Health, Instance, InstanceId, State};
use crate::shim::{Folder, Reply, Request, ask, tail};

impl ProcessDriver {
    /// The folders of all instances, of other services too.
    pub(super) fn folders(&self) -> Result<Vec<Folder>, DriverError> {
        let path = self.instances();
        let entries = fs::read_dir(&path).map_err(DriverError::file(&path))?;
        let paths = entries.map(|entry| entry.map(|entry| Folder::at(entry.path())));
        paths.collect::<Result<_, _>>().map_err(DriverError::file(&path))
    }
}

/// What is there is found from files and sockets alone, so that it is the same after control came back.
pub(super) async fn list(driver: &ProcessDriver) -> Result<Vec<Instance>, DriverError> {
    let mut found = Vec::new();
    for folder in driver.blocking(|driver| driver.folders()).await? {
        found.push(tokio::spawn(look(folder)));
    }
    let mut instances = Vec::new();
    for looking in found {
        let seen = looking.await.map_err(|error| DriverError::file(&driver.root)(std::io::Error::other(error)))?;
        instances.extend(seen.filter(|(_, instance)| instance.service == driver.service));
    }
    instances.sort_by(|(one_at, one), (other_at, other)| (one_at, &one.id).cmp(&(other_at, &other.id)));
    Ok(instances.into_iter().map(|(_, instance)| instance).collect())
}

/// One instance, and when it was made. Nothing where the folder tells nothing: it is being made or removed, or was damaged.
async fn look(folder: Folder) -> Option<(Micros, Instance)> {
    let spec = folder.spec().ok()?;
    let answer = ask(&folder, &Request::Status, ANSWER_WITHIN);
    if folder.is_supervised().ok()?
        && let Ok(Reply::Status(status)) = answer.await
    {
        return (status.id == spec.id).then(|| (spec.made_at, spec.instance(Some(&status))));
    }
    // In this order: what a shim wrote last is read when it is known whether it has ended.
    let supervised = folder.is_supervised().ok()?;
    let status = folder.status().ok().flatten();
    let mut instance = spec.instance(status.as_ref());
    if supervised && status.is_some() && instance.state.lives() {
        instance.said = format!("its shim does not answer; before that: {}", instance.said);
    } else if !supervised && instance.state.lives() {
        lose(&mut instance);
    }
    Some((spec.made_at, instance))
}

/// The shim was killed: the service with it, and how that ended nobody saw.
fn lose(instance: &mut Instance) {
    let before = format!("its shim is gone; before that: {}, {}", instance.state, instance.said);
    instance.last_exit = Some(Exit { at: instance.since, how: ExitHow::Unseen, said: before.clone() });
    instance.state = State::Lost;
    instance.memory_bytes = None;
    instance.said = before;
}

pub(super) async fn health(driver: &ProcessDriver, id: &InstanceId) -> Result<Health, DriverError> {
    let folder = driver.folder(id);
    let Ok(spec) = folder.spec() else { return Ok(Health::Gone) };
    if !folder.is_supervised().map_err(DriverError::file(folder.path()))? {
        return Ok(Health::Gone);
    }
    // A shim that has told the end is about to end itself.
    let ended = |folder: &Folder| matches!(folder.status(), Ok(Some(status)) if !status.state.lives());
    if ended(&folder) {
        return Ok(Health::Gone);
    }
    let within = ANSWER_WITHIN + spec.health.timeout.0;
    match ask(&folder, &Request::Check, within).await {
        Ok(Reply::Checked(health)) => Ok(health),
        Ok(_) => Err(DriverError::Supervisor { id: id.clone(), said: "it answers something else".into() }),
        // It may have ended while it was asked.
        Err(_) if ended(&folder) => Ok(Health::Gone),
        Err(_) if !folder.is_supervised().map_err(DriverError::file(folder.path()))? => Ok(Health::Gone),
        Err(error) => Ok(Health::Unwell { said: format!("its shim: {error}") }),
    }
}

pub(super) fn logs(driver: &ProcessDriver, id: &InstanceId, at_most: usize) -> Result<Option<String>, DriverError> {
    let folder = driver.folder(id);
    if !folder.path().is_dir() {
        return Ok(None);
    }
    tail(folder.path(), at_most).map(Some).map_err(DriverError::file(folder.path()))
}
