//! When a token or a session was last used: written beside the request, which never waits for its turn to write.

use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;
use signalbox_core::time::Micros;
use signalbox_store::{Scope, Store};

/// The latest use of every row that is being written.
type Latest = Mutex<FxHashMap<i64, Micros>>;

/// Rows whose last use is being written.
#[derive(Default)]
pub struct LastUse(Arc<Latest>);

impl LastUse {
    /// Writes `now` for the row `id` by `sql` (whose parameters they are), after the write of it that is under way.
    pub fn write(&self, store: &Store, sql: &'static str, id: i64, now: Micros) {
        match lock(&self.0).entry(id) {
            Entry::Occupied(mut under_way) => {
                under_way.insert(now);
                return;
            }
            Entry::Vacant(free) => free.insert(now),
        };
        let (latest, store) = (Arc::clone(&self.0), store.clone());
        tokio::spawn(async move {
            let mut next = Some(now);
            while let Some(at) = next {
                let written =
                    store.write(Scope::all(), move |conn| conn.execute(sql, &[id.into(), at.0.into()]).map(drop)).await;
                if let Err(error) = written {
                    tracing::warn!(%error, "the time of the last use was not written");
                }
                next = newer(&latest, id, at);
            }
        });
    }
}

/// The use of `id` that came while the one at `written` was; without one the row is done.
fn newer(latest: &Latest, id: i64, written: Micros) -> Option<Micros> {
    let mut latest = lock(latest);
    let newest = latest.get(&id).copied().filter(|newest| *newest != written);
    if newest.is_none() {
        latest.remove(&id);
    }
    newest
}

fn lock(latest: &Latest) -> MutexGuard<'_, FxHashMap<i64, Micros>> {
    latest.lock().unwrap_or_else(PoisonError::into_inner)
}
