pub(crate) mod postgres;
pub(crate) mod postgres_log;
pub(crate) mod sqlite;
pub(crate) mod sqlite_log;
