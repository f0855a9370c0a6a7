//! Jobs that one process at a time does, and which versions there are at this moment.
//!
//! A lease only keeps two from doing the same work: what they do is safe to be done twice (the projector's cursor moves by
//! compare-and-set), so clocks of machines that differ harm nobody.

use signalbox_core::time::{Micros, SECOND};

use crate::error::StoreError;
use crate::scope::Scope;
use crate::store::Store;

/// How long a lease lasts without being renewed.
const LASTS: i64 = 4 * SECOND;
/// It is renewed when less is left: not at every look, because each renewal is a synced commit.
const RENEW: i64 = 2 * SECOND;
/// When nobody took a free lease for so long, any version may: the promoted one may have no instance left.
const ORPHANED: i64 = 15 * SECOND;

/// A version, as whoever leads the releases announced it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionShare {
    pub version: String,
    /// In hundredths of a percent.
    pub weight: u32,
    pub promoted: bool,
}

/// One process's claim on a job.
#[derive(Debug, Clone)]
pub struct JobLease {
    name: &'static str,
    holder: String,
    version: String,
}

/// As it stands in the store.
struct Found {
    holder: String,
    version: String,
    expires_at: i64,
}

impl JobLease {
    /// For `holder`, a name that no other process uses, of this version.
    pub fn new(name: &'static str, holder: &str, version: &str) -> Self {
        Self { name, holder: holder.to_owned(), version: version.to_owned() }
    }

    /// Takes or keeps the lease where it may: true while it is ours. Called about every second.
    ///
    /// A free one is taken by the promoted version, or by any while none was ever announced. The promoted version also
    /// takes it away from another: until it is there, the other one goes on.
    pub fn hold(&self, store: &Store, now: Micros) -> Result<bool, StoreError> {
        let (promoted, found) = store.read_here(&Scope::all(), |conn| {
            let sql = "SELECT version FROM version_share WHERE promoted = 1";
            let promoted = conn.query(sql, &[], |row| row.text(0))?;
            let sql = "SELECT holder, version, expires_at FROM lease WHERE name = $1";
            let found = conn.first(sql, &[self.name.into()], |row| {
                Ok(Found { holder: row.text(0)?, version: row.text(1)?, expires_at: row.int(2)? })
            })?;
            Ok((promoted, found))
        })?;
        let is_promoted = promoted.is_empty() || promoted.contains(&self.version);
        let until = now.0 + LASTS;
        let Some(found) = found else {
            return if is_promoted { self.take(store, None, until) } else { Ok(false) };
        };
        let left = found.expires_at.saturating_sub(now.0);
        if found.holder == self.holder {
            return if left > RENEW { Ok(true) } else { self.take(store, Some(&found), until) };
        }
        let is_of_another = !promoted.is_empty() && !promoted.contains(&found.version);
        match (is_promoted, left) {
            (true, left) if left <= 0 || is_of_another => self.take(store, Some(&found), until),
            (false, left) if left < -ORPHANED => self.take(store, Some(&found), until),
            _ => Ok(false),
        }
    }

    /// Takes it unless somebody was faster.
    fn take(&self, store: &Store, found: Option<&Found>, until: i64) -> Result<bool, StoreError> {
        let sql = "INSERT INTO lease (name, holder, version, expires_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, version = excluded.version, expires_at = excluded.expires_at
            WHERE lease.holder = $5 AND lease.expires_at = $6";
        let (holder, expires_at) = found.map_or(("", 0), |found| (found.holder.as_str(), found.expires_at));
        let params = [
            self.name.into(),
            self.holder.as_str().into(),
            self.version.as_str().into(),
            until.into(),
            holder.into(),
            expires_at.into(),
        ];
        Ok(store.write_here(&Scope::all(), |conn| conn.execute(sql, &params))? == 1)
    }

    /// Gives it back: whoever looks next may take it.
    pub fn release(&self, store: &Store, now: Micros) -> Result<(), StoreError> {
        let sql = "UPDATE lease SET expires_at = $3 WHERE name = $1 AND holder = $2";
        let params = [self.name.into(), self.holder.as_str().into(), now.0.into()];
        store.write_here(&Scope::all(), |conn| conn.execute(sql, &params)).map(drop)
    }
}

impl Store {
    /// Says which versions there are, in the place of what was said before; what a later lead said stays.
    pub fn announce(&self, shares: &[VersionShare], epoch: u64, now: Micros) -> Result<(), StoreError> {
        let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
        self.write_here(&Scope::all(), |conn| {
            let sql = "SELECT COALESCE(MAX(epoch), 0) FROM version_share";
            if conn.first(sql, &[], |row| row.int(0))?.unwrap_or_default() > epoch {
                return Ok(());
            }
            conn.execute("DELETE FROM version_share", &[])?;
            for share in shares {
                let sql =
                    "INSERT INTO version_share (version, weight, promoted, epoch, at) VALUES ($1, $2, $3, $4, $5)";
                let params = [
                    share.version.as_str().into(),
                    i64::from(share.weight).into(),
                    i64::from(share.promoted).into(),
                    epoch.into(),
                    now.0.into(),
                ];
                conn.execute(sql, &params)?;
            }
            Ok(())
        })
    }

    /// Which versions there are, as they were last announced.
    pub fn announced(&self) -> Result<Vec<VersionShare>, StoreError> {
        self.read_here(&Scope::all(), |conn| {
            conn.query("SELECT version, weight, promoted FROM version_share ORDER BY version", &[], |row| {
                let weight = u32::try_from(row.int(1)?).unwrap_or(0);
                Ok(VersionShare { version: row.text(0)?, weight, promoted: row.int(2)? == 1 })
            })
        })
    }
}
