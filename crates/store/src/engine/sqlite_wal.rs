//! Keeping a write-ahead log short without making commits wait. The file is never cut: overwriting blocks that exist
//! syncs several times faster than appending, which has to commit the file system's journal too.

use std::time::Duration;

use rusqlite::Connection;

use crate::engine::sqlite::{BUSY_PATIENCE, map_error};
use crate::error::StoreError;

/// Pages that wait to be copied before it is worth a sync of the database file.
const WORTH_PAGES: i64 = 2048;
/// A log of so many pages is started over even if a commit has to wait for it.
const LONG_PAGES: i64 = 16_384;

/// How much of a write-ahead log is in use, in pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Length {
    used: i64,
    copied: i64,
}

fn checkpoint(conn: &Connection, mode: &str) -> Result<Length, StoreError> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    conn.query_row(&sql, [], |row| Ok(Length { used: row.get(1)?, copied: row.get(2)? }))
        .map_err(|error| map_error(error, &sql))
}

/// Copies committed pages into the database file when there are enough of them; readers and writers go on meanwhile.
pub(crate) fn copy(conn: &Connection) -> Result<(), StoreError> {
    let length = checkpoint(conn, "NOOP")?;
    if length.used - length.copied >= WORTH_PAGES {
        checkpoint(conn, "PASSIVE")?;
    }
    Ok(())
}

/// Starts a long log over from its beginning, unless somebody still reads from it. The caller holds the write lock.
pub(crate) fn start_over(conn: &Connection) -> Result<(), StoreError> {
    if checkpoint(conn, "NOOP")?.used < LONG_PAGES {
        return Ok(());
    }
    let patience = |time: Duration| conn.busy_timeout(time).map_err(|error| map_error(error, "busy_timeout"));
    patience(Duration::ZERO)?;
    let done = checkpoint(conn, "RESTART");
    patience(BUSY_PATIENCE)?;
    match done {
        Ok(_) | Err(StoreError::Busy) => Ok(()),
        Err(error) => Err(error),
    }
}
