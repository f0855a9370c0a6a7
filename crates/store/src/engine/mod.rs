pub(crate) mod fair;
pub(crate) mod postgres;
pub(crate) mod postgres_log;
mod postgres_tls;
pub(crate) mod sqlite;
pub(crate) mod sqlite_copy;
pub(crate) mod sqlite_log;
pub(crate) mod sqlite_wal;
pub(crate) mod turns;
