use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::ProcessDriver;
use crate::driver::DriverError;
use crate::model::value::Version;

/// No version begins like this: what is being removed is no artifact any more.
const GOING: &str = ".old-";

pub(super) fn prune(driver: &ProcessDriver, keep: &[Version], newest: usize) -> Result<Vec<Version>, DriverError> {
    let _lock = driver.lock()?;
    let place = driver.root.join("artifacts").join(driver.service.as_str());
    let mut used: BTreeSet<Version> = keep.iter().cloned().collect();
    for folder in driver.folders()? {
        // One whose papers are damaged starts nothing again.
        let spec = folder.spec().ok().filter(|spec| spec.service == driver.service);
        used.extend(spec.map(|spec| spec.version));
    }
    let mut fetched = fetched(&place).map_err(DriverError::file(&place))?;
    fetched.sort_by(|(one_at, one), (other_at, other)| (other_at, other).cmp(&(one_at, one)));
    let mut removed = Vec::new();
    for (_, version) in fetched.into_iter().skip(newest).filter(|(_, version)| !used.contains(version)) {
        let (from, to) = (place.join(version.as_str()), place.join(format!("{GOING}{version}")));
        fs::rename(&from, &to).map_err(DriverError::file(&from))?;
        fs::remove_dir_all(&to).map_err(DriverError::file(&to))?;
        removed.push(version);
    }
    Ok(removed)
}

/// The versions that are there, and since when. What an earlier try left half removed goes now.
fn fetched(place: &Path) -> io::Result<Vec<(SystemTime, Version)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(place)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(GOING) {
            fs::remove_dir_all(entry.path())?;
        } else if let Ok(version) = name.parse() {
            found.push((entry.metadata()?.modified()?, version));
        }
    }
    Ok(found)
}
