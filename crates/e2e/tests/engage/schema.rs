use anyhow::{Context as _, Result, ensure};
use rusqlite::Connection;
use signalbox_e2e::installation::Installation;

/// What the next version's migration would leave: a row in the list, and its tables.
fn migrated_by_the_next(installation: &Installation, contract: bool) -> Result<()> {
    let conn = Connection::open(installation.data.join("signalbox.db"))?;
    let more = "CREATE TABLE IF NOT EXISTS of_the_next (id INTEGER PRIMARY KEY)";
    conn.execute(more, [])?;
    conn.execute(
        "INSERT OR REPLACE INTO schema_migration (number, name, checksum, applied_at, contract) VALUES (9000, 'next', 'x', 0, ?1)",
        [i64::from(contract)],
    )?;
    Ok(())
}

#[test]
fn a_version_starts_on_what_the_next_one_expanded_and_not_on_what_it_contracted() -> Result<()> {
    let installation = Installation::sqlite()?;
    installation.run(&["migrate"])?;
    migrated_by_the_next(&installation, false)?;
    let server = installation.engage("1.0.0", &[])?;
    ensure!(server.get("/health")?.status == 200);
    server.terminate()?;
    migrated_by_the_next(&installation, true)?;
    let refused = installation.engage("1.0.0", &[]).err().context("it must not run on a contracted schema")?;
    ensure!(format!("{refused:#}").contains("use a newer signalbox"), "{refused:#}");
    Ok(())
}

#[test]
fn a_schema_that_waits_for_migrations_is_refused_and_not_touched() -> Result<()> {
    let installation = Installation::sqlite()?;
    installation.run(&["migrate"])?;
    let conn = Connection::open(installation.data.join("signalbox.db"))?;
    conn.execute("DELETE FROM schema_migration WHERE number = 31", [])?;
    let refused = installation.engage("1.0.0", &[]).err().context("it must not run on an older schema")?;
    ensure!(format!("{refused:#}").contains("signalbox migrate"), "{refused:#}");
    let left: i64 = conn.query_row("SELECT COUNT(*) FROM schema_migration WHERE number = 31", [], |row| row.get(0))?;
    ensure!(left == 0, "it migrated");
    Ok(())
}
