//! The intake log on SQLite: a file of its own, so that an append never waits for a projector's transaction.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, params};

use crate::engine::fair::FairLock;
use crate::engine::sqlite::{begin, commit, connect, map_error, settle};
use crate::engine::sqlite_wal;
use crate::error::StoreError;
use crate::health::Health;
use crate::log::{LogRow, NewRow, checked};
use crate::store::Faults;

const TABLE: &str = "intake";
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS intake (
    first_seq INTEGER PRIMARY KEY, count INTEGER NOT NULL, checksum INTEGER NOT NULL, body BLOB NOT NULL) STRICT";
/// How many projected rows one append clears away at most.
const TRIM_ROWS: i64 = 64;

pub(crate) struct Writer {
    conn: Connection,
    path: PathBuf,
    /// Among the processes that append.
    fair: FairLock,
    health: Arc<Health>,
    /// Seqs up to here are used up, whatever the log says.
    floor: i64,
}

pub(crate) fn open_writer(path: &Path, faults: Faults, health: Arc<Health>, floor: i64) -> Result<Writer, StoreError> {
    let conn = open(path, faults)?;
    let fair = FairLock::new(path.parent().unwrap_or(Path::new(".")), "intake");
    Ok(Writer { conn, path: path.to_path_buf(), fair, health, floor })
}

fn open(path: &Path, faults: Faults) -> Result<Connection, StoreError> {
    let conn = connect(path, faults, TABLE)?;
    conn.execute_batch(SCHEMA).map_err(|error| map_error(error, SCHEMA))?;
    Ok(conn)
}

impl Writer {
    pub(crate) fn recover(&mut self) -> Result<(), StoreError> {
        let _held = self.fair.take()?;
        settle(&self.conn, &self.path)
    }

    /// Appends rows, synced to disk when it returns, and clears rows that end below `trim_below`.
    pub(crate) fn append(&mut self, rows: impl Iterator<Item = NewRow>, trim_below: i64) -> Result<i64, StoreError> {
        if let Some(reason) = self.health.poisoned() {
            return Err(StoreError::Poisoned(reason.to_owned()));
        }
        let _held = self.fair.take()?;
        begin(&self.conn, "BEGIN IMMEDIATE")?;
        match self.write(rows, trim_below) {
            Ok(first_seq) => commit(&self.conn, &self.health).map(|()| first_seq),
            Err(error) => {
                let _ = self.conn.execute_batch("ROLLBACK");
                if matches!(error, StoreError::Io(_) | StoreError::Corrupt(_)) {
                    self.health.poison(&error.to_string());
                }
                Err(error)
            }
        }
    }

    fn write(&self, rows: impl Iterator<Item = NewRow>, trim_below: i64) -> Result<i64, StoreError> {
        const NEXT: &str = "SELECT first_seq, first_seq + count FROM intake ORDER BY first_seq DESC LIMIT 1";
        const TRIM: &str = "DELETE FROM intake WHERE first_seq IN (SELECT first_seq FROM intake WHERE first_seq < ?1 ORDER BY first_seq LIMIT ?2)";
        const ADD: &str = "INSERT INTO intake (first_seq, count, checksum, body) VALUES (?1, ?2, ?3, ?4)";
        let mut next = self.conn.prepare_cached(NEXT).map_err(|error| map_error(error, NEXT))?;
        let mut found = next.query([]).map_err(|error| map_error(error, NEXT))?;
        let (newest, first_seq): (i64, i64) = match found.next().map_err(|error| map_error(error, NEXT))? {
            Some(row) => (
                row.get(0).map_err(|error| map_error(error, NEXT))?,
                row.get(1).map_err(|error| map_error(error, NEXT))?,
            ),
            None => (0, 1),
        };
        let first_seq = first_seq.max(self.floor + 1);
        drop(found);
        let run = |sql: &str, params: &[&dyn rusqlite::ToSql]| {
            self.conn
                .prepare_cached(sql)
                .and_then(|mut statement| statement.execute(params))
                .map_err(|error| map_error(error, sql))
        };
        let mut seq = first_seq;
        for NewRow { body, count, checksum } in rows {
            run(ADD, params![seq, count, checksum, body])?;
            seq += i64::from(count);
        }
        // The newest row stays: it is what the next seq is counted from.
        if trim_below > 0 {
            run(TRIM, params![trim_below.min(newest), TRIM_ROWS])?;
        }
        Ok(first_seq)
    }

    pub(crate) fn checkpoint(&mut self) -> Result<(), StoreError> {
        let _held = self.fair.take()?;
        sqlite_wal::start_over(&self.conn)
    }
}

pub(crate) struct Reader {
    conn: Connection,
}

pub(crate) fn open_reader(path: &Path, faults: Faults) -> Result<Reader, StoreError> {
    Ok(Reader { conn: open(path, faults)? })
}

impl Reader {
    pub(crate) fn after(&self, seq: i64, most_bytes: usize) -> Result<Vec<LogRow>, StoreError> {
        const SQL: &str = "SELECT first_seq, count, checksum, body FROM intake WHERE first_seq > ?1 ORDER BY first_seq";
        let fail = |error| map_error(error, SQL);
        let mut statement = self.conn.prepare_cached(SQL).map_err(fail)?;
        let mut rows = statement.query([seq]).map_err(fail)?;
        let mut found = Vec::new();
        let mut size = 0;
        while size < most_bytes {
            let Some(row) = rows.next().map_err(fail)? else { break };
            let body: Vec<u8> = row.get(3).map_err(fail)?;
            size += body.len();
            found.push(checked(row.get(0).map_err(fail)?, row.get(1).map_err(fail)?, row.get(2).map_err(fail)?, body)?);
        }
        Ok(found)
    }

    pub(crate) fn last_seq(&self) -> Result<i64, StoreError> {
        const SQL: &str = "SELECT COALESCE(MAX(first_seq + count - 1), 0) FROM (SELECT first_seq, count FROM intake ORDER BY first_seq DESC LIMIT 1)";
        self.conn.query_row(SQL, [], |row| row.get(0)).map_err(|error| map_error(error, SQL))
    }

    /// Copies committed pages into the database file without making anybody wait.
    pub(crate) fn checkpoint_passively(&self) -> Result<(), StoreError> {
        sqlite_wal::copy(&self.conn)
    }
}
