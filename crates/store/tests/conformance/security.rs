//! PostgreSQL keeps principals apart by itself, whatever a statement forgets.

use signalbox_core::time::Micros;
use signalbox_store::{Migration, Scope, Settings, Store, StoreError};

use crate::place::{Place, run_sql, variable, with_database};

const DIARY: &[Migration] = &[Migration {
    number: 100,
    name: "diary",
    sql: "CREATE TABLE diary (id {key}, principal_id BIGINT NOT NULL)",
    postgres: "",
    scoped: &["diary"],
    contract: false,
}];

fn prepared(place: &Place) -> Store {
    let store = place.open();
    store.migrate(&[DIARY], Micros(1)).unwrap();
    store
        .write_here(&Scope::all(), |conn| {
            (1..=9).try_for_each(|id: i64| {
                let params = [id.into(), (1 + id % 3).into()];
                conn.execute("INSERT INTO diary VALUES ($1, $2)", &params).map(drop)
            })
        })
        .unwrap();
    store
}

/// The principals whose rows a statement without any condition sees.
fn seen(store: &Store, scope: &Scope) -> Vec<i64> {
    let sql = "SELECT DISTINCT principal_id FROM diary ORDER BY 1";
    store.read_here(scope, |conn| conn.query(sql, &[], |row| row.int(0))).unwrap()
}

#[test]
fn a_scope_is_enforced_without_a_condition() {
    let place = Place::postgres();
    let store = prepared(&place);
    assert_eq!(seen(&store, &Scope::all()), [1, 2, 3]);
    assert_eq!(seen(&store, &Scope::principals([2])), [2]);
    assert_eq!(seen(&store, &Scope::principals([3, 1])), [1, 3]);
    assert!(seen(&store, &Scope::principals([])).is_empty());
    assert!(seen(&store, &Scope::principals([77])).is_empty());
    let touched = |sql: &str| store.write_here(&Scope::principals([1]), |conn| conn.execute(sql, &[])).unwrap();
    assert_eq!(touched("UPDATE diary SET id = id + 100"), 3);
    assert_eq!(touched("DELETE FROM diary WHERE principal_id = 2"), 0);
    for sql in ["INSERT INTO diary VALUES (50, 2)", "UPDATE diary SET principal_id = 2"] {
        let error = store.write_here(&Scope::principals([1, 3]), |conn| conn.execute(sql, &[])).unwrap_err();
        assert!(error.to_string().contains("row-level security"), "{sql}: {error}");
    }
    assert_eq!(touched("INSERT INTO diary VALUES (51, 1)"), 1);
}

/// A connection of the pool carries nothing over from who used it before.
#[test]
fn scopes_alternate_on_one_pool() {
    let place = Place::postgres();
    prepared(&place);
    let store = Store::open(&place.settings(2)).unwrap();
    std::thread::scope(|threads| {
        for principal in 1..=3 {
            let store = &store;
            threads.spawn(move || {
                for turn in 0..60 {
                    if turn % 4 == 0 {
                        assert!(seen(store, &Scope::principals([])).is_empty());
                    }
                    assert_eq!(seen(store, &Scope::principals([principal])), [principal]);
                    // A transaction that fails half-way leaves no scope behind either.
                    let failed =
                        store.write_here(&Scope::principals([principal]), |conn| conn.execute("SELECT 1 / 0", &[]));
                    assert!(failed.is_err());
                }
            });
        }
    });
    assert_eq!(seen(&store, &Scope::all()), [1, 2, 3]);
}

#[test]
fn whoever_says_no_scope_sees_nothing() {
    let place = Place::postgres();
    prepared(&place);
    let url = place.url().unwrap();
    let rows = run_sql(url, &["SELECT * FROM diary"]);
    assert_eq!(rows.len(), 0, "the owner of the tables is held to the policies too");
    let rows = run_sql(url, &["BEGIN; SELECT set_config('app.principals', '3', true)", "SELECT id FROM diary"]);
    assert_eq!(rows.len(), 3);
}

fn refused(url: String) -> String {
    let place = Place::sqlite();
    match Store::open(&Settings { database_url: Some(url), ..place.settings(2) }) {
        Err(error @ StoreError::Privileged(_)) => error.to_string(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the store opened"),
    }
}

#[test]
fn a_superuser_is_refused() {
    let words = refused(variable("SIGNALBOX_TEST_POSTGRES_SUPER"));
    assert!(words.contains("\"postgres\" is a superuser") && words.contains("connect as an ordinary user"), "{words}");
}

/// A role that exists for one test.
struct Role {
    cluster: String,
    name: String,
}

impl Drop for Role {
    fn drop(&mut self) {
        run_sql(&self.cluster, &[&format!("DROP ROLE {}", self.name)]);
    }
}

#[test]
fn a_role_that_bypasses_row_security_is_refused() {
    let cluster = variable("SIGNALBOX_TEST_POSTGRES_SUPER");
    let role = Role { name: format!("test_bypass_{}", std::process::id()), cluster };
    run_sql(&role.cluster, &[&format!("CREATE ROLE {} LOGIN BYPASSRLS PASSWORD 'x'", role.name)]);
    let (_, server) = role.cluster.split_once('@').unwrap();
    let words = refused(with_database(&format!("postgres://{}:x@{server}", role.name), "postgres"));
    assert!(words.contains("may bypass row-level security"), "{words}");
}
