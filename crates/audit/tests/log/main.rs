//! The audit log on both engines: what is appended is read, exported and verified; what is tampered with is found.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it must be")]

mod appending;
mod checkpoints;
mod reading;
mod tampering;

#[path = "../../../store/tests/conformance/place.rs"]
mod place;

use serde_json::json;
use signalbox_audit::{Actor, Entry};
use signalbox_core::id::IdMaker;
use signalbox_core::time::Micros;
use signalbox_store::{Scope, Store};

const NOW: Micros = Micros(1_780_000_000_000_000);

impl place::Place {
    /// A migrated store at this place, as another process would open it.
    fn open(&self) -> Store {
        let store = Store::open(&self.settings(4)).expect("the store opens");
        store.migrate(&[signalbox_audit::schema::MIGRATIONS], NOW).expect("it is migrated");
        store
    }

    /// Runs statements past the store, as somebody with the database's password would.
    fn tamper(&self, statements: &[&str]) {
        match self.url() {
            Some(url) => drop(place::run_sql(url, statements)),
            None => {
                let conn = rusqlite::Connection::open(self.folder().join("signalbox.db")).unwrap();
                statements.iter().for_each(|statement| conn.execute_batch(statement).unwrap());
            }
        }
    }

    /// Takes away what refuses changes.
    fn drop_triggers(&self) {
        match self.url() {
            Some(_) => self.tamper(&[
                "DROP TRIGGER audit_entry_no_change ON audit_entry",
                "DROP TRIGGER audit_personal_no_change ON audit_personal",
                "DROP TRIGGER audit_head_no_delete ON audit_head",
                "DROP TRIGGER audit_head_forward ON audit_head",
            ]),
            None => self.tamper(&[
                "DROP TRIGGER audit_entry_no_update; DROP TRIGGER audit_entry_no_delete; DROP TRIGGER audit_entry_no_replace;
                 DROP TRIGGER audit_personal_no_update; DROP TRIGGER audit_head_forward; DROP TRIGGER audit_head_no_delete",
            ]),
        }
    }
}

/// One entry, as the change number `number` would append it.
fn entry(number: i64) -> Entry<'static> {
    let kinds = ["user.created", "user.changed", "token.created", "session.ended"];
    Entry {
        at: NOW.plus(number),
        actor: if number % 2 == 0 { Actor::User(number) } else { Actor::Command },
        actor_name: "Zoë Canary",
        address: (number % 3 != 0).then(|| [192, 0, 2, 7].into()),
        correlation: "req_1",
        action: kinds[usize::try_from(number).unwrap() % kinds.len()],
        object: "usr_0000000000001",
        before: (number % 4 == 0).then(|| json!({"email": "canary-old@example.org"})),
        after: Some(json!({"email": "canary@example.org", "number": number})),
    }
}

/// Appends so many entries, each in a transaction of its own.
fn fill(store: &Store, count: i64) {
    let ids = IdMaker::new(1);
    for number in 1..=count {
        let seq = store.write_here(&Scope::all(), |conn| signalbox_audit::append(conn, &ids, &entry(number))).unwrap();
        assert!(seq >= number);
    }
}

/// Makes of each function a test per engine.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use crate::place::Place;

            #[test]
            fn sqlite() {
                super::$name(&Place::sqlite());
            }

            #[test]
            fn postgres() {
                super::$name(&Place::postgres());
            }
        }
    )+};
}
use on_both_engines;
