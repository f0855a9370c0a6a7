//! What every engine must do alike: one set of tests, run on SQLite and on PostgreSQL.

mod files;
mod leases;
mod log;
mod migrations;
mod place;
mod pool;
mod security;
mod transactions;
mod values;

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
