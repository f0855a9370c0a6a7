//! Properties of the projector, of rebuilds and of scopes, on random logs, on SQLite and on PostgreSQL.

mod migrations;
#[path = "../../../store/tests/conformance/place.rs"]
mod place;
mod projector;
mod rebuild;
mod rows;
mod sample;
mod scope;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// So many random cases; ten times as many with `cargo xtask test --long`.
#[expect(clippy::disallowed_methods, reason = "a test has no settings: xtask says this way that there is time")]
fn for_many<T: Strategy>(cases: u32, strategy: T, test: impl Fn(T::Value) -> Result<(), TestCaseError>) {
    let cases =
        if std::env::var("SIGNALBOX_TEST_LONG").is_ok_and(|value| !value.is_empty()) { cases * 10 } else { cases };
    let config = Config { cases, max_shrink_time: 15_000, failure_persistence: None, ..Config::default() };
    if let Err(error) = TestRunner::new(config).run(&strategy, test) {
        panic!("{error}");
    }
}
