//! Values that go into statements and rows that come out, the same for both engines.

use crate::error::StoreError;

/// A parameter of a statement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'v> {
    Null,
    Int(i64),
    Real(f64),
    Text(&'v str),
    Bytes(&'v [u8]),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(value: &'v str) -> Self {
        Value::Text(value)
    }
}

impl<'v> From<&'v [u8]> for Value<'v> {
    fn from(value: &'v [u8]) -> Self {
        Value::Bytes(value)
    }
}

impl<'v, T: Into<Value<'v>>> From<Option<T>> for Value<'v> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// One row of a result, read by column number from 0.
pub enum Row<'r> {
    #[doc(hidden)]
    Sqlite(&'r rusqlite::Row<'r>),
    #[doc(hidden)]
    Postgres(&'r tokio_postgres::Row),
}

macro_rules! getter {
    ($(#[$doc:meta])* $name:ident, $type:ty, $owned:ty) => {
        $(#[$doc])*
        pub fn $name(&self, column: usize) -> Result<$type, StoreError> {
            match self {
                Row::Sqlite(row) => row.get::<_, $owned>(column).map_err(|_| StoreError::Shape { column }),
                Row::Postgres(row) => row.try_get::<_, $owned>(column).map_err(|_| StoreError::Shape { column }),
            }
        }
    };
}

impl Row<'_> {
    getter!(
        /// A BIGINT.
        int, i64, i64);
    getter!(
        /// A BIGINT that may be null.
        opt_int, Option<i64>, Option<i64>);
    getter!(
        /// A DOUBLE PRECISION.
        real, f64, f64);
    getter!(
        /// A TEXT, copied.
        text, String, String);
    getter!(
        /// A TEXT that may be null, copied.
        opt_text, Option<String>, Option<String>);
    getter!(
        /// A byte column, copied.
        bytes, Vec<u8>, Vec<u8>);
    getter!(
        /// A byte column that may be null, copied.
        opt_bytes, Option<Vec<u8>>, Option<Vec<u8>>);

    /// A byte column of exactly sixteen bytes, or null.
    pub fn opt_address(&self, column: usize) -> Result<Option<[u8; 16]>, StoreError> {
        let bytes: Option<&[u8]> = match self {
            Row::Sqlite(row) => row
                .get_ref(column)
                .ok()
                .and_then(|value| value.as_blob_or_null().ok())
                .ok_or(StoreError::Shape { column })?,
            Row::Postgres(row) => row.try_get(column).map_err(|_| StoreError::Shape { column })?,
        };
        bytes.map(|bytes| bytes.try_into().map_err(|_| StoreError::Shape { column })).transpose()
    }
}
