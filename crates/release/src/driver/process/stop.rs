use std::time::Duration;

use rustix::process::Signal;
use signalbox_core::setting::Period;
use tokio::time::{Instant, sleep};

use super::ProcessDriver;
use crate::driver::{DriverError, Exit, InstanceId};
use crate::shim::{Folder, Request, ask, marked};

/// How much longer than the grace a shim may take to answer.
const BESIDE_GRACE: Duration = Duration::from_secs(15);
/// How long a killed process may take until it is gone.
const GONE_WITHIN: Duration = Duration::from_secs(30);

pub(super) async fn stop(driver: &ProcessDriver, id: &InstanceId, grace: Period) -> Result<Option<Exit>, DriverError> {
    let folder = driver.folder(id);
    if folder.spec().is_err() {
        return Ok(None);
    }
    let wrong = || DriverError::file(folder.path());
    if folder.is_supervised().map_err(wrong())? {
        // The answer is of no interest: what the shim wrote before it ended is.
        let _ = ask(&folder, &Request::Stop { grace }, grace.0 + BESIDE_GRACE).await;
        if !gone(&folder, BESIDE_GRACE).await? {
            kill_shim(&folder, id)?;
            if !gone(&folder, GONE_WITHIN).await? {
                return Err(DriverError::Supervisor { id: id.clone(), said: "it does not end, even killed".into() });
            }
        }
    }
    let (own, lost) = (id.clone(), id.clone());
    driver.blocking(move |_| end_marked(&own)).await?;
    let listed = super::list::list(driver).await?;
    Ok(listed.into_iter().find(|instance| instance.id == lost).and_then(|instance| instance.last_exit))
}

async fn gone(folder: &Folder, within: Duration) -> Result<bool, DriverError> {
    let deadline = Instant::now() + within;
    while folder.is_supervised().map_err(DriverError::file(folder.path()))? {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(true)
}

/// A shim that does not answer is killed, and its service dies with it. It is known by more than its number.
fn kill_shim(folder: &Folder, id: &InstanceId) -> Result<(), DriverError> {
    let status = folder.status().map_err(DriverError::file(folder.path()))?;
    let said =
        || DriverError::Supervisor { id: id.clone(), said: "it does not answer and never said who it is".into() };
    let shim = status.ok_or_else(said)?.shim;
    shim.signal(Signal::KILL).map_err(DriverError::file(folder.path()))?;
    Ok(())
}

/// Kills whoever carries the instance's mark and has no shim any more, and waits until nobody is left.
fn end_marked(id: &InstanceId) -> Result<(), DriverError> {
    for _ in 0..GONE_WITHIN.as_millis() / 5 {
        let left = marked(id);
        if left.is_empty() {
            return Ok(());
        }
        for process in left {
            // Gone already is as good.
            let _ = process.signal(Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err(DriverError::Supervisor { id: id.clone(), said: "processes of it do not end, even killed".into() })
}

pub(super) fn clean_up(driver: &ProcessDriver) -> Result<Vec<InstanceId>, DriverError> {
    let _lock = driver.lock()?;
    let mut removed = Vec::new();
    for folder in driver.folders()? {
        let wrong = || DriverError::file(folder.path());
        if folder.is_supervised().map_err(wrong())? {
            continue;
        }
        let name = folder.path().file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Ok(id) = name.parse::<InstanceId>() else { continue };
        // One whose papers are damaged is of nobody else either.
        let own = folder.spec().map_or(true, |spec| spec.service == driver.service);
        if own {
            end_marked(&id)?;
            folder.remove().map_err(wrong())?;
            removed.push(id);
        }
    }
    removed.sort();
    Ok(removed)
}
