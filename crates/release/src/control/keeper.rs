//! Between releases: what was promoted is kept running and in the routes. And always: how much the service is asked.

use std::sync::Arc;
use std::time::Duration;

use signalbox_core::time::{Micros, SECOND};

use super::controller::Controller;
use super::shelf::stable;
use crate::driver::{Artifact, Launch, Role, State};
use crate::executor::{Counts, Kind, Release, Runs, announcement, share};
use crate::model::manifest::ServiceKind;
use crate::model::value::Percent;

const TICK: Duration = Duration::from_secs(1);
/// Over how long traffic is measured.
const REMEMBERED: usize = 60;
/// One that was given up is not started again sooner.
const GIVEN_UP: i64 = 60 * SECOND;

/// Goes on as long as the controller does.
pub(super) async fn keep(controller: Arc<Controller>) {
    let mut said = String::new();
    let mut after = After::default();
    loop {
        tokio::time::sleep(TICK).await;
        let now = controller.tools.clock.now();
        after.turn(&controller, now).await;
        match turn(&controller, now).await {
            Ok(()) => said.clear(),
            // Told once, not every second.
            Err(why) if why != said => {
                tracing::warn!("what was promoted could not be looked after: {why}");
                said = why;
            }
            Err(_) => (),
        }
    }
}

/// What the checklist of the version that was promoted last still has to do.
#[derive(Default)]
struct After {
    release: Option<Release>,
    runs: Runs,
}

impl After {
    async fn turn(&mut self, controller: &Controller, now: Micros) {
        if controller.running().await.is_some() {
            return;
        }
        let Ok(all) = controller.all() else { return };
        let Some(kept) = stable(&all).filter(|kept| kept.request.kind == Kind::Deploy) else { return };
        if self.release.as_ref().is_none_or(|release| release.id != kept.id) {
            *self = Self { release: controller.release(kept, &all).ok(), runs: Runs::default() };
        }
        let Some(release) = &self.release else { return };
        let began = release.request.at;
        self.runs.turn(release, |offset| !offset.is_before() && offset.from(began) <= now);
    }
}

async fn turn(controller: &Controller, now: Micros) -> Result<(), String> {
    let counts = controller.tools.router.plane().counts().await.map_err(|error| error.to_string())?;
    {
        let mut state = controller.state.lock().await;
        // Counts that fell are those of another edge.
        if state.rates.back().is_some_and(|(_, last)| last.0 > counts.sum_all().0) {
            state.rates.clear();
        }
        state.rates.push_back((now, counts.sum_all()));
        while state.rates.len() > REMEMBERED {
            state.rates.pop_front();
        }
        // A release looks after everything itself.
        if state.active.is_some() {
            return Ok(());
        }
    }
    look_after(controller, now, &counts).await
}

async fn look_after(controller: &Controller, now: Micros, counts: &Counts) -> Result<(), String> {
    let Some((kept, manifest)) = controller.promoted() else { return Ok(()) };
    let (driver, router) = (&controller.tools.driver, &controller.tools.router);
    let version = &kept.request.version;
    let told = |error: crate::driver::DriverError| error.to_string();
    let instances = driver.list().await.map_err(told)?;
    let own: Vec<_> = instances.iter().filter(|one| one.role == Role::Production && one.version == *version).collect();
    let living = own.iter().filter(|one| one.state.lives()).count() as u64;
    let given_up = own.iter().any(|one| one.state == State::GivenUp && now.0 - one.since.0 < GIVEN_UP);
    if living < manifest.service.instances.get() && !given_up {
        tracing::warn!(version = %version, living, "an instance is missing and is started");
        let base = kept.request.base.clone();
        let mut launch = Launch::production(&manifest.service, version, base.clone(), controller.tools.data.clone());
        if let Some(named) = &manifest.service.artifact {
            let data = controller.tools.data.display().to_string();
            let place = crate::model::value::Placeholders {
                port: manifest.service.ports.first,
                version: version.clone(),
                data,
            };
            let path = base.join(named.path.fill(&place));
            let service = manifest.service.name.clone();
            let artifact = Artifact { service, version: version.clone(), path, sha256: named.sha256 };
            launch = launch.of(driver.fetch(&artifact).await.map_err(told)?);
        }
        driver.start(&launch).await.map_err(told)?;
        return Ok(());
    }
    let routes = router.plane().routes().await.map_err(|error| error.to_string())?;
    if let (Some(business), ServiceKind::Engage) = (&controller.tools.business, manifest.service.kind) {
        let seen = (&routes, counts, instances.as_slice());
        business.announce(announcement(controller.tools.epoch, seen, &[version.as_str()], version.as_str()));
    }
    let well = own.iter().any(|one| one.state == State::Healthy);
    if well && share(&routes, version.as_str()) == Percent::NONE && routes.arms.iter().all(|arm| arm.weight == 0) {
        let set = router.give_all(version, &instances).await;
        set.map_err(|error| error.to_string())?;
        return Ok(());
    }
    router.follow(&routes, &instances).await.map_err(|error| error.to_string())?;
    Ok(())
}
