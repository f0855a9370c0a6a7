//! What is live, from what is written and what is seen.

use std::collections::BTreeSet;

use serde::Serialize;
use signalbox_core::setting::Period;
use signalbox_core::time::Micros;

use super::controller::Controller;
use super::refusal::Refused;
use super::shelf::{Kept, stable};
use crate::driver::{Instance, Role as InstanceRole, State};
use crate::executor::{Status, applied, share};
use crate::model::plan::{Live, LiveVersion, Role, Traffic};
use crate::model::value::{Digest, Name, Version};

/// The service at this moment.
#[derive(Debug, Serialize)]
pub struct Overview {
    pub at: Micros,
    /// Of the lead.
    pub epoch: u64,
    pub service: Option<Name>,
    /// What was promoted last.
    pub stable: Option<Version>,
    pub versions: Vec<LiveVersion>,
    pub instances: Vec<Instance>,
    pub requests_per_second: Option<f64>,
    /// Why nothing may be released, where somebody locked it.
    pub locked: Option<super::controller::Frozen>,
    /// The release that runs.
    pub release: Option<Status>,
}

impl Controller {
    /// What runs, and which of it is what was promoted.
    pub(super) async fn live(&self, all: &[Kept]) -> Result<(Live, Vec<Instance>), Refused> {
        let instances = self.tools.driver.list().await.map_err(Refused::error)?;
        let routes = self.tools.router.plane().routes().await.map_err(Refused::error)?;
        let stable = stable(all).map(|kept| kept.request.version.clone());
        let production = || instances.iter().filter(|one| one.role == InstanceRole::Production && one.state.lives());
        let versions: BTreeSet<&Version> = production().map(|one| &one.version).collect();
        let version = |version: &&Version| {
            let own = || production().filter(|one| one.version == **version);
            LiveVersion {
                version: (*version).clone(),
                spec: spec(all, version),
                instances: own().count() as u64,
                ready: own().filter(|one| one.state == State::Healthy).count() as u64,
                weight: share(&routes, version.as_str()),
                role: if stable.as_ref() == Some(*version) { Role::Stable } else { Role::Canary },
            }
        };
        let versions = versions.iter().map(version).collect();
        let service = all.last().map(|kept| kept.journal.plan().service.clone());
        let applied = match service {
            Some(service) => applied(&self.services().join(service.as_str())).map_err(Refused::error)?,
            None => Vec::new(),
        };
        Ok((Live { versions, applied }, instances))
    }

    /// What the service is asked, as far as it was watched.
    pub(super) async fn traffic(&self) -> Option<Traffic> {
        let state = self.state.lock().await;
        let (first, last) = (state.rates.front()?, state.rates.back()?);
        let seconds = (last.0.0 - first.0.0) as f64 / 1e6;
        if seconds < 2.0 {
            return None;
        }
        let requests = last.1.0.saturating_sub(first.1.0);
        let failed = last.1.1.saturating_sub(first.1.1).min(requests);
        Some(Traffic {
            requests_per_second: requests as f64 / seconds,
            errors: (requests > 0).then(|| failed as f64 / requests as f64),
            seen_for: Some(Period::from_secs(seconds as u64)),
        })
    }

    /// Everything at a glance.
    pub async fn overview(&self) -> Result<Overview, Refused> {
        let all = self.all()?;
        let (live, instances) = self.live(&all).await?;
        let traffic = self.traffic().await;
        let state = self.state.lock().await;
        Ok(Overview {
            at: self.tools.clock.now(),
            epoch: self.lead.epoch(),
            service: all.last().map(|kept| kept.journal.plan().service.clone()),
            stable: stable(&all).map(|kept| kept.request.version.clone()),
            versions: live.versions,
            instances,
            requests_per_second: traffic.map(|traffic| traffic.requests_per_second),
            locked: state.frozen.clone(),
            release: state.active.as_ref().map(|active| active.handle.status.borrow().clone()),
        })
    }
}

/// The digest of what runs under this version, as the release that brought it said.
fn spec(all: &[Kept], version: &Version) -> Digest {
    let brought = all.iter().rev().find(|kept| kept.request.version == *version);
    let manifest = brought.and_then(|kept| kept.manifest().ok());
    manifest.map_or_else(|| Digest::of(b"unknown"), |manifest| manifest.spec(version))
}
