//! When a token or a session was last used: written beside the request, which never waits for its turn to write.

use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashSet;
use signalbox_core::time::Micros;
use signalbox_store::{Scope, Store};

/// Rows whose last use is being written.
#[derive(Default)]
pub struct LastUse(Arc<Mutex<FxHashSet<i64>>>);

impl LastUse {
    /// Writes `now` for the row `id` by `sql` (whose parameters they are), unless that is under way already.
    pub fn write(&self, store: &Store, sql: &'static str, id: i64, now: Micros) {
        if !self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id) {
            return;
        }
        let (under_way, store) = (Arc::clone(&self.0), store.clone());
        tokio::spawn(async move {
            let written =
                store.write(Scope::all(), move |conn| conn.execute(sql, &[id.into(), now.0.into()]).map(drop)).await;
            under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            if let Err(error) = written {
                tracing::warn!(%error, "the time of the last use was not written");
            }
        });
    }
}
