//! The HTTP API and the pages, as a program or a browser meets them.

mod auth;
mod batches;
mod bodies;

#[path = "../support/database.rs"]
mod database;
mod health;
mod history;
mod house;
mod live;
mod paging;
mod reports;
mod schemas;
mod times;
mod verdicts;

/// Makes of each function a test per engine.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use crate::house::House;

            #[test]
            fn sqlite() {
                super::$name(&House::sqlite());
            }

            #[test]
            fn postgres() {
                super::$name(&House::postgres());
            }
        }
    )+};
}
use on_both_engines;
