//! Many at once, and a server that goes away and comes back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use signalbox_core::time::Micros;
use signalbox_store::{Migration, Scope, Store, StoreError};

use crate::on_both_engines;
use crate::place::{Place, run_sql, with_database};

on_both_engines!(more_callers_than_connections_all_get_their_turn);

const TALLY: &[Migration] = &[Migration {
    number: 100,
    name: "tally",
    sql: "CREATE TABLE tally (id {key})",
    postgres: "",
    scoped: &[],
    contract: false,
}];

fn count(store: &Store) -> Result<i64, StoreError> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM tally";
    store.read_here(&Scope::all(), |conn| conn.query(sql, &[], |row| row.int(0))).map(|rows| rows[0])
}

fn more_callers_than_connections_all_get_their_turn(place: &Place) {
    let store = Store::open(&place.settings(2)).unwrap();
    store.migrate(&[TALLY], Micros(1)).unwrap();
    let next = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        for _ in 0..16 {
            threads.spawn(|| {
                for _ in 0..10 {
                    let id = next.fetch_add(1, Ordering::Relaxed) as i64;
                    let sql = "INSERT INTO tally VALUES ($1)";
                    store.write_here(&Scope::all(), |conn| conn.execute(sql, &[id.into()])).unwrap();
                    assert!(count(&store).unwrap() > 0);
                }
            });
        }
    });
    assert_eq!(count(&store).unwrap(), 160);
}

/// Every connection of the pool is cut: what was in flight fails, and the store is well again by itself.
#[test]
fn a_postgres_that_comes_back_is_used_again() {
    let place = Place::postgres();
    let store = place.open();
    store.migrate(&[TALLY], Micros(1)).unwrap();
    let mut writer = store.log().writer(0).unwrap();
    writer.append([(b"before".to_vec(), 1)]).unwrap();
    let url = place.url().unwrap();
    let name = url.rsplit_once('/').unwrap().1;
    let cut = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    let cluster = with_database(url, "postgres");
    let interrupted = store.write_here(&Scope::all(), |conn| {
        conn.execute("INSERT INTO tally VALUES (1)", &[])?;
        run_sql(&cluster, &[&cut]);
        conn.execute("INSERT INTO tally VALUES (2)", &[])
    });
    assert!(matches!(interrupted, Err(StoreError::Unreachable(_))), "{interrupted:?}");
    let patience = Instant::now();
    let again = |what: &str, mut attempt: Box<dyn FnMut() -> Result<(), StoreError> + '_>| {
        while let Err(error) = attempt() {
            assert!(error.is_passing(), "{what}: {error}");
            assert!(patience.elapsed() < Duration::from_secs(10), "{what} fails for ever: {error}");
        }
    };
    again("reading", Box::new(|| count(&store).map(|rows| assert_eq!(rows, 0, "what was cut off was undone"))));
    let sql = "INSERT INTO tally VALUES (3)";
    again("writing", Box::new(|| store.write_here(&Scope::all(), |conn| conn.execute(sql, &[])).map(drop)));
    again("appending", Box::new(|| writer.append([(b"after".to_vec(), 1)]).map(drop)));
    let rows = store.log().reader().unwrap().after(0, 1000).unwrap();
    assert_eq!(rows.iter().map(|row| row.body.as_slice()).collect::<Vec<_>>(), [b"before".as_slice(), b"after"]);
}
