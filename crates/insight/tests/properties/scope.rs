//! What somebody sees is what is in their scope and nothing else, and nothing that others do changes it.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use signalbox_core::clock::{Clock as _, ManualClock};
use signalbox_core::id::{CampaignId, IdMaker, PrincipalId};
use signalbox_core::time::{DAY, HOUR, Micros};
use signalbox_events::kind::{Class, Kind};
use signalbox_insight::names::{Name, Space, resolve};
use signalbox_insight::report::{self, Bucket, Campaign, Filter, Range};
use signalbox_store::{Conn, Scope, Store, StoreError};

use crate::for_many;
use crate::place::Place;
use crate::projector::{drain, prepared, projector};
use crate::sample::{Event, FLOOR, START, append, logs};

const PRINCIPALS: [i64; 3] = [1, 2, 3];
const CAMPAIGNS: [&str; 2] = ["spring", "autumn"];
const CONTACTS: [&str; 2] = ["anna", "bert"];
const LINKS: [&str; 2] = ["https://a.example/", "https://b.example/"];
const MESSAGES: [&str; 2] = ["m-1", "m-2"];

/// Every name has an id that can be told beforehand, the same in every store.
fn id(principal: i64, table: i64, place: usize) -> i64 {
    1_000_000 + principal * 1000 + table * 100 + place as i64
}

fn campaign(principal: i64, place: usize) -> Campaign {
    Campaign {
        id: CampaignId(id(principal, 1, place)),
        principal: PrincipalId(principal),
        name: CAMPAIGNS[place].to_owned(),
        created_at: Micros(START),
    }
}

fn name_everything(conn: &mut Conn<'_>, principal: i64) -> Result<(), StoreError> {
    for (table, number, keys) in [("campaign", 1, CAMPAIGNS), ("contact", 2, CONTACTS), ("message", 3, MESSAGES)] {
        let sql = format!("INSERT INTO {table} (id, principal_id, key, created_at) VALUES ($1, $2, $3, $4)");
        for (place, key) in keys.iter().enumerate() {
            let params = [id(principal, number, place).into(), principal.into(), (*key).into(), START.into()];
            conn.execute(&sql, &params)?;
        }
    }
    let sql = "INSERT INTO link (id, principal_id, campaign_id, key, created_at) VALUES ($1, $2, $3, $4, $5)";
    let campaigns = (0..CAMPAIGNS.len()).map(|place| id(principal, 1, place)).chain([0]);
    for (number, of) in campaigns.enumerate() {
        for (place, key) in LINKS.iter().enumerate() {
            let link = id(principal, 4, 10 * number + place);
            conn.execute(sql, &[link.into(), principal.into(), of.into(), (*key).into(), START.into()])?;
        }
    }
    Ok(())
}

/// A store in which only these principals exist and only their events happened.
fn store_of(place: &Place, log: &[Event], principals: &[i64]) -> Store {
    let store = prepared(place);
    let named =
        store.write_here(&Scope::all(), |conn| principals.iter().try_for_each(|one| name_everything(conn, *one)));
    named.expect("names are made");
    let log: Vec<Event> = log.iter().filter(|event| principals.contains(&event.principal)).cloned().collect();
    if !log.is_empty() {
        append(&mut store.log().writer(FLOOR).expect("a writer"), &log);
    }
    drain(&mut projector(&store));
    store
}

/// The place in the log is one for all principals: it is no part of what somebody sees of their own.
fn without_seq(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            fields.remove("seq");
            fields.values_mut().for_each(|field| *field = without_seq(field.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = without_seq(item.take())),
        _ => (),
    }
    value
}

/// The answer of every function that reads, by its name.
fn everything(store: &Store, scope: &Scope) -> Vec<(String, Value)> {
    let (from, to) = (Micros(START - 3 * DAY).hour(), Micros(START + 40 * DAY).hour());
    let ranges = [Range { from, to }, Range { from: Micros(START).hour(), to: Micros(START + 2 * HOUR).hour() }];
    let mut filters = vec![Filter::default()];
    filters.extend(Kind::ALL.iter().map(|kind| Filter { kind: Some(*kind), ..Filter::default() }));
    filters.extend(Class::ALL.iter().map(|class| Filter { class: Some(*class), ..Filter::default() }));
    filters.push(Filter { from: Some(Micros(START + HOUR)), to: Some(Micros(START + DAY)), ..Filter::default() });
    for principal in PRINCIPALS {
        for place in 0..2 {
            let (campaign, recipient, message) =
                (id(principal, 1, place), id(principal, 2, place), id(principal, 3, place));
            filters.push(Filter { campaign: Some(campaign), ..Filter::default() });
            filters.push(Filter { recipient: Some(recipient), ..Filter::default() });
            filters.push(Filter { message: Some(message), ..Filter::default() });
            filters.push(Filter { campaign: Some(campaign), recipient: Some(recipient), ..Filter::default() });
        }
    }
    let mut told: Vec<(String, Value)> = Vec::new();
    let mut tell = |what: String, value: Value| told.push((what, without_seq(value)));
    let read = |conn: &mut Conn<'_>| {
        for range in ranges {
            for bucket in [Bucket::Hour, Bucket::Day] {
                tell(format!("overview {range:?} {bucket:?}"), json!(report::overview(conn, range, bucket)?));
            }
            tell(format!("totals {range:?}"), json!(report::totals(conn, &range)?));
            tell(format!("campaign_rows {range:?}"), json!(report::campaign_rows(conn, &range, None, 1000)?));
        }
        let before = Some(id(2, 1, 1));
        tell("campaign_rows before".into(), json!(report::campaign_rows(conn, &ranges[0], before, 2)?));
        for (principal, place) in PRINCIPALS.into_iter().flat_map(|principal| [(principal, 0), (principal, 1)]) {
            let campaign = campaign(principal, place);
            let what = format!("of {principal}/{}", campaign.name);
            tell(format!("campaign {what}"), json!(report::campaign(conn, campaign.id)?));
            tell(format!("contacts {what}"), json!(report::contacts(conn, &campaign)?));
            tell(format!("report {what}"), json!(report::report(conn, campaign, ranges[0], Bucket::Day)?));
        }
        for filter in &filters {
            tell(format!("events {filter:?}"), json!(report::events(conn, filter, None, 100_000)?));
        }
        tell("events, the newest".into(), json!(report::events(conn, &Filter::default(), None, 7)?));
        tell("events_after".into(), json!(report::events_after(conn, 0, 100_000)?));
        tell("events_after, the newest".into(), json!(report::events_after(conn, 0, 7)?));
        let mut all = Vec::new();
        report::read_events(conn, &mut |event| {
            all.push(json!(event));
            Ok(())
        })?;
        tell("read_events".into(), json!(all));
        Ok(())
    };
    store.read_here(scope, read).expect("everything is read");
    told
}

fn a_scope_shows_its_own_and_nothing_else(engine: fn() -> Place, cases: u32) {
    let strategy = (logs(3, true), subsequence(PRINCIPALS.to_vec(), 0..=2));
    for_many(cases, strategy, |(log, inside)| {
        let (all_place, own_place) = (engine(), engine());
        let all = store_of(&all_place, &log, &PRINCIPALS);
        let own = store_of(&own_place, &log, &inside);
        let seen = everything(&all, &Scope::principals(inside.iter().copied()));
        for ((what, seen), (_, expected)) in seen.into_iter().zip(everything(&own, &Scope::all())) {
            prop_assert_eq!(seen, expected, "{} within {:?}", what, inside);
        }
        prop_assert_eq!(everything(&all, &Scope::all()), everything(&all, &Scope::principals(PRINCIPALS)));
        Ok(())
    });
}

/// The comparison says nothing about a function that never finds anything.
#[test]
fn every_function_finds_something() {
    let mut runner = TestRunner::deterministic();
    let empty_place = Place::sqlite();
    let empty = everything(&store_of(&empty_place, &[], &[]), &Scope::all());
    let word = |what: &str| what.split(' ').next().unwrap_or_default().to_owned();
    let all: BTreeSet<String> = empty.iter().map(|(what, _)| word(what)).collect();
    let mut found = BTreeSet::new();
    for _ in 0..10 {
        let log = logs(3, true).new_tree(&mut runner).expect("a log").current();
        let place = Place::sqlite();
        let full = everything(&store_of(&place, &log, &PRINCIPALS), &Scope::all());
        let told = full.iter().zip(&empty).filter(|(full, empty)| full.1 != empty.1);
        found.extend(told.map(|(full, _)| word(&full.0)));
    }
    assert_eq!(found, all);
}

#[test]
fn a_scope_shows_its_own_and_nothing_else_on_sqlite() {
    a_scope_shows_its_own_and_nothing_else(Place::sqlite, 24);
}

#[test]
fn a_scope_shows_its_own_and_nothing_else_on_postgres() {
    a_scope_shows_its_own_and_nothing_else(Place::postgres, 4);
}

/// A name of somebody else is not resolved, whatever its spelling.
fn names_are_resolved_within_the_scope(place: &Place) {
    let store = store_of(place, &[], &PRINCIPALS);
    let names: Vec<Name> = [Space::Campaign, Space::Contact, Space::Message, Space::Link { campaign: id(2, 1, 0) }]
        .into_iter()
        .zip([CAMPAIGNS[0], CONTACTS[0], MESSAGES[0], LINKS[0]])
        .map(|(space, key)| Name { principal: 2, space, key: key.to_owned() })
        .collect();
    let clock = ManualClock::at(Micros(START));
    let resolved = |scope: &Scope, name: &Name| {
        let name = std::slice::from_ref(name);
        store.write_here(scope, |conn| resolve(conn, name, &IdMaker::new(900), clock.now()))
    };
    for name in &names {
        let own = resolved(&Scope::principals([2]), name).expect("one's own name is resolved");
        assert!(own[name] > 1_000_000 && own[name] < 1_010_000, "{name:?}: {own:?}");
        // PostgreSQL refuses; SQLite must find nothing either.
        let foreign = resolved(&Scope::principals([1, 3]), name).unwrap_or_default();
        assert!(!foreign.contains_key(name), "{name:?} was resolved for somebody else");
    }
}

#[test]
fn names_are_resolved_within_the_scope_on_sqlite() {
    names_are_resolved_within_the_scope(&Place::sqlite());
}

#[test]
fn names_are_resolved_within_the_scope_on_postgres() {
    names_are_resolved_within_the_scope(&Place::postgres());
}

/// Even a statement that forgets its condition sees no foreign row, on connections that others use in between.
#[test]
fn postgres_hides_foreign_rows_from_every_statement() {
    const TABLES: [&str; 13] = [
        "campaign",
        "contact",
        "message",
        "link",
        "event",
        "message_state",
        "source_record",
        "first_hit",
        "counter",
        "client_counter",
        "counter_day",
        "client_counter_day",
        "conversion_counter",
    ];
    for_many(3, logs(3, true), |log| {
        let place = Place::postgres();
        let store = store_of(&place, &log, &PRINCIPALS);
        let principals = |scope: &Scope, table: &str| {
            let sql = format!("SELECT principal_id FROM (SELECT * FROM {table}) AS everything");
            let read = |conn: &mut Conn<'_>| conn.query(&sql, &[], |row| row.int(0));
            store.read_here(scope, read).expect("a statement without a condition is run")
        };
        std::thread::scope(|threads| {
            for turn in 0..4 {
                let principals = &principals;
                threads.spawn(move || {
                    for round in 0..9 {
                        let own = PRINCIPALS[(turn + round) % 3];
                        for table in TABLES {
                            let seen = principals(&Scope::principals([own]), table);
                            assert!(seen.iter().all(|one| *one == own), "{table} shows {seen:?} to {own}");
                        }
                        assert!(principals(&Scope::principals([]), "event").is_empty());
                    }
                });
            }
        });
        let mut events = 0;
        for own in PRINCIPALS {
            events += principals(&Scope::principals([own]), "event").len();
        }
        prop_assert_eq!(events, principals(&Scope::all(), "event").len());
        Ok(())
    });
}
