//! Jobs that one process at a time does: taken over soon, and handed to the version that was promoted.

use signalbox_core::time::{Micros, SECOND};
use signalbox_store::{JobLease, Store, VersionShare};

use crate::on_both_engines;
use crate::place::Place;

on_both_engines!(
    one_at_a_time_has_it,
    who_is_gone_loses_it_within_seconds,
    it_moves_to_the_promoted_version,
    without_the_promoted_version_another_goes_on,
    an_older_lead_announces_nothing,
);

const NOW: Micros = Micros(1_780_000_000_000_000);

fn prepared(place: &Place) -> Store {
    let store = place.open();
    store.migrate(&[], NOW).unwrap();
    store
}

fn after(seconds: i64) -> Micros {
    NOW.plus(seconds * SECOND)
}

fn share(version: &str, promoted: bool) -> VersionShare {
    VersionShare { version: version.into(), weight: 5_000, promoted }
}

fn one_at_a_time_has_it(place: &Place) {
    let store = prepared(place);
    let [one, other] = ["a", "b"].map(|holder| JobLease::new("jobs", holder, "1"));
    assert!(one.hold(&store, NOW).unwrap() && one.hold(&store, NOW).unwrap());
    assert!(!other.hold(&store, NOW).unwrap());
    let elsewhere = JobLease::new("else", "b", "1");
    assert!(elsewhere.hold(&store, NOW).unwrap(), "another job is another lease");
    one.release(&store, after(1)).unwrap();
    assert!(other.hold(&store, after(1)).unwrap() && !one.hold(&store, after(1)).unwrap());
    one.release(&store, after(1)).unwrap();
    assert!(other.hold(&store, after(1)).unwrap(), "nobody gives back what another has");
}

fn who_is_gone_loses_it_within_seconds(place: &Place) {
    let store = prepared(place);
    let [one, other] = ["a", "b"].map(|holder| JobLease::new("jobs", holder, "1"));
    assert!(one.hold(&store, NOW).unwrap());
    assert!(one.hold(&store, after(3)).unwrap() && !other.hold(&store, after(5)).unwrap(), "it was renewed");
    assert!(other.hold(&store, after(8)).unwrap());
    assert!(!one.hold(&store, after(8)).unwrap(), "who comes back sees that it is gone");
}

fn it_moves_to_the_promoted_version(place: &Place) {
    let store = prepared(place);
    let [old, new] = ["1", "2"].map(|version| JobLease::new("jobs", version, version));
    assert!(new.hold(&store, NOW).unwrap(), "while nothing was announced any version may");
    store.announce(&[share("1", true), share("2", false)], 7, NOW).unwrap();
    assert!(old.hold(&store, NOW).unwrap() && !new.hold(&store, NOW).unwrap());
    store.announce(&[share("1", false), share("2", true)], 7, NOW).unwrap();
    assert!(old.hold(&store, NOW).unwrap(), "it goes on until the other is there");
    assert!(new.hold(&store, NOW).unwrap() && !old.hold(&store, NOW).unwrap());
    assert_eq!(store.announced().unwrap(), [share("1", false), share("2", true)]);
}

fn without_the_promoted_version_another_goes_on(place: &Place) {
    let store = prepared(place);
    store.announce(&[share("9", true)], 7, NOW).unwrap();
    let [gone, here] = ["9", "1"].map(|version| JobLease::new("jobs", version, version));
    assert!(!here.hold(&store, NOW).unwrap());
    assert!(gone.hold(&store, NOW).unwrap());
    assert!(!here.hold(&store, after(10)).unwrap(), "it may come back");
    assert!(here.hold(&store, after(30)).unwrap() && here.hold(&store, after(31)).unwrap());
    assert!(gone.hold(&store, after(31)).unwrap() && !here.hold(&store, after(31)).unwrap());
}

fn an_older_lead_announces_nothing(place: &Place) {
    let store = prepared(place);
    store.announce(&[share("2", true)], 8, NOW).unwrap();
    store.announce(&[share("1", true)], 7, NOW).unwrap();
    assert_eq!(store.announced().unwrap(), [share("2", true)]);
}
