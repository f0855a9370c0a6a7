//! A rebuild finds every wrong figure, corrects it, and whoever projects goes on properly afterwards.

use proptest::prelude::*;
use proptest::sample::Index;
use signalbox_insight::rebuild::rebuild;
use signalbox_store::{Scope, Store};

use crate::for_many;
use crate::place::Place;
use crate::projector::{at_once, chunks, drain, prepared, projector};
use crate::rows::rows;
use crate::sample::{FLOOR, append, logs};

/// Ways to spoil one row of a table: how it is spoiled, and what names a row of it.
const DAMAGE: [(&str, &str, &str); 26] = [
    ("UPDATE version_counter SET total = total + 1", "version_counter", VERSION),
    ("DELETE FROM version_counter", "version_counter", VERSION),
    ("INSERT INTO version_counter VALUES ('9', '8', 1, 8, 1, 5)", "", ""),
    ("UPDATE counter SET total = total + 3", "counter", COUNTER),
    ("UPDATE counter SET uniques = uniques - 1", "counter", COUNTER),
    ("DELETE FROM counter", "counter", COUNTER),
    ("INSERT INTO counter VALUES (1, 11, 3600000000, 0, 8, 1, 5, 5)", "", ""),
    ("UPDATE counter_day SET uniques = uniques - 1", "counter_day", COUNTER),
    ("DELETE FROM counter_day", "counter_day", COUNTER),
    ("UPDATE client_counter_day SET total = total + 1", "client_counter_day", CLIENT),
    ("UPDATE client_counter SET total = total + 1", "client_counter", CLIENT),
    ("DELETE FROM client_counter", "client_counter", CLIENT),
    ("INSERT INTO client_counter VALUES (1, 11, 3600000000, 8, 1, 'Nobody', 'none', 1)", "", ""),
    ("UPDATE conversion_counter SET value_micros = value_micros + 1", "conversion_counter", CONVERSION),
    ("DELETE FROM conversion_counter", "conversion_counter", CONVERSION),
    ("UPDATE first_hit SET seq = seq + 1", "first_hit", FIRST),
    ("UPDATE first_hit SET hour = hour + 3600000000", "first_hit", FIRST),
    ("DELETE FROM first_hit", "first_hit", FIRST),
    ("INSERT INTO first_hit VALUES (1, 11, 8, 1, 0, 999, 1, 0)", "", ""),
    ("UPDATE message_state SET sent_at = 5", "message_state", "principal_id, message_id"),
    ("UPDATE message_state SET first_hit = first_hit + 1", "message_state", "principal_id, message_id"),
    ("DELETE FROM message_state", "message_state", "principal_id, message_id"),
    ("UPDATE source_record SET machine = machine + 1", "source_record", "principal_id, source"),
    ("DELETE FROM source_record", "source_record", "principal_id, source"),
    ("UPDATE event SET reasons = 32, class = 3, score = 950", "event", "seq"),
    ("UPDATE event SET class = 4 - class, score = 1000 - score", "event", "seq"),
];
const VERSION: &str = "served, rendered, hit, kind, class";
const COUNTER: &str = "principal_id, campaign_id, hour, link_id, kind, class";
const CLIENT: &str = "principal_id, campaign_id, hour, kind, class, client, device";
const CONVERSION: &str = "principal_id, campaign_id, hour, currency";
const FIRST: &str = "principal_id, campaign_id, kind, class, link_id, recipient_id";

/// Spoils a row, if the table has one.
fn spoil(store: &Store, way: usize, place: Index) {
    let (change, table, key) = DAMAGE[way];
    let spoiled = store.write_here(&Scope::all(), |conn| {
        if table.is_empty() {
            return conn.execute(change, &[]);
        }
        // Only what was judged has a verdict to spoil.
        let of = if table == "event" { "event WHERE class IN (1, 3)" } else { table };
        let sql = format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {of}");
        let count = conn.query(&sql, &[], |row| row.int(0))?[0];
        if count == 0 {
            return Ok(0);
        }
        let offset = place.index(count as usize);
        let sql = format!("{change} WHERE ({key}) IN (SELECT {key} FROM {of} ORDER BY {key} LIMIT 1 OFFSET {offset})");
        conn.execute(&sql, &[])
    });
    assert!(spoiled.expect("a row is spoiled") <= 1);
}

fn wrong_figures_are_found_and_corrected(engine: fn() -> Place, cases: u32) {
    let damage = prop::collection::vec((0..DAMAGE.len(), any::<Index>()), 1..4);
    for_many(cases, (logs(2, false), any::<Index>(), damage), |(log, cut, damage)| {
        let (before, after) = log.split_at(cut.index(log.len()).max(1));
        let place = engine();
        let store = prepared(&place);
        let mut writer = store.log().writer(FLOOR).expect("a writer");
        let mut running = projector(&store);
        append(&mut writer, before);
        drain(&mut running);
        let right = rows(&store);

        for (way, index) in &damage {
            // The same row may not be made up twice.
            if DAMAGE[*way].1.is_empty() && damage.iter().filter(|(other, _)| other == way).count() > 1 {
                continue;
            }
            spoil(&store, *way, *index);
        }
        let wrong = rows(&store);
        let looked = rebuild(&store, true, |_| ()).expect("a rebuild works");
        rows(&store).same_as(&wrong, "a dry run")?;
        prop_assert!(!looked.corrected);
        prop_assert_eq!(looked.differences.is_none(), wrong == right, "{:?}", looked.differences);

        let corrected = rebuild(&store, false, |_| ()).expect("a rebuild works");
        prop_assert_eq!(corrected.differences, looked.differences);
        prop_assert_eq!(corrected.corrected, wrong != right);
        rows(&store).same_as(&right, "a rebuild")?;
        let again = rebuild(&store, false, |_| ()).expect("a rebuild works");
        prop_assert!(again.differences.is_none() && !again.corrected, "{:?}", again.differences);

        // The projector that ran before has figures in memory: it must not go on with them.
        for chunk in chunks(after, &[7]) {
            append(&mut writer, chunk);
            drain(&mut running);
        }
        rows(&store).same_as(&at_once(engine, &log), "projecting after a rebuild")
    });
}

#[test]
fn wrong_figures_are_found_and_corrected_on_sqlite() {
    wrong_figures_are_found_and_corrected(Place::sqlite, 120);
}

#[test]
fn wrong_figures_are_found_and_corrected_on_postgres() {
    wrong_figures_are_found_and_corrected(Place::postgres, 10);
}

/// A projector that runs while a rebuild does: neither undoes what the other wrote.
#[test]
fn a_rebuild_beside_a_running_projector_leaves_right_figures() {
    for_many(6, logs(2, false), |log| {
        let place = Place::sqlite();
        let store = prepared(&place);
        std::thread::scope(|threads| {
            let projecting = threads.spawn(|| {
                let mut writer = store.log().writer(FLOOR).expect("a writer");
                let mut projector = projector(&store);
                for chunk in chunks(&log, &[5]) {
                    append(&mut writer, chunk);
                    drain(&mut projector);
                }
            });
            while !projecting.is_finished() {
                let rebuilt = rebuild(&store, false, |_| ()).expect("a rebuild works");
                assert!(rebuilt.differences.is_none(), "{:?}", rebuilt.differences);
            }
        });
        rows(&store).same_as(&at_once(Place::sqlite, &log), "projecting beside rebuilds")
    });
}
