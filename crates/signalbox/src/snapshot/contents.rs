//! What is in a store, by figures that are the same before and after.

use std::collections::BTreeMap;

use anyhow::{bail, ensure};
use serde::{Deserialize, Serialize};
use signalbox_store::{Conn, EngineName, LedgerRow, LogReader, LogRow, StoreError};

use super::file::hex;

/// Read at once.
const LOG_BYTES: usize = 1 << 20;

/// The figures.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Contents {
    /// The last migration that ran.
    pub schema: i64,
    pub migrations: Vec<Ran>,
    /// The cursor: every event up to this seq is projected.
    pub seq: i64,
    pub log: Log,
    /// Rows by table.
    pub tables: BTreeMap<String, i64>,
    pub audit: AuditHead,
}

/// A migration that ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    pub number: i64,
    pub name: String,
    pub checksum: String,
}

/// The intake log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Log {
    /// The seq of the newest event; 0 where the log is empty.
    pub last: i64,
    pub events: i64,
    /// Those behind the cursor's seq, which are still to be projected.
    pub waiting: i64,
}

/// The end of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AuditHead {
    pub seq: i64,
    pub hash: String,
}

impl Contents {
    /// Looks at a store in a transaction. On SQLite the log is a file of its own, which `log` reads.
    pub fn of(conn: &mut Conn<'_>, log: Option<&LogReader>) -> anyhow::Result<Self> {
        let migrations: Vec<Ran> = conn.migrations()?.into_iter().map(Ran::from).collect();
        let mut tables = BTreeMap::new();
        for table in conn.tables()? {
            let count = format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {}", table.name);
            tables.insert(table.name, conn.first(&count, &[], |row| row.int(0))?.unwrap_or_default());
        }
        let seq = conn.first("SELECT seq FROM projection WHERE name = $1", &["events".into()], |row| row.int(0))?;
        let seq = seq.unwrap_or_default();
        let newest = "SELECT CAST(COALESCE(MAX(seq), 0) AS BIGINT) FROM event";
        let newest = conn.first(newest, &[], |row| row.int(0))?.unwrap_or_default();
        ensure!(newest <= seq, "event {newest} is stored although the cursor is at {seq}");
        let log = match log {
            Some(reader) => Log::of(seq, |after| reader.after(after, LOG_BYTES))?,
            None => Log::of(seq, |after| conn.log_after(after, 256))?,
        };
        let head = conn
            .first("SELECT seq, hash FROM audit_head WHERE one = 1", &[], |row| Ok((row.int(0)?, row.opt_bytes(1)?)))?;
        let audit = head.map_or_else(AuditHead::default, |(seq, hash)| AuditHead {
            seq,
            hash: hash.as_deref().map(hex).unwrap_or_default(),
        });
        Ok(Self { schema: migrations.last().map_or(0, |last| last.number), migrations, seq, log, tables, audit })
    }

    /// The first figure that differs from what was written.
    pub fn differs(&self, written: &Self) -> Option<String> {
        for (name, rows) in &written.tables {
            let found = self.tables.get(name).copied().unwrap_or_default();
            if found != *rows {
                return Some(format!("table {name} has {found} rows, {rows} were written"));
            }
        }
        let pairs = [("schema", self.schema, written.schema), ("cursor", self.seq, written.seq)];
        if let Some((name, found, wanted)) = pairs.into_iter().find(|(_, found, wanted)| found != wanted) {
            return Some(format!("the {name} is {found}, {wanted} was written"));
        }
        match self == written {
            true => None,
            false => Some("the intake log, the migrations or the end of the audit log are not what was written".into()),
        }
    }

    /// The migrations, as the store builds them.
    pub fn ledger(&self) -> Vec<LedgerRow> {
        let row = |ran: &Ran| LedgerRow { number: ran.number, name: ran.name.clone(), checksum: ran.checksum.clone() };
        self.migrations.iter().map(row).collect()
    }
}

impl From<LedgerRow> for Ran {
    fn from(row: LedgerRow) -> Self {
        Self { number: row.number, name: row.name, checksum: row.checksum }
    }
}

impl Log {
    /// Reads the whole log, checksums and all. Behind the cursor no event may miss: it would be acknowledged and nowhere.
    fn of(cursor: i64, mut after: impl FnMut(i64) -> Result<Vec<LogRow>, StoreError>) -> anyhow::Result<Self> {
        let mut log = Self::default();
        loop {
            let rows = after(log.last)?;
            if rows.is_empty() {
                return Ok(log);
            }
            for LogRow { first_seq, count, .. } in rows {
                let count = i64::from(count);
                let wanted = log.last.max(cursor) + 1;
                if first_seq > cursor && first_seq != wanted {
                    bail!("events {wanted} to {} are neither projected nor in the intake log", first_seq - 1);
                }
                log.last = first_seq + count - 1;
                if first_seq > cursor {
                    log.waiting += count;
                } else if log.last > cursor {
                    bail!("the cursor, {cursor}, is amidst the events {first_seq} to {}", log.last);
                }
                log.events += count;
            }
        }
    }
}

/// As `--output json` and the manifest call it.
pub fn engine_word(engine: EngineName) -> &'static str {
    match engine {
        EngineName::Sqlite => "sqlite",
        EngineName::Postgres => "postgres",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(cursor: i64, rows: &[(i64, u32)]) -> anyhow::Result<Log> {
        Log::of(cursor, |after| {
            let row =
                |(first_seq, count): &(i64, u32)| LogRow { first_seq: *first_seq, count: *count, body: Vec::new() };
            Ok(rows.iter().filter(|(first_seq, _)| *first_seq > after).map(row).collect())
        })
    }

    #[test]
    fn behind_the_cursor_no_event_may_miss() {
        assert_eq!(log(0, &[]).unwrap(), Log::default());
        assert_eq!(log(0, &[(1, 3), (4, 1)]).unwrap(), Log { last: 4, events: 4, waiting: 4 });
        // What was cleared away is projected; so is a log that ends before the cursor.
        assert_eq!(log(6, &[(5, 2), (7, 2)]).unwrap(), Log { last: 8, events: 4, waiting: 2 });
        assert_eq!(log(9, &[(1, 2), (5, 2)]).unwrap(), Log { last: 6, events: 4, waiting: 0 });
        for (cursor, rows) in [(0, &[(2, 1)][..]), (4, &[(7, 1)]), (4, &[(3, 2), (5, 1), (8, 1)]), (4, &[(3, 4)])] {
            log(cursor, rows).unwrap_err();
        }
    }
}
