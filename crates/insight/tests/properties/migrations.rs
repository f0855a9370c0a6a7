//! A store that an earlier version left becomes what this version would have made of the same log.

use signalbox_core::time::Micros;
use signalbox_insight::schema::MIGRATIONS;
use signalbox_store::Scope;

use crate::for_many;
use crate::place::Place;
use crate::projector::{drain, prepared, projector};
use crate::rows::rows;
use crate::sample::{FLOOR, append, logs};

/// Takes the schema back to where it was before stretches and days.
const BACK: [&str; 15] = [
    "DROP TABLE version_counter",
    "DROP TABLE synthetic_event",
    "ALTER TABLE event DROP COLUMN rendered",
    "ALTER TABLE message_state DROP COLUMN rendered",
    "DELETE FROM schema_migration WHERE number = 31",
    "DROP TABLE counter_day",
    "DROP TABLE client_counter_day",
    "DROP INDEX event_recipient",
    "DROP INDEX event_message",
    "CREATE INDEX event_recipient ON event (recipient_id, occurred_at) WHERE recipient_id <> 0",
    "CREATE INDEX event_message ON event (message_id, occurred_at) WHERE message_id <> 0",
    "DELETE FROM message_state WHERE sent_at IS NULL AND delivered_at IS NULL",
    "ALTER TABLE message_state DROP COLUMN first_hit",
    "DELETE FROM schema_migration WHERE number = 21",
    "DELETE FROM schema_migration WHERE number = 22",
];

fn earlier_stores_come_out_the_same(engine: fn() -> Place, cases: u32) {
    for_many(cases, logs(2, false), |log| {
        let place = engine();
        let store = prepared(&place);
        append(&mut store.log().writer(FLOOR).expect("a writer"), &log);
        drain(&mut projector(&store));
        // Nobody knows who rendered what came before.
        let rendered = ["rendered", "message_rendered"];
        let expected = rows(&store).without(&rendered);
        let back = store.write_here(&Scope::all(), |conn| {
            BACK.iter().try_for_each(|statement| conn.execute(statement, &[]).map(drop))
        });
        back.expect("the schema goes back");
        store.migrate(&[MIGRATIONS], Micros(2)).expect("the schema comes forward");
        rows(&store).without(&rendered).same_as(&expected, "after the migration")
    });
}

#[test]
fn earlier_stores_come_out_the_same_on_sqlite() {
    earlier_stores_come_out_the_same(Place::sqlite, 20);
}

#[test]
fn earlier_stores_come_out_the_same_on_postgres() {
    earlier_stores_come_out_the_same(Place::postgres, 4);
}
