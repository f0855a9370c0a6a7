//! Appending: gapless, in the caller's transaction, and nothing that is there is ever changed.

use std::sync::{Arc, Barrier};

use signalbox_audit::verify::{self, Outside};
use signalbox_audit::{append, append_all, head};
use signalbox_core::id::IdMaker;
use signalbox_store::{Scope, StoreError};

use crate::place::Place;
use crate::{entry, fill, on_both_engines};

on_both_engines!(
    entries_continue_the_chain,
    what_is_undone_leaves_nothing,
    many_at_once_keep_one_gapless_chain,
    the_tables_refuse_every_change,
    a_log_without_a_head_is_not_appended_to,
);

fn entries_continue_the_chain(place: &Place) {
    let store = place.open();
    let empty = verify::store(&store, &Outside::default(), |_| ()).unwrap();
    assert!(empty.intact && empty.found.entries == 0, "{empty:?}");
    fill(&store, 20);
    let ids = IdMaker::new(2);
    let more: Vec<_> = (21..=45).map(entry).collect();
    let seq = store.write_here(&Scope::all(), |conn| append_all(conn, &ids, &more)).unwrap();
    assert_eq!(seq, 45);
    let none = store.write_here(&Scope::all(), |conn| append_all(conn, &ids, &[])).unwrap();
    assert_eq!(none, 45);
    let report = verify::store(&place.open(), &Outside::default(), |_| ()).unwrap();
    assert!(report.intact, "{:?}", report.found.faults);
    assert_eq!((report.found.entries, report.found.last_seq, report.found.erased), (45, 45, 0));
    // A name each, an address for two of three, an e-mail address each and an older one for every fourth.
    assert_eq!(report.found.personal, 45 + 30 + 45 + 11);
    let (seq, hash) = store.read_here(&Scope::all(), head).unwrap().unwrap();
    assert_eq!((seq, hash.as_slice()), (45, report.found.last_hash.as_slice()));
}

fn what_is_undone_leaves_nothing(place: &Place) {
    let store = place.open();
    fill(&store, 2);
    let ids = IdMaker::new(2);
    let undone: Result<(), _> = store.write_here(&Scope::all(), |conn| {
        assert_eq!(append(conn, &ids, &entry(3))?, 3);
        Err(StoreError::Aborted("the change failed".into()))
    });
    undone.unwrap_err();
    let report = verify::store(&store, &Outside::default(), |_| ()).unwrap();
    assert!(report.intact && report.found.entries == 2, "{report:?}");
    fill(&store, 1);
    assert_eq!(verify::store(&store, &Outside::default(), |_| ()).unwrap().found.last_seq, 3, "no seq is lost");
}

fn many_at_once_keep_one_gapless_chain(place: &Place) {
    place.open();
    let start = Arc::new(Barrier::new(4));
    let threads: Vec<_> = (0..4)
        .map(|node| {
            let (store, start) = (place.open(), Arc::clone(&start));
            std::thread::spawn(move || {
                let ids = IdMaker::new(node);
                start.wait();
                let seqs = (1..=15).map(|number| {
                    let append = || store.write_here(&Scope::all(), |conn| append(conn, &ids, &entry(number)));
                    append().unwrap()
                });
                seqs.collect::<Vec<_>>()
            })
        })
        .collect();
    let mut seqs: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=60).collect::<Vec<_>>());
    let report = verify::store(&place.open(), &Outside::default(), |_| ()).unwrap();
    assert!(report.intact && report.found.entries == 60, "{:?}", report.found.faults);
}

fn the_tables_refuse_every_change(place: &Place) {
    let store = place.open();
    fill(&store, 3);
    for sql in [
        "UPDATE audit_entry SET action = 'other' WHERE seq = 2",
        "DELETE FROM audit_entry WHERE seq = 2",
        "INSERT INTO audit_entry SELECT * FROM audit_entry WHERE seq = 2",
        "UPDATE audit_personal SET value = 'other' WHERE seq = 2",
        "UPDATE audit_head SET seq = 2",
        "DELETE FROM audit_head",
    ] {
        let refused = store.write_here(&Scope::all(), |conn| conn.execute(sql, &[]));
        assert!(matches!(refused, Err(StoreError::Sql { .. })), "{sql}: {refused:?}");
    }
    if place.url().is_none() {
        let replace = "INSERT OR REPLACE INTO audit_entry SELECT * FROM audit_entry WHERE seq = 2";
        store.write_here(&Scope::all(), |conn| conn.execute(replace, &[])).unwrap_err();
    } else {
        store.write_here(&Scope::all(), |conn| conn.execute("TRUNCATE audit_entry", &[])).unwrap_err();
    }
    let report = verify::store(&store, &Outside::default(), |_| ()).unwrap();
    assert!(report.intact && report.found.entries == 3, "{report:?}");
}

fn a_log_without_a_head_is_not_appended_to(place: &Place) {
    let store = place.open();
    fill(&store, 3);
    place.drop_triggers();
    place.tamper(&["DELETE FROM audit_head"]);
    let ids = IdMaker::new(2);
    let refused = store.write_here(&Scope::all(), |conn| append(conn, &ids, &entry(4)));
    assert!(refused.unwrap_err().to_string().contains("audit verify"));
    let report = verify::store(&store, &Outside::default(), |_| ()).unwrap();
    assert!(!report.intact, "{report:?}");
}
