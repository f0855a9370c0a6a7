//! What lies on disk: the last routes, and what each generation counted.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::admin::wire::{ArmCounted, Counted};
use crate::error::EdgeError;
use crate::routes::Routes;
use crate::stats::{ArmCounts, ArmKey};

const ROUTES: &str = "routes.json";
const RECEIPT: &str = "receipt-";
/// Generations whose counts are kept apart; older ones are added up in one.
const MOST_APART: usize = 16;

/// The folder of an edge.
#[derive(Debug, Clone)]
pub(crate) struct Disk(PathBuf);

impl Disk {
    pub(crate) fn open(folder: &Path) -> Result<Self, EdgeError> {
        fs::create_dir_all(folder).map_err(EdgeError::file(folder))?;
        Ok(Self(folder.to_owned()))
    }

    pub(crate) fn routes(&self) -> Result<Option<Routes>, EdgeError> {
        read(&self.0.join(ROUTES))
    }

    /// They survive a loss of power once this returns.
    pub(crate) fn store_routes(&self, routes: &Routes) -> Result<(), EdgeError> {
        write(&self.0.join(ROUTES), routes, true)
    }

    pub(crate) fn store_receipt(&self, counted: &Counted) -> Result<(), EdgeError> {
        write(&self.0.join(format!("{RECEIPT}{}.json", counted.generation)), counted, counted.is_final)
    }

    /// What other generations counted, the oldest first.
    pub(crate) fn receipts(&self) -> Result<Vec<Counted>, EdgeError> {
        let mut receipts = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(EdgeError::file(&self.0))? {
            let path = entry.map_err(EdgeError::file(&self.0))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with(RECEIPT) && name.ends_with(".json") {
                receipts.extend(read::<Counted>(&path)?);
            }
        }
        // What was added up elsewhere and could not be deleted any more.
        let merged: Vec<u64> = receipts.iter().flat_map(|receipt| receipt.merged.iter().copied()).collect();
        receipts.retain(|receipt| !merged.contains(&receipt.generation));
        receipts.sort_by_key(|receipt| receipt.generation);
        Ok(receipts)
    }

    /// Adds the oldest ended generations up, and says which the next generation is. Called by the only edge that runs.
    pub(crate) fn next_generation(&self, tidy: bool) -> Result<u64, EdgeError> {
        let receipts = self.receipts()?;
        let next = receipts.iter().map(|receipt| receipt.generation).max().unwrap_or(0) + 1;
        if tidy && receipts.len() > MOST_APART {
            let (old, _) = receipts.split_at(receipts.len() - MOST_APART / 2);
            let Some((last, others)) = old.split_last() else { return Ok(next) };
            let mut sum = last.clone();
            for other in others {
                sum.arms = add(&sum.arms, &other.arms);
                sum.merged.push(other.generation);
                sum.merged.extend(&other.merged);
            }
            sum.is_final = true;
            self.store_receipt(&sum)?;
            for other in others {
                // It is named in `merged`: reading leaves it out.
                let _ = fs::remove_file(self.0.join(format!("{RECEIPT}{}.json", other.generation)));
            }
        }
        Ok(next)
    }
}

/// The sum of both, arm by arm.
pub(crate) fn add(one: &[ArmCounted], other: &[ArmCounted]) -> Vec<ArmCounted> {
    let mut sums: BTreeMap<ArmKey, ArmCounts> = BTreeMap::new();
    for arm in one.iter().chain(other) {
        sums.entry(arm.key()).or_default().add(&arm.counts);
    }
    sums.into_iter().map(|(key, counts)| ArmCounted { name: key.name, version: key.version, counts }).collect()
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, EdgeError> {
    match fs::read(path) {
        Ok(bytes) => {
            let json = |source| EdgeError::Json { path: path.to_owned(), source };
            serde_json::from_slice(&bytes).map(Some).map_err(json)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(EdgeError::File { path: path.to_owned(), source }),
    }
}

/// Whole or not at all: a new file, renamed over the old one.
fn write<T: Serialize>(path: &Path, value: &T, sync: bool) -> Result<(), EdgeError> {
    let json = |source| EdgeError::Json { path: path.to_owned(), source };
    let mut bytes = serde_json::to_vec_pretty(value).map_err(json)?;
    bytes.push(b'\n');
    let temporary = path.with_extension(format!("json.{}", std::process::id()));
    let written = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(&bytes)?;
        if sync {
            file.sync_all()?;
        }
        fs::rename(&temporary, path)?;
        if sync && let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    })();
    written.map_err(EdgeError::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(generation: u64, accepted: u64) -> Counted {
        let counts = ArmCounts { accepted, aborted: accepted, ..ArmCounts::default() };
        let arm = ArmCounted { name: "v1".into(), version: "1".into(), counts };
        Counted { generation, is_final: true, merged: Vec::new(), arms: vec![arm] }
    }

    fn total(disk: &Disk) -> u64 {
        disk.receipts().unwrap().iter().flat_map(|receipt| &receipt.arms).map(|arm| arm.counts.accepted).sum()
    }

    #[test]
    fn routes_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        assert!(disk.routes().unwrap().is_none());
        let routes = Routes { epoch: 7, ..Routes::of_upstreams(&["http://127.0.0.1:1=3".into()]).unwrap() };
        disk.store_routes(&routes).unwrap();
        assert_eq!(disk.routes().unwrap(), Some(routes));
        fs::write(folder.path().join(ROUTES), "{").unwrap();
        assert!(disk.routes().is_err(), "broken routes are told, not dropped");
    }

    #[test]
    fn adding_generations_up_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        let mut sum = 0;
        for _ in 0..60 {
            let generation = disk.next_generation(true).unwrap();
            disk.store_receipt(&counted(generation, generation)).unwrap();
            sum += generation;
            assert_eq!(total(&disk), sum);
        }
        assert!(disk.receipts().unwrap().len() <= MOST_APART + 1);
        assert_eq!(disk.next_generation(true).unwrap(), 61);
    }
}
