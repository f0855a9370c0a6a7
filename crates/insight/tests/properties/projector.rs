//! However the log is cut into batches, interrupted, shared between projectors or repeated: the same rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use signalbox_core::clock::ManualClock;
use signalbox_core::id::IdMaker;
use signalbox_core::time::Micros;
use signalbox_insight::projector::{Projected, Projector, catch_up};
use signalbox_insight::rebuild::rebuild;
use signalbox_insight::schema::MIGRATIONS;
use signalbox_store::{Faults, Settings, Store};

use crate::for_many;
use crate::place::Place;
use crate::rows::{Rows, rows};
use crate::sample::{Event, FLOOR, START, append, logs};

/// An empty store with the schema. Nothing here depends on syncing, and a thousand commits take their time.
pub fn prepared(place: &Place) -> Store {
    let faults = Faults { sync_normal: true };
    let store = Store::open(&Settings { faults, ..place.settings(3) }).expect("the store opens");
    store.migrate(&[MIGRATIONS], Micros(1)).expect("the schema is made");
    store
}

/// A projector as a process has one, with a node of its own.
pub fn projector(store: &Store) -> Projector {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let ids = IdMaker::new(NEXT.fetch_add(1, Ordering::Relaxed));
    Projector::new(store, Arc::new(ids), Arc::new(ManualClock::at(Micros(START)))).expect("a projector starts")
}

/// Projects all that waits.
pub fn drain(projector: &mut Projector) -> Projected {
    let mut all = Projected::default();
    loop {
        let step = projector.step().expect("a step works");
        if step.events == 0 {
            return Projected { seq: step.seq, ..all };
        }
        all.events += step.events;
        all.duplicates += step.duplicates;
        all.relabelled += step.relabelled;
    }
}

/// Cuts `log` into chunks of these sizes, again and again.
pub fn chunks<'l>(log: &'l [Event], sizes: &[usize]) -> Vec<&'l [Event]> {
    let mut rest = log;
    let mut all = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, left) = rest.split_at((*size).clamp(1, rest.len()));
        all.push(chunk);
        rest = left;
    }
    all
}

/// Everything in one chunk and one step, in a store of its own.
pub fn at_once(engine: fn() -> Place, log: &[Event]) -> Rows {
    let place = engine();
    let store = prepared(&place);
    append(&mut store.log().writer(FLOOR).expect("a writer"), log);
    drain(&mut projector(&store));
    rows(&store)
}

fn batches_do_not_matter(engine: fn() -> Place, cases: u32) {
    let strategy = (logs(2, false), prop::collection::vec(1..12_usize, 1..6), prop::collection::vec(0..3_u8, 1..40));
    for_many(cases, strategy, |(log, sizes, turns)| {
        let expected = at_once(engine, &log);

        let place = engine();
        let store = prepared(&place);
        let mut writer = store.log().writer(FLOOR).expect("a writer");
        for chunk in chunks(&log, &sizes) {
            append(&mut writer, chunk);
            drain(&mut projector(&store));
        }
        rows(&store).same_as(&expected, "projecting chunk by chunk, each time anew,")?;
        let compared = rebuild(&store, true, |_| ()).expect("a rebuild works");
        prop_assert!(compared.differences.is_none(), "a rebuild differs: {:?}", compared.differences);
        prop_assert_eq!(compared.events as usize, expected.count("event"));

        let place = engine();
        let store = prepared(&place);
        let mut writer = store.log().writer(FLOOR).expect("a writer");
        let mut pair = [projector(&store), projector(&store)];
        let mut turns = turns.iter().cycle();
        for chunk in chunks(&log, &sizes) {
            append(&mut writer, chunk);
            match turns.next() {
                Some(0) => drop(drain(&mut pair[0])),
                Some(1) => drop(drain(&mut pair[1])),
                // Nobody comes by: two chunks wait.
                _ => (),
            }
        }
        let seq = drain(&mut pair[0]).seq;
        prop_assert_eq!(seq, FLOOR + log.len() as i64);
        rows(&store).same_as(&expected, "projecting by two projectors in turn")?;

        for chunk in chunks(&log, &sizes) {
            append(&mut writer, chunk);
            drain(&mut pair[1]);
        }
        rows(&store).same_as(&expected, "appending everything once more")?;
        let compared = rebuild(&store, true, |_| ()).expect("a rebuild works");
        prop_assert!(compared.differences.is_none(), "a rebuild differs: {:?}", compared.differences);
        Ok(())
    });
}

#[test]
fn batches_do_not_matter_on_sqlite() {
    batches_do_not_matter(Place::sqlite, 60);
}

#[test]
fn batches_do_not_matter_on_postgres() {
    batches_do_not_matter(Place::postgres, 6);
}

/// Several at the same time, as when `events export` runs beside a server.
fn projectors_at_once(engine: fn() -> Place, cases: u32) {
    let strategy = (logs(2, false), prop::collection::vec(1..12_usize, 1..6));
    for_many(cases, strategy, |(log, sizes)| {
        let expected = at_once(engine, &log);
        let place = engine();
        let store = prepared(&place);
        let appended = AtomicBool::new(false);
        std::thread::scope(|threads| {
            for _ in 0..2 {
                let (store, appended) = (&store, &appended);
                threads.spawn(move || {
                    let mut projector = projector(store);
                    while !appended.load(Ordering::SeqCst) {
                        catch_up(&mut projector, |_, _| ()).expect("a projector catches up");
                    }
                    catch_up(&mut projector, |_, _| ()).expect("a projector catches up");
                });
            }
            let mut writer = store.log().writer(FLOOR).expect("a writer");
            chunks(&log, &sizes).into_iter().for_each(|chunk| append(&mut writer, chunk));
            appended.store(true, Ordering::SeqCst);
        });
        rows(&store).same_as(&expected, "projecting by two projectors at the same time")
    });
}

#[test]
fn projectors_at_once_share_the_work_on_sqlite() {
    projectors_at_once(Place::sqlite, 10);
}

#[test]
fn projectors_at_once_share_the_work_on_postgres() {
    projectors_at_once(Place::postgres, 3);
}

/// The samples must hold what the properties are about, or they prove nothing.
#[test]
fn the_samples_hold_what_matters() {
    let mut seen = Projected::default();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut reputation, mut moved) = (0, 0);
    for _ in 0..30 {
        let log = logs(2, false).new_tree(&mut runner).expect("a log").current();
        let place = Place::sqlite();
        let store = prepared(&place);
        let mut writer = store.log().writer(FLOOR).expect("a writer");
        let mut projector = projector(&store);
        for chunk in chunks(&log, &[4]) {
            append(&mut writer, chunk);
            let step = drain(&mut projector);
            seen.duplicates += step.duplicates;
            seen.relabelled += step.relabelled;
        }
        let count = |sql: &str| {
            let sql = format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {sql}");
            let counted =
                store.read_here(&signalbox_store::Scope::all(), |conn| conn.query(&sql, &[], |row| row.int(0)));
            counted.expect("rows are counted")[0]
        };
        reputation += count("event WHERE reasons >= 67108864");
        moved += count("counter WHERE total = 0");
    }
    assert!(seen.duplicates > 50, "{seen:?}");
    assert!(seen.relabelled > 100, "{seen:?}");
    assert!(reputation > 20, "{reputation} events from sources with a bad record");
    assert!(moved > 20, "{moved} counters that were emptied by re-labelling");
}
