//! All or nothing, and nobody sees the middle.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

use signalbox_core::time::Micros;
use signalbox_store::{Conn, EngineName, Migration, Scope, Store, StoreError};

use crate::on_both_engines;
use crate::place::Place;

on_both_engines!(
    a_commit_stays,
    an_error_undoes_everything,
    a_panic_undoes_everything_and_the_store_goes_on,
    a_read_sees_one_moment,
    nothing_is_written_by_a_read,
    a_writer_sees_its_own_rows_and_others_do_not,
    reads_go_on_while_a_write_is_open,
    asynchronous_calls_do_the_same,
);

const NOTES: &[Migration] = &[Migration {
    number: 100,
    name: "notes",
    sql: "CREATE TABLE note (id {key}, text TEXT NOT NULL)",
    postgres: "",
    scoped: &[],
    contract: false,
}];

fn prepared(place: &Place) -> Store {
    let store = place.open();
    store.migrate(&[NOTES], Micros(1)).unwrap();
    store
}

fn add(conn: &mut Conn<'_>, id: i64) -> Result<u64, StoreError> {
    conn.execute("INSERT INTO note (id, text) VALUES ($1, 'x')", &[id.into()])
}

fn ids(conn: &mut Conn<'_>) -> Result<Vec<i64>, StoreError> {
    conn.query("SELECT id FROM note ORDER BY id", &[], |row| row.int(0))
}

fn stored(store: &Store) -> Vec<i64> {
    store.read_here(&Scope::all(), ids).unwrap()
}

fn a_commit_stays(place: &Place) {
    let store = prepared(place);
    let value = store.write_here(&Scope::all(), |conn| {
        add(conn, 1)?;
        add(conn, 2)?;
        Ok("done")
    });
    assert_eq!(value.unwrap(), "done");
    assert_eq!(stored(&store), [1, 2]);
    drop(store);
    assert_eq!(stored(&place.open()), [1, 2]);
}

fn an_error_undoes_everything(place: &Place) {
    let store = prepared(place);
    let undone = |run: fn(&mut Conn<'_>) -> Result<(), StoreError>| {
        let error = store
            .write_here(&Scope::all(), |conn| {
                add(conn, 1)?;
                run(conn)
            })
            .unwrap_err();
        assert_eq!(stored(&store), Vec::<i64>::new(), "{error}");
        error.to_string()
    };
    assert_eq!(undone(|_| Err(StoreError::Aborted("enough".into()))), "enough");
    let wrong_table = undone(|conn| conn.execute("INSERT INTO nowhere VALUES (1)", &[]).map(drop));
    assert!(wrong_table.contains("nowhere"), "{wrong_table}");
    undone(|conn| add(conn, 1).map(drop));
    undone(|conn| conn.execute("INSERT INTO note (id, text) VALUES (2, NULL)", &[]).map(drop));
    // An error in the hands of whoever reads the rows counts too.
    undone(|conn| conn.each("SELECT id FROM note", &[], &mut |row| row.text(9).map(drop)));
    undone(|conn| conn.stream("SELECT id FROM note", &[], &mut |row| row.text(9).map(drop)));
    // The first statement of a transaction may be the wrong one.
    let error = store.write_here(&Scope::all(), |conn| conn.query("SELECT wrong", &[], |_| Ok(()))).unwrap_err();
    assert!(matches!(error, StoreError::Sql { .. }), "{error}");
    store.write_here(&Scope::all(), |conn| add(conn, 3)).unwrap();
    assert_eq!(stored(&store), [3]);
}

/// Whatever runs inside may panic (a bug in a handler): the connection must not stay in the middle of a transaction,
/// and must not be lost to the pool.
fn a_panic_undoes_everything_and_the_store_goes_on(place: &Place) {
    let store = prepared(place);
    // A lost connection would make a read wait for ever: that must not hang the whole suite.
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for round in 0..12 {
            let write = |conn: &mut Conn<'_>| -> Result<(), StoreError> {
                add(conn, 100 + round)?;
                panic!("a bug in what the transaction runs");
            };
            let _ = catch_unwind(AssertUnwindSafe(|| store.write_here(&Scope::all(), write)));
            let written = store.write_here(&Scope::all(), |conn| add(conn, round));
            let read = |conn: &mut Conn<'_>| -> Result<(), StoreError> {
                ids(conn)?;
                panic!("a bug in what the transaction runs");
            };
            let _ = catch_unwind(AssertUnwindSafe(|| store.read_here(&Scope::all(), read)));
            let _ = sender.send((round, written, store.read_here(&Scope::all(), ids)));
        }
    });
    for expected in 0..12 {
        let (round, written, read) = receiver
            .recv_timeout(Duration::from_secs(5))
            .expect("after panics inside transactions, a read waits for a connection that never comes back");
        assert_eq!((round, written.expect("the next write works")), (expected, 1));
        let read = read.expect("the next read works");
        assert_eq!(read, (0..=round).collect::<Vec<_>>(), "what a panic interrupted is not there");
    }
}

fn a_read_sees_one_moment(place: &Place) {
    let store = prepared(place);
    store.write_here(&Scope::all(), |conn| add(conn, 1)).unwrap();
    let other = place.open();
    store
        .read_here(&Scope::all(), |conn| {
            assert_eq!(ids(conn)?, [1]);
            store.write_here(&Scope::all(), |conn| add(conn, 2))?;
            other.write_here(&Scope::all(), |conn| conn.execute("DELETE FROM note WHERE id = 1", &[]))?;
            assert_eq!(ids(conn)?, [1], "the view of a read does not change under it");
            let mut streamed = Vec::new();
            conn.stream("SELECT id FROM note", &[], &mut |row| {
                streamed.push(row.int(0)?);
                Ok(())
            })?;
            assert_eq!(streamed, [1]);
            Ok(())
        })
        .unwrap();
    assert_eq!(stored(&store), [2]);
}

fn nothing_is_written_by_a_read(place: &Place) {
    let store = prepared(place);
    let outcome = store.read_here(&Scope::all(), |conn| add(conn, 1));
    assert_eq!(stored(&store), Vec::<i64>::new());
    if store.engine() == EngineName::Postgres {
        assert!(matches!(outcome, Err(StoreError::ReadOnly)), "{outcome:?}");
    }
    // And it holds nobody up afterwards.
    store.write_here(&Scope::all(), |conn| add(conn, 2)).unwrap();
    assert_eq!(stored(&store), [2]);
}

fn a_writer_sees_its_own_rows_and_others_do_not(place: &Place) {
    let store = prepared(place);
    let other = place.open();
    store
        .write_here(&Scope::all(), |conn| {
            add(conn, 1)?;
            assert_eq!(ids(conn)?, [1]);
            assert_eq!(stored(&store), Vec::<i64>::new());
            assert_eq!(stored(&other), Vec::<i64>::new());
            Ok(())
        })
        .unwrap();
    assert_eq!(stored(&other), [1]);
}

fn reads_go_on_while_a_write_is_open(place: &Place) {
    let store = prepared(place);
    store
        .write_here(&Scope::all(), |conn| {
            add(conn, 1)?;
            let readers: Vec<_> = (0..8)
                .map(|_| {
                    let store = store.clone();
                    std::thread::spawn(move || stored(&store))
                })
                .collect();
            for reader in readers {
                assert_eq!(reader.join().unwrap(), Vec::<i64>::new());
            }
            Ok(())
        })
        .unwrap();
}

fn asynchronous_calls_do_the_same(place: &Place) {
    let store = prepared(place);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        store.write(Scope::all(), |conn| add(conn, 1)).await.unwrap();
        assert_eq!(store.read(Scope::all(), ids).await.unwrap(), [1]);
        let error = store.write(Scope::all(), |conn| add(conn, 1)).await.unwrap_err();
        assert!(matches!(error, StoreError::Sql { .. }), "{error}");
        // Whoever asked may have gone away (a client that hangs up): the work is still finished properly.
        let abandoned = tokio::time::timeout(
            Duration::from_millis(1),
            store.write(Scope::all(), |conn| {
                add(conn, 2)?;
                std::thread::sleep(Duration::from_millis(50));
                Ok(())
            }),
        )
        .await;
        assert!(abandoned.is_err());
    });
    drop(runtime);
    store.write_here(&Scope::all(), |conn| add(conn, 3)).unwrap();
    assert_eq!(stored(&store), [1, 2, 3]);
}
