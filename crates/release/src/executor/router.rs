//! Who gets which share: the one place that sets routes. Only healthy instances are in them as long as there is one.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::plane::{DataPlane, PlaneError, RouteArm, RouteTable};
use crate::driver::{Instance, Role, State};
use crate::model::value::{Percent, Version};

/// Numbers of changes within one lead. The next lead begins above them.
pub const CHANGES: u64 = 1_000_000;

/// Sets routes for one lead.
#[derive(Clone)]
pub struct Router {
    plane: Arc<dyn DataPlane>,
    /// The last number that was used.
    last: Arc<Mutex<u64>>,
}

impl Router {
    /// For the lead of this epoch.
    pub fn new(plane: Arc<dyn DataPlane>, epoch: u64) -> Self {
        Self { plane, last: Arc::new(Mutex::new(epoch.saturating_mul(CHANGES))) }
    }

    /// The data plane itself.
    pub fn plane(&self) -> &dyn DataPlane {
        &*self.plane
    }

    /// Gives these shares to these versions, in one move. A version without instances gets no arm, and no share.
    pub(super) async fn set(
        &self,
        shares: &[(&Version, Percent)],
        instances: &[Instance],
        sticky: Option<String>,
    ) -> Result<RouteTable, PlaneError> {
        let arm = |(version, share): &(&Version, Percent)| {
            let upstreams = upstreams(instances, version.as_str());
            if upstreams.is_empty() && *share != Percent::NONE {
                return Err(PlaneError::Refused(format!("no instance of {version} runs that could get {share}")));
            }
            let arm = RouteArm { version: version.to_string(), upstreams, weight: u32::from(share.basis_points()) };
            Ok((!arm.upstreams.is_empty()).then_some(arm))
        };
        let arms = shares.iter().filter_map(|share| arm(share).transpose()).collect::<Result<Vec<_>, _>>()?;
        self.put(RouteTable { epoch: 0, arms, sticky }).await
    }

    /// Gives one version everything.
    pub async fn give_all(&self, version: &Version, instances: &[Instance]) -> Result<RouteTable, PlaneError> {
        self.set(&[(version, Percent::ALL)], instances, None).await
    }

    /// Sets the present routes again, under a number of this lead: with whatever the data plane adds to them.
    pub async fn renew(&self) -> Result<(), PlaneError> {
        let table = self.plane.routes().await?;
        self.put(table).await.map(drop)
    }

    /// Takes instances that are not healthy out of the routes, and those that came back into them; weights stay.
    pub async fn follow(&self, routes: &RouteTable, instances: &[Instance]) -> Result<Option<RouteTable>, PlaneError> {
        let mut wanted = routes.clone();
        for arm in &mut wanted.arms {
            let now = upstreams(instances, &arm.version);
            // Where nobody is left the last ones stay: an edge without upstreams could only refuse.
            if !now.is_empty() {
                arm.upstreams = now;
            }
        }
        if wanted == *routes {
            return Ok(None);
        }
        self.put(wanted).await.map(Some)
    }

    async fn put(&self, mut table: RouteTable) -> Result<RouteTable, PlaneError> {
        let mut last = self.last.lock().await;
        *last += 1;
        table.epoch = *last;
        self.plane.put(table.clone()).await?;
        Ok(table)
    }
}

/// Where requests for a version may go: its healthy instances; those that at least live where none is healthy.
fn upstreams(instances: &[Instance], version: &str) -> Vec<String> {
    let of_version = instances
        .iter()
        .filter(|one| one.role == Role::Production && one.version.as_str() == version && one.state.lives())
        .filter(|one| one.state != State::Stopping);
    let (healthy, other): (Vec<&Instance>, Vec<&Instance>) = of_version.partition(|one| one.state == State::Healthy);
    let chosen = if healthy.is_empty() { other } else { healthy };
    // Sorted, so that the same instances always make the same routes.
    let addresses: BTreeMap<_, _> = chosen.iter().map(|one| (one.address, ())).collect();
    addresses.into_keys().map(|address| format!("http://{address}")).collect()
}
