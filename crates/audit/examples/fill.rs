//! Fills the audit log of a store, as `cargo xtask bench audit` needs it: `fill DATA ENTRIES`, PostgreSQL by
//! `DATABASE_URL`. Not part of the program.

use serde_json::json;
use signalbox_audit::{Actor, Entry, append_all};
use signalbox_core::clock::{Clock as _, SystemClock};
use signalbox_core::id::{IdMaker, UserId};
use signalbox_store::{Faults, Scope, Settings, Store};

/// Entries of one transaction.
const BATCH: i64 = 5000;

#[expect(clippy::disallowed_methods, reason = "the bench hands over the database's password this way")]
fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(data), Some(count)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: fill DATA ENTRIES");
    };
    let count: i64 = count.parse()?;
    let database_url = std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty());
    let settings = Settings { data: data.into(), database_url, connections: 4, faults: Faults::default() };
    let (store, ids) = (Store::open(&settings)?, IdMaker::new(1023));
    // As a server does: otherwise the write-ahead log grows with every entry.
    store.spawn_checkpointer()?;
    let mut done = 0;
    while done < count {
        let now = SystemClock.now();
        let numbers: Vec<(i64, String)> =
            (done..(done + BATCH).min(count)).map(|number| (number, UserId(number % 500).to_string())).collect();
        let entries: Vec<_> = numbers.iter().map(|(number, object)| entry(*number, object, now)).collect();
        store.write_here(&Scope::all(), |conn| append_all(conn, &ids, &entries))?;
        done += entries.len() as i64;
    }
    Ok(store.recover()?)
}

/// Half of the entries are sign-ins, half are changes of a user with an e-mail address before and after.
fn entry(number: i64, object: &str, now: signalbox_core::time::Micros) -> Entry<'_> {
    let user = number % 500;
    let state =
        |role: &str| json!({"email": format!("user-{user}@example.org"), "role": role, "principals": [1, 2, 3]});
    let is_change = number % 2 == 0;
    Entry {
        at: now.plus(number),
        actor: Actor::User(user),
        actor_name: "Somebody of the bench",
        address: Some([10, 0, (number >> 8) as u8, number as u8].into()),
        correlation: "01ja2b3c4d5e6f7g8h9j0k1m2n",
        action: if is_change { "user.changed" } else { "session.started" },
        object,
        before: is_change.then(|| state("viewer")),
        after: is_change.then(|| state("analyst")),
    }
}
