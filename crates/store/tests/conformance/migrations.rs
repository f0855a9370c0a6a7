//! The schema: planned, brought up to date once, and never run by a program that does not know it.

use std::sync::{Arc, Barrier};

use signalbox_core::time::Micros;
use signalbox_store::{Migration, Plan, Progress, Scope, Store, StoreError};

use crate::on_both_engines;
use crate::place::{Place, run_sql};

on_both_engines!(
    a_plan_tells_and_runs_nothing,
    what_is_planned_is_run_in_order_and_once,
    starting_together_migrates_once,
    looking_beside_a_migration_does_no_harm,
    a_changed_migration_is_refused,
    a_newer_schema_is_refused,
    an_expanded_schema_runs_and_a_contracted_one_does_not,
    a_migration_that_fails_leaves_nothing,
    a_plan_writes_nothing,
    how_far_a_database_is,
    tables_of_another_program_are_refused,
    what_is_missing_is_named,
);

const NOW: Micros = Micros(1_780_000_000_000_000);

const fn step(number: i64, name: &'static str, sql: &'static str) -> Migration {
    Migration { number, name, sql, postgres: "", scoped: &[], contract: false }
}

const FIRST: &[Migration] = &[
    step(110, "shelf", "CREATE TABLE shelf (id {key}, label {bytes})"),
    step(130, "book", "CREATE TABLE book (id {key}); CREATE INDEX book_id ON book (id); INSERT INTO book VALUES (7)"),
];
const SECOND: &[Migration] =
    &[step(120, "reader", "CREATE TABLE reader (name TEXT NOT NULL, PRIMARY KEY (name)){clustered}")];

fn numbers(plan: &Plan) -> Vec<i64> {
    plan.pending.iter().map(|(number, ..)| *number).collect()
}

fn exists(store: &Store, table: &str) -> bool {
    let sql = format!("SELECT COUNT(*) FROM {table}");
    store.read_here(&Scope::all(), |conn| conn.query(&sql, &[], |row| row.int(0))).is_ok()
}

fn a_plan_tells_and_runs_nothing(place: &Place) {
    let store = place.open();
    let plan = store.migration_plan(&[FIRST, SECOND]).unwrap();
    assert_eq!((plan.found, numbers(&plan)), (0, vec![1, 30, 110, 120, 130]));
    let (_, name, sql) = &plan.pending[2];
    assert_eq!(*name, "shelf");
    assert!(sql.contains("CREATE TABLE shelf") && !sql.contains('{'), "{sql}");
    assert!(!exists(&store, "shelf") && !exists(&store, "node_lease"));
    let error = store.require_schema(&[FIRST, SECOND]).unwrap_err();
    assert!(matches!(error, StoreError::NotMigrated { found: 0, needed: 130 }), "{error}");
    assert!(error.to_string().contains("signalbox migrate"), "{error}");
    assert!(!exists(&store, "shelf"));
}

fn what_is_planned_is_run_in_order_and_once(place: &Place) {
    let store = place.open();
    let applied = |features: &[&'static [Migration]]| {
        store.migrate(features, NOW).unwrap().iter().map(|step| (step.number, step.name)).collect::<Vec<_>>()
    };
    assert_eq!(applied(&[FIRST]), [(1, "store"), (30, "instances"), (110, "shelf"), (130, "book")]);
    assert_eq!(applied(&[FIRST]), []);
    store.require_schema(&[FIRST]).unwrap();
    // A feature that came later may have a number in between.
    let plan = store.migration_plan(&[FIRST, SECOND]).unwrap();
    assert_eq!((plan.found, numbers(&plan)), (130, vec![120]));
    assert_eq!(applied(&[FIRST, SECOND]), [(120, "reader")]);
    assert_eq!(applied(&[SECOND, FIRST]), []);
    let sql = "SELECT number, name, applied_at FROM schema_migration ORDER BY number";
    let ledger = store.read_here(&Scope::all(), |conn| {
        conn.query(sql, &[], |row| Ok((row.int(0)?, row.text(1)?, row.int(2)? == NOW.0)))
    });
    let names = [(1, "store"), (30, "instances"), (110, "shelf"), (120, "reader"), (130, "book")];
    assert_eq!(ledger.unwrap(), names.map(|(number, name)| (number, name.to_owned(), true)));
    let books = store.read_here(&Scope::all(), |conn| conn.query("SELECT id FROM book", &[], |row| row.int(0)));
    assert_eq!(books.unwrap(), [7], "every statement of a step was run, once");
}

/// Runs `work` on so many threads at once, each with a store of its own.
fn together<T: Send + 'static>(place: &Place, count: usize, work: fn(usize, &Store) -> T) -> Vec<T> {
    let start = Arc::new(Barrier::new(count));
    let threads: Vec<_> = (0..count)
        .map(|number| {
            let (store, start) = (place.open(), Arc::clone(&start));
            std::thread::spawn(move || {
                start.wait();
                work(number, &store)
            })
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
}

fn starting_together_migrates_once(place: &Place) {
    let outcomes = together(place, 4, |_, store| store.migrate(&[FIRST, SECOND], NOW));
    let mut applied: Vec<i64> =
        outcomes.into_iter().flat_map(|outcome| outcome.unwrap()).map(|step| step.number).collect();
    applied.sort_unstable();
    assert_eq!(applied, [1, 30, 110, 120, 130]);
    let books = place.open().read_here(&Scope::all(), |conn| conn.query("SELECT id FROM book", &[], |row| row.int(0)));
    assert_eq!(books.unwrap(), [7]);
}

/// `doctor`, `migrate --plan` and every command look at the schema while a server may be starting.
fn looking_beside_a_migration_does_no_harm(place: &Place) {
    let outcomes = together(place, 6, |number, store| match number {
        0 => store.migrate(&[FIRST, SECOND], NOW).map(drop),
        _ => (0..10).try_for_each(|_| store.migration_plan(&[FIRST, SECOND]).map(drop)),
    });
    for outcome in outcomes {
        outcome.unwrap();
    }
    place.open().require_schema(&[FIRST, SECOND]).unwrap();
}

fn a_changed_migration_is_refused(place: &Place) {
    const CHANGED: &[Migration] = &[
        step(110, "shelf", "CREATE TABLE shelf (id {key}, label {bytes}, more TEXT)"),
        step(
            130,
            "book",
            "CREATE TABLE book (id {key}); CREATE INDEX book_id ON book (id); INSERT INTO book VALUES (7)",
        ),
        step(140, "lamp", "CREATE TABLE lamp (id {key})"),
    ];
    let store = place.open();
    store.migrate(&[FIRST], NOW).unwrap();
    for outcome in [
        store.migrate(&[CHANGED], NOW).map(drop),
        store.require_schema(&[CHANGED]),
        store.migration_plan(&[CHANGED]).map(drop),
    ] {
        let error = outcome.unwrap_err();
        assert!(matches!(&error, StoreError::ChangedMigration { number: 110, name } if name == "shelf"), "{error}");
    }
    assert!(!exists(&store, "lamp"), "nothing runs on a schema that is not ours");
    store.migrate(&[FIRST], NOW).unwrap();
}

fn a_newer_schema_is_refused(place: &Place) {
    let store = place.open();
    store.migrate(&[FIRST, SECOND], NOW).unwrap();
    let sql = "INSERT INTO schema_migration (number, name, checksum, applied_at) VALUES (9999, 'later', 'x', 0)";
    store.write_here(&Scope::all(), |conn| conn.execute(sql, &[])).unwrap();
    for outcome in [store.migrate(&[FIRST, SECOND], NOW).map(drop), store.require_schema(&[FIRST, SECOND])] {
        let error = outcome.unwrap_err();
        assert!(matches!(error, StoreError::TooNew { found: 9999, known: 130 }), "{error}");
        assert!(error.to_string().contains("use a newer signalbox"), "{error}");
    }
}

fn a_migration_that_fails_leaves_nothing(place: &Place) {
    const BROKEN: &[Migration] = &[
        step(110, "good", "CREATE TABLE good (id {key})"),
        step(120, "half", "CREATE TABLE half (id {key}); CREATE TABLE half (id {key})"),
    ];
    const MENDED: &[Migration] =
        &[step(110, "good", "CREATE TABLE good (id {key})"), step(120, "half", "CREATE TABLE half (id {key})")];
    let store = place.open();
    let error = store.migrate(&[BROKEN], NOW).unwrap_err();
    assert!(matches!(error, StoreError::Sql { .. }), "{error}");
    assert!(exists(&store, "good") && !exists(&store, "half"));
    let words = error.to_string();
    assert!(words.contains("migration 120 (half)") && !words.contains("CREATE TABLE"), "{words}");
    let applied = store.migrate(&[MENDED], NOW).unwrap();
    assert_eq!(applied.iter().map(|step| step.number).collect::<Vec<_>>(), [120]);
}

fn a_plan_writes_nothing(place: &Place) {
    let store = place.open();
    store.migration_plan(&[FIRST]).unwrap();
    store.require_schema(&[FIRST]).unwrap_err();
    assert!(!exists(&store, "schema_migration"));
}

fn how_far_a_database_is(place: &Place) {
    let store = place.open();
    assert_eq!(store.progress().unwrap(), Progress::New);
    store.begin().unwrap();
    store.begin().unwrap();
    assert_eq!(store.progress().unwrap(), Progress::Begun);
    assert_eq!(numbers(&store.migration_plan(&[FIRST]).unwrap()), [1, 30, 110, 130]);
    store.migrate(&[FIRST], NOW).unwrap();
    assert_eq!(store.progress().unwrap(), Progress::At(130));
    store.begin().unwrap();
    assert_eq!(place.open().progress().unwrap(), Progress::At(130));
}

/// Statements past the store, as another program runs them.
fn as_another(place: &Place, statements: &[&str]) {
    match place.url() {
        Some(url) => drop(run_sql(url, statements)),
        None => {
            let other = rusqlite::Connection::open(place.folder().join("signalbox.db")).unwrap();
            statements.iter().for_each(|statement| other.execute_batch(statement).unwrap());
        }
    }
}

fn tables_of_another_program_are_refused(place: &Place) {
    let names = ["foo", "bar", "baz", "shelf"];
    let made = names.map(|name| format!("CREATE TABLE {name} (a int)"));
    as_another(place, &made.each_ref().map(String::as_str));
    let file = place.folder().join("signalbox.db");
    let before = std::fs::read(&file).ok();
    let open = || Store::open(&place.settings(4));
    let outcomes = [
        open().and_then(|store| store.migrate(&[FIRST], NOW)).map(drop),
        open().and_then(|store| store.migration_plan(&[FIRST])).map(drop),
        open().and_then(|store| store.require_schema(&[FIRST])),
        open().and_then(|store| store.begin()),
        open().and_then(|store| store.progress()).map(drop),
    ];
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
        let words = error.to_string();
        assert!(words.contains("tables of another program (bar, baz, foo, \u{2026})"), "{words}");
    }
    assert_eq!(std::fs::read(&file).ok(), before, "not even the mode of its journal is changed");
    // Other programs have a list of migrations, too.
    let drops = names.map(|name| format!("DROP TABLE {name}"));
    as_another(place, &drops.each_ref().map(String::as_str));
    as_another(place, &["CREATE TABLE schema_migration (version int)"]);
    let error = open().and_then(|store| store.migrate(&[FIRST], NOW)).unwrap_err();
    assert!(error.to_string().contains("another program (schema_migration)"), "{error}");
    as_another(place, &["DROP TABLE schema_migration"]);
    open().unwrap().migrate(&[FIRST], NOW).unwrap();
}

fn what_is_missing_is_named(place: &Place) {
    let store = place.open();
    store.migrate(&[FIRST, SECOND], NOW).unwrap();
    let missing = || {
        let scratch = tempfile::tempdir().unwrap();
        store.missing(&[FIRST, SECOND], scratch.path()).unwrap()
    };
    assert!(missing().is_empty(), "{:?}", missing());
    as_another(place, &["CREATE TABLE somebody_s_own (a int)"]);
    assert!(missing().is_empty(), "what is there beyond it does no harm: {:?}", missing());
    as_another(place, &["ALTER TABLE shelf DROP COLUMN label", "DROP TABLE reader"]);
    assert_eq!(missing(), ["reader", "shelf.label"]);
}

fn an_expanded_schema_runs_and_a_contracted_one_does_not(place: &Place) {
    const NEXT: &[Migration] = &[step(140, "more", "CREATE TABLE more (id {key})")];
    const LAST: &[Migration] = &[
        Migration { contract: true, ..step(150, "less", "DROP TABLE shelf") },
        step(160, "after", "CREATE TABLE z (id {key})"),
    ];
    let store = place.open();
    let error = store.require_runnable(&[FIRST]).unwrap_err();
    assert!(error.to_string().contains("signalbox migrate"), "{error}");
    store.migrate(&[FIRST], NOW).unwrap();
    store.require_runnable(&[FIRST]).unwrap();
    let error = store.require_runnable(&[FIRST, NEXT]).unwrap_err();
    assert!(matches!(error, StoreError::NotMigrated { found: 130, needed: 140 }), "{error}");
    store.migrate(&[FIRST, NEXT], NOW).unwrap();
    store.require_runnable(&[FIRST]).unwrap();
    store.migrate(&[FIRST, NEXT, LAST], NOW).unwrap();
    let error = store.require_runnable(&[FIRST]).unwrap_err();
    assert!(matches!(error, StoreError::TooNew { found: 150, known: 130 }), "{error}");
    store.require_runnable(&[FIRST, NEXT, LAST]).unwrap();
}
