//! Copies of SQLite's files that are whole although others write: `VACUUM INTO` reads one moment of the database in one
//! transaction and makes nobody wait. A stepwise backup would begin anew with every commit of another process.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::engine::sqlite::{BUSY_PATIENCE, make_private, map_error};
use crate::error::StoreError;

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| map_error(error, "open"))?;
    conn.busy_timeout(BUSY_PATIENCE).map_err(|error| map_error(error, "open"))?;
    Ok(conn)
}

/// Copies the database as it is at this moment.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    const SQL: &str = "VACUUM INTO ?1";
    // A writable connection, so that a write-ahead log which a dead process left can be read.
    let conn = open(from, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // An empty file that is there is filled; it would get the usual mode else.
    make_private(to);
    let to = to.to_str().ok_or_else(|| StoreError::Io(format!("{} is no text", to.display())))?;
    conn.execute(SQL, [to]).map_err(|error| map_error(error, SQL))?;
    Ok(())
}

/// Reads every page and compares every index with its table.
pub(crate) fn check(path: &Path) -> Result<(), StoreError> {
    const SQL: &str = "PRAGMA integrity_check(10)";
    let conn = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let fail = |error| map_error(error, SQL);
    let mut statement = conn.prepare(SQL).map_err(fail)?;
    let said = statement.query_map([], |row| row.get::<_, String>(0)).map_err(fail)?;
    let said = said.collect::<Result<Vec<_>, _>>().map_err(fail)?;
    match said.as_slice() {
        [ok] if ok == "ok" => Ok(()),
        wrong => Err(StoreError::Corrupt(format!("{}: {}", path.display(), wrong.join("; ")))),
    }
}

/// Brings everything into the file itself, which nobody else may have open, and syncs it.
pub(crate) fn seal(path: &Path) -> Result<(), StoreError> {
    const SQL: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
    let conn = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let busy: i64 = conn.query_row(SQL, [], |row| row.get(0)).map_err(|error| map_error(error, SQL))?;
    if busy != 0 {
        return Err(StoreError::Busy);
    }
    conn.close().map_err(|(_, error)| map_error(error, SQL))?;
    let synced = std::fs::File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|error| StoreError::Io(format!("{}: {error}", path.display())))
}
