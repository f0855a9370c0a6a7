//! The intake log on PostgreSQL: appends serialise on one advisory lock, so that the order of seq is the order of
//! commit and a projector can never skip a late one. The four statements of an append travel in one round trip.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio_postgres::types::ToSql;

use crate::engine::postgres::{Postgres, map_error};
use crate::error::StoreError;
use crate::log::{LogRow, NewRow, checked};

const LOCK: &str = "SELECT pg_advisory_xact_lock(6001061811)";
const ADD: &str = "INSERT INTO intake (first_seq, count, checksum, body)
    SELECT (next.seq + SUM(row.count) OVER (ORDER BY row.place) - row.count)::bigint, row.count, row.checksum, row.body
    FROM UNNEST($1::bigint[], $2::bigint[], $3::bytea[]) WITH ORDINALITY AS row (count, checksum, body, place),
        (SELECT GREATEST(COALESCE((SELECT first_seq + count FROM intake ORDER BY first_seq DESC LIMIT 1), 1), $4::bigint + 1) AS seq) AS next
    RETURNING first_seq";
const TRIM: &str =
    "DELETE FROM intake WHERE first_seq < $1::bigint AND first_seq < (SELECT MAX(first_seq) FROM intake)";
/// An append that takes longer than this is given up; its outcome is unknown and nothing of it is acknowledged.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Writer {
    engine: Arc<Postgres>,
    client: Option<Object>,
    trimmed_below: i64,
    /// Seqs up to here are used up, whatever the log says.
    floor: i64,
}

impl Writer {
    pub(crate) fn new(engine: Arc<Postgres>, floor: i64) -> Self {
        Self { engine, client: None, trimmed_below: 0, floor }
    }

    pub(crate) fn append(&mut self, rows: impl Iterator<Item = NewRow>, trim_below: i64) -> Result<i64, StoreError> {
        let (mut counts, mut checksums, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
        for NewRow { body, count, checksum } in rows {
            counts.push(i64::from(count));
            checksums.push(i64::from(checksum));
            bodies.push(body);
        }
        let client = match self.client.take() {
            Some(client) => client,
            None => self.engine.client()?,
        };
        let floor = self.floor;
        let trim = trim_below > self.trimmed_below;
        let appended = self.engine.block(async {
            let work = async {
                let lock = client.prepare_cached(LOCK).await?;
                let add = client.prepare_cached(ADD).await?;
                let remove = client.prepare_cached(TRIM).await?;
                let params: [&(dyn ToSql + Sync); 4] = [&counts, &checksums, &bodies, &floor];
                let clear = async {
                    if trim {
                        client.execute(&remove, &[&trim_below]).await?;
                    }
                    Ok(())
                };
                let (cleared, begun, locked, added, ended) = tokio::join!(
                    clear,
                    client.batch_execute("BEGIN"),
                    client.query(&lock, &[]),
                    client.query(&add, &params),
                    client.batch_execute("COMMIT"),
                );
                begun.and(cleared)?;
                locked?;
                let first_seq = added?.iter().map(|row| row.get(0)).min();
                ended?;
                Ok::<Option<i64>, tokio_postgres::Error>(first_seq)
            };
            match tokio::time::timeout(PATIENCE, work).await {
                Ok(result) => result.map_err(|error| map_error(&error, ADD)),
                Err(_) => Err(StoreError::Unreachable("it did not answer an append in time".into())),
            }
        });
        match appended {
            Ok(first_seq) => {
                self.trimmed_below = self.trimmed_below.max(trim_below);
                self.client = Some(client);
                Ok(first_seq.unwrap_or(self.floor + 1))
            }
            Err(error) => {
                // The connection may be in the middle of a transaction: it does not go back to the pool.
                drop(Object::take(client));
                Err(error)
            }
        }
    }
}

pub(crate) fn after(engine: &Postgres, seq: i64, most_bytes: usize) -> Result<Vec<LogRow>, StoreError> {
    const SQL: &str = "SELECT first_seq, count, checksum, body FROM (
        SELECT first_seq, count, checksum, body, SUM(LENGTH(body)) OVER (ORDER BY first_seq) - LENGTH(body) AS before
        FROM (SELECT * FROM intake WHERE first_seq > $1::bigint ORDER BY first_seq LIMIT 512) AS waiting) AS sized
        WHERE before < $2::bigint ORDER BY first_seq";
    let client = engine.client()?;
    let most_bytes = i64::try_from(most_bytes).unwrap_or(i64::MAX);
    let rows = engine.block(async {
        let statement = client.prepare_cached(SQL).await?;
        client.query(&statement, &[&seq, &most_bytes]).await
    });
    rows.map_err(|error| map_error(&error, SQL))?
        .iter()
        .map(|row| checked(row.get(0), row.get(1), row.get(2), row.get(3)))
        .collect()
}

pub(crate) fn last_seq(engine: &Postgres) -> Result<i64, StoreError> {
    const SQL: &str =
        "SELECT COALESCE((SELECT first_seq + count - 1 FROM intake ORDER BY first_seq DESC LIMIT 1), 0)::bigint";
    let client = engine.client()?;
    let row = engine.block(client.query_one(SQL, &[])).map_err(|error| map_error(&error, SQL))?;
    Ok(row.get(0))
}
