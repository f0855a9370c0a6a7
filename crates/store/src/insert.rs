//! Many rows in one statement: column by column, so that PostgreSQL gets arrays (UNNEST) and SQLite one prepared insert.

/// The type of a column in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Int,
    Real,
    Text,
    Bytes,
}

/// Where a batch goes. All parts are literals of the program.
#[derive(Debug, Clone, Copy)]
pub struct Insert {
    pub table: &'static str,
    pub columns: &'static [(&'static str, Type)],
    /// For example `ON CONFLICT (id) DO NOTHING`, or empty.
    pub conflict: &'static str,
    /// Columns to give back per row that was written, or empty.
    pub returning: &'static str,
}

/// The values of one column of a batch.
#[derive(Debug, Clone)]
pub enum Column<'v> {
    Ints(Vec<i64>),
    OptInts(Vec<Option<i64>>),
    Texts(Vec<&'v str>),
    OptTexts(Vec<Option<&'v str>>),
    Bytes(Vec<&'v [u8]>),
    OptBytes(Vec<Option<&'v [u8]>>),
}

impl Column<'_> {
    /// How many rows.
    pub fn len(&self) -> usize {
        match self {
            Column::Ints(values) => values.len(),
            Column::OptInts(values) => values.len(),
            Column::Texts(values) => values.len(),
            Column::OptTexts(values) => values.len(),
            Column::Bytes(values) => values.len(),
            Column::OptBytes(values) => values.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn kind(&self) -> Type {
        match self {
            Column::Ints(_) | Column::OptInts(_) => Type::Int,
            Column::Texts(_) | Column::OptTexts(_) => Type::Text,
            Column::Bytes(_) | Column::OptBytes(_) => Type::Bytes,
        }
    }
}

impl Type {
    pub(crate) fn array(self) -> &'static str {
        match self {
            Type::Int => "bigint[]",
            Type::Real => "double precision[]",
            Type::Text => "text[]",
            Type::Bytes => "bytea[]",
        }
    }
}

impl Insert {
    pub(crate) fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn returning(&self) -> String {
        if self.returning.is_empty() { String::new() } else { format!(" RETURNING {}", self.returning) }
    }
}
