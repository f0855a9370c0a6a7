//! SQLite: WAL, every commit synced, one writer, a pool of readers, one checkpointer.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, ffi, params_from_iter};

use crate::engine::fair::{FairLock, SoleLock};
use crate::engine::sqlite_wal;
use crate::engine::turns::Turns;
use crate::error::StoreError;
use crate::health::Health;
use crate::insert::{Column, Insert};
use crate::shape;
use crate::store::Faults;
use crate::value::{Row, Value};

/// The first release without the WAL-reset corruption.
const NEEDED: &str = "3.51.3";
const NEEDED_NUMBER: i32 = 3_051_003;
const READERS: usize = 6;
/// Page cache per connection: small, because the kernel caches the file too.
const CACHE_KIB: usize = 4096;
/// The writer's, which goes back and forth over the indexes.
const WRITER_CACHE_KIB: usize = 24576;
/// How long somebody else's lock is waited for.
pub(crate) const BUSY_PATIENCE: Duration = Duration::from_secs(5);

/// Each of them waits as long as for any lock.
const SETTLE_TRIES: u32 = 3;

pub(crate) struct Sqlite {
    pub(crate) path: PathBuf,
    faults: Faults,
    pub(crate) health: Arc<Health>,
    writer: Turns<Connection>,
    /// Among processes; whoever takes it has the writer's turn already.
    fair: FairLock,
    readers: Mutex<Vec<Connection>>,
    returned: Condvar,
}

pub(crate) struct Transaction<'c> {
    conn: &'c Connection,
}

impl Sqlite {
    pub(crate) fn open(path: PathBuf, faults: Faults, health: Arc<Health>) -> Result<Self, StoreError> {
        if rusqlite::version_number() < NEEDED_NUMBER {
            return Err(StoreError::OldEngine { found: rusqlite::version().into(), needed: NEEDED });
        }
        let writer = connect(&path, faults, shape::LEDGER_TABLE)?;
        pragma_batch(&writer, &format!("PRAGMA cache_size = -{WRITER_CACHE_KIB}"))?;
        let readers = (0..READERS).map(|_| connect(&path, faults, shape::LEDGER_TABLE)).collect::<Result<_, _>>()?;
        let fair = FairLock::new(path.parent().unwrap_or(Path::new(".")), "signalbox");
        Ok(Self {
            path,
            faults,
            health,
            writer: Turns::new(writer),
            fair,
            readers: Mutex::new(readers),
            returned: Condvar::new(),
        })
    }

    /// Makes durable whatever an earlier process left: pages that it could not sync may be readable only from the
    /// kernel's cache, so they are checkpointed and synced before anything new is acknowledged.
    pub(crate) fn recover(&self) -> Result<(), StoreError> {
        let conn = self.writer.take();
        let _held = self.fair.take()?;
        settle(&conn, &self.path)
    }

    pub(crate) fn read<T>(&self, run: impl FnOnce(Transaction<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut pool = lock(&self.readers);
        let conn = loop {
            match pool.pop() {
                Some(conn) => break conn,
                None => pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(pool);
        let lent = Lent { engine: self, conn: Some(conn) };
        let conn = lent.conn.as_ref().expect("it is lent until the end");
        begin(conn, "BEGIN").and_then(|()| run(Transaction { conn }))
    }

    pub(crate) fn write<T>(&self, run: impl FnOnce(Transaction<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if let Some(reason) = self.health.poisoned() {
            return Err(StoreError::Poisoned(reason.to_owned()));
        }
        let conn = self.writer.take();
        let _held = self.fair.take()?;
        begin(&conn, "BEGIN IMMEDIATE")?;
        let _undo = Undo(&conn);
        match run(Transaction { conn: &conn }) {
            Ok(value) => commit(&conn, &self.health).map(|()| value),
            Err(error) => {
                let _ = conn.execute_batch("ROLLBACK");
                Err(error)
            }
        }
    }

    /// Reads every page of the database.
    pub(crate) fn check_integrity(&self) -> Result<(), StoreError> {
        self.read(|mut tx| {
            let mut said = Vec::new();
            tx.each("PRAGMA quick_check(10)", &[], &mut |row| {
                said.push(row.text(0)?);
                Ok(())
            })?;
            if said == ["ok"] { Ok(()) } else { Err(StoreError::Corrupt(said.join("; "))) }
        })
    }

    /// Keeps the write-ahead log short.
    pub(crate) fn tidy(&self, checkpointer: &Connection) -> Result<(), StoreError> {
        sqlite_wal::copy(checkpointer)?;
        let conn = self.writer.take();
        let _held = self.fair.take()?;
        sqlite_wal::start_over(&conn)
    }

    /// Which of the processes looks after the write-ahead logs.
    pub(crate) fn checkpoint_lock(&self) -> Result<SoleLock, StoreError> {
        SoleLock::open(self.path.parent().unwrap_or(Path::new(".")), "checkpoint")
    }

    /// A connection for [`Sqlite::tidy`].
    pub(crate) fn checkpointer(&self) -> Result<Connection, StoreError> {
        connect(&self.path, self.faults, shape::LEDGER_TABLE)
    }
}

/// A reader's connection, which goes back to the pool whatever happens to its borrower.
struct Lent<'e> {
    engine: &'e Sqlite,
    conn: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            let _ = conn.execute_batch("ROLLBACK");
            lock(&self.engine.readers).push(conn);
            self.engine.returned.notify_one();
        }
    }
}

/// Undoes what a panic left open.
struct Undo<'c>(&'c Connection);

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens a database whose tables include `mark`, or that has none. Another one is not touched.
pub(crate) fn connect(path: &Path, faults: Faults, mark: &str) -> Result<Connection, StoreError> {
    make_private(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(|error| map_error(error, "open"))?;
    conn.busy_timeout(BUSY_PATIENCE).map_err(|error| map_error(error, "open"))?;
    refuse_foreign(&conn, path, mark)?;
    let synchronous = if faults.sync_normal { "NORMAL" } else { "FULL" };
    let setup = format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA wal_autocheckpoint = 0;
         PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -{CACHE_KIB}; PRAGMA trusted_schema = OFF;"
    );
    // Who turns a new file into one with a write-ahead log makes others fail at once, whatever their patience.
    let begun = std::time::Instant::now();
    let done = loop {
        match conn.execute_batch(&setup).map_err(|error| map_error(error, "open")) {
            Err(StoreError::Busy) if begun.elapsed() < BUSY_PATIENCE => std::thread::sleep(Duration::from_millis(5)),
            done => break done,
        }
    };
    done.map_err(|error| match error {
        StoreError::NotADatabase { .. } => StoreError::NotADatabase { path: path.display().to_string() },
        StoreError::Corrupt(_) if !looks_like_sqlite(path) => {
            StoreError::NotADatabase { path: path.display().to_string() }
        }
        other => other,
    })?;
    conn.set_prepared_statement_cache_capacity(128);
    Ok(conn)
}

/// Makes the file where it is missing, whatever the umask says. SQLite gives the files beside it the same mode.
pub(crate) fn make_private(path: &Path) {
    use std::os::unix::fs::OpenOptionsExt as _;
    // A file that is there is not opened (see [`settle`]); what else stands in the way, SQLite tells.
    let _ = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
}

/// Before anything is set: already the mode of the journal is stored in the file.
fn refuse_foreign(conn: &Connection, path: &Path, mark: &str) -> Result<(), StoreError> {
    let shape = conn.prepare(shape::SQLITE).and_then(|mut statement| {
        let mut shape = shape::Shape::new();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            shape.entry(row.get(0)?).or_default().insert(row.get(1)?);
        }
        Ok(shape)
    });
    match shape {
        Ok(shape) => shape::is_ours(&shape, mark, &path.display().to_string()).map(drop),
        // What cannot be read is told by what comes next.
        Err(_) => Ok(()),
    }
}

fn looks_like_sqlite(path: &Path) -> bool {
    use std::io::Read as _;
    let mut magic = [0; 16];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && &magic == b"SQLite format 3\0"
}

/// Copies the write-ahead log into the database file, which SQLite syncs, and syncs their folder. The files themselves
/// must not be opened here: closing any descriptor of a file drops all locks that the process holds on it (POSIX), and
/// the next visitor who leaves would take itself for the last and delete the log that we write to.
pub(crate) fn settle(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    const SQL: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
    let run = || {
        let done = conn.query_row(SQL, [], |row| Ok((row.get(1)?, row.get(2)?)));
        done.map_err(|error| map_error(error, SQL))
    };
    // Other instances read meanwhile, each for a moment.
    let mut tries = 0;
    loop {
        let (used, copied): (i64, i64) = run()?;
        tries += 1;
        if copied >= used {
            break;
        }
        if tries == SETTLE_TRIES {
            return Err(StoreError::Busy);
        }
    }
    let folder = std::fs::File::open(path.parent().unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
    folder.map_err(|error| StoreError::Io(error.to_string()))
}

fn pragma_batch(conn: &Connection, sql: &str) -> Result<(), StoreError> {
    conn.execute_batch(sql).map_err(|error| map_error(error, sql))
}

pub(crate) fn begin(conn: &Connection, sql: &str) -> Result<(), StoreError> {
    conn.prepare_cached(sql).and_then(|mut statement| statement.execute([])).map_err(|error| map_error(error, sql))?;
    Ok(())
}

/// Commits; an error other than a full disk or a lock means that the sync failed, which poisons the store.
pub(crate) fn commit(conn: &Connection, health: &Health) -> Result<(), StoreError> {
    let committed = begin(conn, "COMMIT");
    if let Err(error) = &committed {
        let _ = conn.execute_batch("ROLLBACK");
        if !error.is_passing() {
            health.poison(&error.to_string());
        }
    }
    committed
}

pub(crate) fn map_error(error: rusqlite::Error, statement: &str) -> StoreError {
    let (failure, message) = match &error {
        rusqlite::Error::SqliteFailure(failure, message) => (failure, message),
        // Its own words hold the statement.
        rusqlite::Error::SqlInputError { msg, .. } => {
            return StoreError::Sql { statement: statement.to_owned(), message: msg.clone() };
        }
        _ => return StoreError::Sql { statement: statement.to_owned(), message: error.to_string() },
    };
    let message = message.clone().unwrap_or_else(|| failure.to_string());
    match failure.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Busy,
        ErrorCode::DiskFull => StoreError::Full,
        ErrorCode::ReadOnly => StoreError::ReadOnly,
        ErrorCode::DatabaseCorrupt => StoreError::Corrupt(format!("{message} (code {})", failure.extended_code)),
        ErrorCode::NotADatabase => StoreError::NotADatabase { path: String::new() },
        ErrorCode::CannotOpen => StoreError::Io(format!("{message}; check that the folder exists and may be written")),
        // The index of the write-ahead log could not grow.
        ErrorCode::SystemIoFailure if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE => StoreError::Full,
        ErrorCode::SystemIoFailure => StoreError::Io(format!("{message} (code {})", failure.extended_code)),
        _ if failure.extended_code == ffi::SQLITE_FULL => StoreError::Full,
        _ => StoreError::Sql { statement: statement.to_owned(), message },
    }
}

/// `$1` → `?1`: SQLite numbers `$1` by first appearance, PostgreSQL by its digits.
pub(crate) fn placeholders(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(at) = rest.find('$') {
        let numbered = rest[at + 1..].starts_with(|next: char| next.is_ascii_digit());
        out.push_str(&rest[..at]);
        out.push(if numbered { '?' } else { '$' });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(value) => ValueRef::Integer(*value),
            Value::Real(value) => ValueRef::Real(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

fn cell<'v>(column: &Column<'v>, row: usize) -> Value<'v> {
    match column {
        Column::Ints(values) => Value::Int(values[row]),
        Column::OptInts(values) => values[row].into(),
        Column::Texts(values) => Value::Text(values[row]),
        Column::OptTexts(values) => values[row].into(),
        Column::Bytes(values) => Value::Bytes(values[row]),
        Column::OptBytes(values) => values[row].into(),
    }
}

impl Transaction<'_> {
    pub(crate) fn each(
        &mut self,
        sql: &str,
        params: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let sql = placeholders(sql);
        let fail = |error| map_error(error, &sql);
        let mut statement = self.conn.prepare_cached(&sql).map_err(fail)?;
        let mut rows = statement.query(params_from_iter(params)).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            each(&Row::Sqlite(row))?;
        }
        Ok(())
    }

    pub(crate) fn execute(&mut self, sql: &str, params: &[Value<'_>]) -> Result<u64, StoreError> {
        let sql = placeholders(sql);
        let fail = |error| map_error(error, &sql);
        let changed = self.conn.prepare_cached(&sql).map_err(fail)?.execute(params_from_iter(params)).map_err(fail)?;
        Ok(changed as u64)
    }

    pub(crate) fn lookup(
        &mut self,
        sql: &str,
        keys: &[Column<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        // One prepared statement, run once per key: measured, a table made of JSON costs several times as much.
        let fields = (0..keys.len()).map(|number| format!("?{} AS k{number}", number + 1));
        let table = format!("(SELECT {}) AS k", fields.collect::<Vec<_>>().join(", "));
        let sql = sql.replace("{keys}", &table);
        let fail = |error| map_error(error, &sql);
        let mut statement = self.conn.prepare_cached(&sql).map_err(fail)?;
        for key in 0..keys[0].len() {
            for (number, column) in keys.iter().enumerate() {
                statement.raw_bind_parameter(number + 1, cell(column, key)).map_err(fail)?;
            }
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next().map_err(fail)? {
                each(&Row::Sqlite(row))?;
            }
        }
        Ok(())
    }

    pub(crate) fn insert(
        &mut self,
        insert: &Insert,
        columns: &[Column<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let slots = (1..=columns.len()).map(|number| format!("?{number}")).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({slots}) {}{}",
            insert.table,
            insert.names(),
            insert.conflict,
            insert.returning()
        );
        let fail = |error| map_error(error, &sql);
        let mut statement = self.conn.prepare_cached(&sql).map_err(fail)?;
        let mut written = 0;
        for row in 0..columns[0].len() {
            for (number, column) in columns.iter().enumerate() {
                statement.raw_bind_parameter(number + 1, cell(column, row)).map_err(fail)?;
            }
            if insert.returning.is_empty() {
                written += statement.raw_execute().map_err(fail)? as u64;
            } else {
                let mut rows = statement.raw_query();
                while let Some(row) = rows.next().map_err(fail)? {
                    each(&Row::Sqlite(row))?;
                    written += 1;
                }
            }
        }
        Ok(written)
    }

    pub(crate) fn script(&mut self, sql: &str, name: &str) -> Result<(), StoreError> {
        self.conn.execute_batch(sql).map_err(|error| map_error(error, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_keep_their_numbers() {
        assert_eq!(placeholders("a = $2 AND b = $1 AND c = '$'"), "a = ?2 AND b = ?1 AND c = '$'");
    }
}
