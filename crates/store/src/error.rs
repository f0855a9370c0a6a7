//! What can go wrong with a store, in words that say what to do.

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database is locked by another program; stop it or wait until it is done")]
    Busy,
    #[error("the disk that holds the database is full")]
    Full,
    #[error("the database cannot be written: it, its folder or its file system is read-only")]
    ReadOnly,
    #[error("the database is damaged: {0}; restore the latest backup")]
    Corrupt(String),
    #[error("{path} is not a SQLite database")]
    NotADatabase { path: String },
    #[error(
        "{place} holds tables of another program ({tables}); nothing was changed in it: name an empty database or another data directory"
    )]
    Foreign { place: String, tables: String },
    #[error("reading or writing the database failed: {0}")]
    Io(String),
    #[error("an earlier write could not be made durable ({0}); nothing is recorded any more: restart the process")]
    Poisoned(String),
    #[error("the database has schema {found}, this program knows up to {known}; use a newer signalbox")]
    TooNew { found: i64, known: i64 },
    #[error("the database has schema {found}, this program needs {needed}; run `signalbox migrate`")]
    NotMigrated { found: i64, needed: i64 },
    #[error("migration {number} ({name}) was changed after it ran; this is not the program that made this database")]
    ChangedMigration { number: i64, name: String },
    #[error(
        "PostgreSQL user {0:?} is a superuser or may bypass row-level security, so principals would not be kept apart; connect as an ordinary user that owns the database"
    )]
    Privileged(String),
    #[error(
        "PostgreSQL cannot be reached: {0}; see that it runs where DATABASE_URL says, and that this user may connect"
    )]
    Unreachable(String),
    #[error("DATABASE_URL is not usable: {0}; it looks like postgres://user:password@host:5432/name")]
    BadUrl(String),
    #[error("SQLite {found} is older than {needed}, which is the first that never corrupts on a WAL reset")]
    OldEngine { found: String, needed: &'static str },
    #[error("{message} in: {statement}")]
    Sql { statement: String, message: String },
    #[error("a row has an unexpected value in column {column}")]
    Shape { column: usize },
    /// Something else than the store failed inside a transaction, which was undone.
    #[error("{0}")]
    Aborted(String),
}

impl StoreError {
    /// Whether the same call may succeed later without anybody doing anything to this process.
    pub fn is_passing(&self) -> bool {
        matches!(self, StoreError::Busy | StoreError::Full | StoreError::Unreachable(_))
    }
}
