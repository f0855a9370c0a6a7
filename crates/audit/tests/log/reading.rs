//! Reading page by page, with the personal values.

use serde_json::json;
use signalbox_audit::read::{Filter, page};
use signalbox_store::{Scope, Store};

use crate::place::Place;
use crate::{NOW, fill, on_both_engines};

on_both_engines!(pages_follow_each_other, filters_narrow, erased_values_are_told);

fn seqs(store: &Store, filter: &Filter, before: Option<i64>, limit: usize) -> Vec<i64> {
    let rows = store.read_here(&Scope::all(), |conn| page(conn, filter, before, limit)).unwrap();
    rows.iter().map(|row| row.seq).collect()
}

fn pages_follow_each_other(place: &Place) {
    let store = place.open();
    assert!(seqs(&store, &Filter::default(), None, 10).is_empty());
    fill(&store, 9);
    let all = Filter::default();
    assert_eq!(seqs(&store, &all, None, 4), [9, 8, 7, 6]);
    assert_eq!(seqs(&store, &all, Some(6), 4), [5, 4, 3, 2]);
    assert_eq!(seqs(&store, &all, Some(2), 4), [1]);
    assert!(seqs(&store, &all, Some(1), 4).is_empty());
    let rows = store.read_here(&Scope::all(), |conn| page(conn, &all, None, 9)).unwrap();
    let eight = &rows[1];
    assert_eq!((eight.actor.as_str(), eight.at), ("user:usr_0000000000008", NOW.plus(8)));
    assert!(eight.id.starts_with("aud_"));
    assert_eq!(eight.actor_name.as_deref(), Some("Zoë Canary"));
    assert_eq!(eight.address.as_deref(), Some("192.0.2.7"));
    assert_eq!(eight.before, Some(json!({"email": "canary-old@example.org"})));
    assert_eq!(eight.after, Some(json!({"email": "canary@example.org", "number": 8})));
    assert_eq!((&rows[0].address, &rows[0].before), (&None, &None));
}

fn filters_narrow(place: &Place) {
    let store = place.open();
    fill(&store, 9);
    let found = |filter: Filter| seqs(&store, &filter, None, 100);
    let action = |action: &str| Filter { action: Some(action.into()), ..Filter::default() };
    assert_eq!(found(action("token.created")), [6, 2]);
    assert_eq!(found(action("user")), [9, 8, 5, 4, 1]);
    assert!(found(action("use")).is_empty() && found(action("USER")).is_empty() && found(action("%")).is_empty());
    assert_eq!(found(Filter { actor: Some("command".into()), ..Filter::default() }), [9, 7, 5, 3, 1]);
    assert_eq!(found(Filter { actor: Some("user:usr_0000000000004".into()), ..action("user") }), [4]);
    assert_eq!(found(Filter { object: Some("usr_0000000000001".into()), ..Filter::default() }).len(), 9);
    assert!(found(Filter { object: Some("usr_0000000000002".into()), ..Filter::default() }).is_empty());
    assert_eq!(found(Filter { correlation: Some("req_1".into()), ..Filter::default() }).len(), 9);
    let between = Filter { from: Some(NOW.plus(3)), to: Some(NOW.plus(6)), ..Filter::default() };
    assert_eq!(found(between), [5, 4, 3]);
}

fn erased_values_are_told(place: &Place) {
    let store = place.open();
    fill(&store, 4);
    store
        .write_here(&Scope::all(), |conn| {
            conn.execute("DELETE FROM audit_personal WHERE seq = 4 AND slot IN (0, 1, 2)", &[])
        })
        .unwrap();
    let rows = store.read_here(&Scope::all(), |conn| page(conn, &Filter::default(), None, 1)).unwrap();
    assert_eq!((&rows[0].actor_name, &rows[0].address), (&None, &None));
    assert_eq!(rows[0].after, Some(json!({"email": {"$erased": true}, "number": 4})));
    assert_eq!(rows[0].before, Some(json!({"email": "canary-old@example.org"})));
}
