//! A node number for ids, leased so that no two processes on one store make ids with the same one.

use signalbox_core::id::NODES;
use signalbox_core::time::{MINUTE, Micros};

use crate::error::StoreError;
use crate::scope::Scope;
use crate::store::Store;

/// How long a lease lasts without being renewed.
const LASTS: i64 = 10 * MINUTE;

/// A leased node number.
#[derive(Debug, Clone)]
pub struct NodeLease {
    pub node: u16,
    holder: String,
}

impl NodeLease {
    /// Takes the lowest free node for `holder`, a name that no other process uses.
    pub fn take(store: &Store, holder: &str, now: Micros) -> Result<Self, StoreError> {
        let node = store.write_here(&Scope::all(), |conn| {
            conn.serialise()?;
            let taken = conn.query(
                "SELECT node FROM node_lease WHERE expires_at > $1 ORDER BY node",
                &[now.0.into()],
                |row| row.int(0),
            )?;
            let free = (0..i64::from(NODES)).find(|node| taken.binary_search(node).is_err());
            let node = free.ok_or_else(|| StoreError::Aborted("all 1,024 node numbers are leased".into()))?;
            conn.execute(
                "INSERT INTO node_lease (node, holder, expires_at) VALUES ($1, $2, $3)
                 ON CONFLICT (node) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at",
                &[node.into(), holder.into(), (now.0 + LASTS).into()],
            )?;
            Ok(node)
        })?;
        Ok(Self { node: node as u16, holder: holder.to_owned() })
    }

    /// Keeps the lease; `false` when somebody else holds the node by now.
    pub fn renew(&self, store: &Store, now: Micros) -> Result<bool, StoreError> {
        self.set(store, now.0 + LASTS)
    }

    /// Gives the node back.
    pub fn release(&self, store: &Store) -> Result<(), StoreError> {
        self.set(store, 0).map(|_| ())
    }

    fn set(&self, store: &Store, expires_at: i64) -> Result<bool, StoreError> {
        let sql = "UPDATE node_lease SET expires_at = $3 WHERE node = $1 AND holder = $2";
        let params = [i64::from(self.node).into(), self.holder.as_str().into(), expires_at.into()];
        Ok(store.write_here(&Scope::all(), |conn| conn.execute(sql, &params))? == 1)
    }
}
