//! What every engine must do alike: one set of tests, run on SQLite and on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it must be")]

mod files;
mod job_leases;
mod leases;
mod log;
mod migrations;
mod place;
mod pool;
mod security;
mod transactions;
mod values;

impl place::Place {
    /// A store at this place, as another process would open it.
    fn open(&self) -> signalbox_store::Store {
        signalbox_store::Store::open(&self.settings(4)).expect("the store opens")
    }
}

/// Makes of each function a test per engine.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use crate::place::Place;

            #[test]
            fn sqlite() {
                super::$name(&Place::sqlite());
            }

            #[test]
            fn postgres() {
                super::$name(&Place::postgres());
            }
        }
    )+};
}
use on_both_engines;
