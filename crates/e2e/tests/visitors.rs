//! Other programs that look at the files while the server runs: they take nothing away when they leave.

use anyhow::{Result, ensure};
use rusqlite::Connection;
use signalbox_e2e::installation::Installation;
use signalbox_e2e::ledger::Ledger;
use signalbox_e2e::load::{Targets, first_recorded};

/// Whoever is the last to close an SQLite database deletes its write-ahead log. A server that has lost its locks is not
/// counted, goes on writing to a file without a name, and everything after that is gone when it ends.
#[test]
fn a_visitor_who_leaves_does_not_take_the_log_along() -> Result<()> {
    let installation = Installation::sqlite()?;
    let targets = Targets::of(&installation)?;
    let server = installation.serve()?;
    let mut ledger = Ledger::default();
    for _ in 0..3 {
        first_recorded(&server, &targets, &mut ledger)?;
        for file in ["signalbox.db", "intake.db"] {
            let visitor = Connection::open(installation.data.join(file))?;
            let tables: i64 = visitor.query_row("SELECT COUNT(*) FROM sqlite_master", [], |row| row.get(0))?;
            ensure!(tables > 0, "{file} has no tables");
            drop(visitor);
            ensure!(installation.data.join(format!("{file}-wal")).exists(), "the log of {file} was deleted");
        }
        installation.run(&["key", "list"])?;
    }
    server.kill()?;
    let balance = ledger.balance(&installation.export()?);
    ensure!(balance.is_even(), "{balance}");
    Ok(())
}
