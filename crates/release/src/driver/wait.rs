use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{Driver, DriverError, Health, InstanceId, State};

/// How often is looked.
const EVERY: Duration = Duration::from_millis(50);

/// Waits until an instance is well, at the latest until the deadline, and less long where it cannot become well any more.
/// What it says at the end is returned, well or not.
pub async fn until_well(driver: &dyn Driver, id: &InstanceId, deadline: Instant) -> Result<Health, DriverError> {
    loop {
        let health = driver.health(id).await?;
        if health.is_well() {
            return Ok(health);
        }
        let listed = driver.list().await?;
        let lives = listed.iter().find(|instance| instance.id == *id).is_some_and(|instance| instance.state.lives());
        let next = Instant::now() + EVERY;
        if !lives || next >= deadline {
            return Ok(health);
        }
        sleep_until(next).await;
    }
}

/// The same for several, one deadline for all: what each says at the end, in the order of `ids`.
pub async fn until_all(
    driver: &dyn Driver,
    ids: &[InstanceId],
    deadline: Instant,
) -> Result<Vec<(InstanceId, Health)>, DriverError> {
    let mut all = Vec::new();
    for id in ids {
        all.push((id.clone(), until_well(driver, id, deadline).await?));
    }
    Ok(all)
}

/// Waits until an instance is dead or not known any more; false at the deadline.
pub async fn until_gone(driver: &dyn Driver, id: &InstanceId, deadline: Instant) -> Result<bool, DriverError> {
    loop {
        let listed = driver.list().await?;
        let state = listed.iter().find(|instance| instance.id == *id).map(|instance| instance.state);
        if state.is_none_or(|state| matches!(state, State::Stopped | State::GivenUp | State::Lost)) {
            return Ok(true);
        }
        let next = Instant::now() + EVERY;
        if next >= deadline {
            return Ok(false);
        }
        sleep_until(next).await;
    }
}
