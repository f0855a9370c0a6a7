//! Node numbers: two processes with the same one would make the same ids, and events would be taken for duplicates.

use std::sync::{Arc, Barrier};

use signalbox_core::time::{MINUTE, Micros};
use signalbox_store::{NodeLease, Scope, Store, StoreError};

use crate::on_both_engines;
use crate::place::Place;

on_both_engines!(
    the_lowest_free_node_is_taken,
    processes_that_start_together_get_different_nodes,
    a_lease_that_ended_is_taken_over,
    when_all_nodes_are_leased_it_says_so,
);

const NOW: Micros = Micros(1_780_000_000_000_000);

fn prepared(place: &Place) -> Store {
    let store = place.open();
    store.migrate(&[], NOW).unwrap();
    store
}

fn the_lowest_free_node_is_taken(place: &Place) {
    let store = prepared(place);
    let take = |holder: &str| NodeLease::take(&store, holder, NOW).unwrap();
    let leases = [take("a"), take("b"), take("c")];
    assert_eq!(leases.each_ref().map(|lease| lease.node), [0, 1, 2]);
    leases[1].release(&store).unwrap();
    assert_eq!(take("d").node, 1);
    assert_eq!(take("e").node, 3);
    assert!(!leases[1].renew(&store, NOW).unwrap(), "what was given back belongs to somebody else now");
    assert!(leases[2].renew(&store, NOW).unwrap());
}

fn processes_that_start_together_get_different_nodes(place: &Place) {
    const PROCESSES: usize = 12;
    prepared(place);
    for round in 0..3 {
        let start = Arc::new(Barrier::new(PROCESSES));
        let takers: Vec<_> = (0..PROCESSES)
            .map(|number| {
                let (store, start) = (place.open(), Arc::clone(&start));
                std::thread::spawn(move || {
                    start.wait();
                    let lease = NodeLease::take(&store, &format!("{round}/{number}"), NOW).unwrap();
                    (lease, store)
                })
            })
            .collect();
        let leases: Vec<_> = takers.into_iter().map(|taker| taker.join().unwrap()).collect();
        let mut nodes: Vec<u16> = leases.iter().map(|(lease, _)| lease.node).collect();
        nodes.sort_unstable();
        assert_eq!(nodes, (0..PROCESSES as u16).collect::<Vec<_>>(), "each process has a node of its own");
        for (lease, store) in &leases {
            assert!(lease.renew(store, NOW).unwrap());
            lease.release(store).unwrap();
        }
    }
}

fn a_lease_that_ended_is_taken_over(place: &Place) {
    let store = prepared(place);
    let asleep = NodeLease::take(&store, "asleep", NOW).unwrap();
    let early = NodeLease::take(&store, "early", NOW.plus(10 * MINUTE - 1)).unwrap();
    assert_eq!(early.node, 1, "a lease lasts ten minutes");
    assert!(asleep.renew(&store, NOW.plus(5 * MINUTE)).unwrap());
    let later = NodeLease::take(&store, "later", NOW.plus(10 * MINUTE)).unwrap();
    assert_eq!(later.node, 2, "a renewed lease goes on");
    let last = NodeLease::take(&store, "last", NOW.plus(15 * MINUTE)).unwrap();
    assert_eq!(last.node, 0);
    assert!(!asleep.renew(&store, NOW.plus(16 * MINUTE)).unwrap(), "it must learn that it lost its node");
    asleep.release(&store).unwrap();
    assert!(last.renew(&store, NOW.plus(16 * MINUTE)).unwrap(), "and cannot give away what is not its own");
}

fn when_all_nodes_are_leased_it_says_so(place: &Place) {
    let store = prepared(place);
    store
        .write_here(&Scope::all(), |conn| {
            let sql = "INSERT INTO node_lease (node, holder, expires_at) VALUES ($1, 'x', $2)";
            (0..1024).try_for_each(|node: i64| {
                let until = if node == 700 { NOW.0 + MINUTE } else { NOW.0 + 2 * MINUTE };
                conn.execute(sql, &[node.into(), until.into()]).map(drop)
            })
        })
        .unwrap();
    let error = NodeLease::take(&store, "one too many", NOW).unwrap_err();
    assert!(matches!(&error, StoreError::Aborted(words) if words.contains("1,024")), "{error}");
    assert_eq!(NodeLease::take(&store, "next", NOW.plus(MINUTE)).unwrap().node, 700);
}
