//! PostgreSQL: a pool of pipelined connections on a small runtime of its own, so that every thread may use it.

use std::error::Error as _;
use std::future::Future;
use std::str::FromStr as _;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime as PoolRuntime, Timeouts};
use tokio_postgres::Config;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type as PgType, to_sql_checked};

use super::postgres_tls::Wanted;
use crate::error::StoreError;
use crate::insert::{Column, Insert};
use crate::value::{Row, Value};

/// Held while migrations run, so that two starting processes do not both migrate.
const MIGRATION_LOCK: i64 = 0x5349_474e_414c_0001;

pub(crate) struct Postgres {
    runtime: tokio::runtime::Runtime,
    pool: Pool,
}

pub(crate) struct Transaction<'c> {
    engine: &'c Postgres,
    client: &'c Object,
    /// What opens the transaction; sent together with the first statement, in one round trip.
    opening: Option<String>,
}

impl Postgres {
    pub(crate) fn open(url: &str, connections: usize) -> Result<Self, StoreError> {
        let (url, tls) = Wanted::split(url)?;
        let mut config = Config::from_str(&url).map_err(|error| StoreError::BadUrl(describe(&error)))?;
        // Whatever the role or the server say by default: an acknowledged event is on disk.
        config
            .application_name("signalbox")
            .options("-c synchronous_commit=on")
            .ssl_mode(tls.driver_mode())
            .connect_timeout(Duration::from_secs(5));
        let manager =
            Manager::from_config(config, tls.connector()?, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let timeouts = Timeouts {
            wait: Some(Duration::from_secs(5)),
            create: Some(Duration::from_secs(5)),
            recycle: Some(Duration::from_secs(5)),
        };
        let pool = Pool::builder(manager)
            .max_size(connections)
            .timeouts(timeouts)
            .runtime(PoolRuntime::Tokio1)
            .build()
            .map_err(|error| StoreError::BadUrl(error.to_string()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("postgres")
            .enable_all()
            .build()
            .map_err(|error| StoreError::Io(error.to_string()))?;
        let engine = Self { runtime, pool };
        engine.refuse_privileges()?;
        Ok(engine)
    }

    /// A superuser would see every principal's rows whatever the policies say.
    fn refuse_privileges(&self) -> Result<(), StoreError> {
        const SQL: &str = "SELECT rolname::text, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user";
        let client = self.client()?;
        let row = self.block(async { client.query_one(SQL, &[]).await.map_err(|error| map_error(&error, SQL)) })?;
        if row.get::<_, bool>(1) { Err(StoreError::Privileged(row.get(0))) } else { Ok(()) }
    }

    pub(crate) fn block<F: Future>(&self, future: F) -> F::Output {
        self.runtime.handle().block_on(future)
    }

    pub(crate) fn client(&self) -> Result<Object, StoreError> {
        self.block(self.pool.get()).map_err(|error| {
            StoreError::Unreachable(match error {
                deadpool_postgres::PoolError::Backend(error) => describe(&error),
                other => other.to_string(),
            })
        })
    }

    pub(crate) fn run<T>(
        &self,
        write: bool,
        principals: &str,
        run: impl FnOnce(Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let lent = Lent(Some(self.client()?));
        let client = lent.0.as_ref().expect("it is lent until the end");
        let mode = if write { "READ WRITE" } else { "ISOLATION LEVEL REPEATABLE READ READ ONLY" };
        // The list holds digits and commas only.
        let opening = format!("BEGIN {mode}; SELECT set_config('app.principals', '{principals}', true)");
        let tx = Transaction { engine: self, client, opening: Some(opening) };
        let result = run(tx);
        let ending = if write && result.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = self.block(client.batch_execute(ending)).map_err(|error| map_error(&error, ending));
        if ended.is_ok() {
            lent.give_back();
        }
        let value = result?;
        ended.map(|()| value)
    }

    pub(crate) fn lock_migrations(tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        tx.each("SELECT 1::bigint FROM pg_advisory_xact_lock($1)", &[Value::Int(MIGRATION_LOCK)], &mut |_| Ok(()))
    }
}

/// A connection that goes back to the pool only when its transaction has ended: not after a panic or a lost answer.
struct Lent(Option<Object>);

impl Lent {
    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Object::take(client));
        }
    }
}

fn describe(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(database), _) => format!("{} ({})", database.message(), database.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

pub(crate) fn map_error(error: &tokio_postgres::Error, statement: &str) -> StoreError {
    let Some(database) = error.as_db_error() else {
        return StoreError::Unreachable(describe(error));
    };
    match database.code().code() {
        "53100" => StoreError::Full,
        "25006" => StoreError::ReadOnly,
        "55P03" | "40001" | "40P01" => StoreError::Busy,
        code if code.starts_with("XX") => StoreError::Corrupt(database.message().to_owned()),
        code if code.starts_with("57") || code.starts_with("08") || code.starts_with("53") => {
            StoreError::Unreachable(describe(error))
        }
        _ => StoreError::Sql { statement: statement.to_owned(), message: describe(error) },
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &PgType, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match *self {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(value) if *ty == PgType::INT4 => i32::try_from(value)?.to_sql(ty, out),
            Value::Int(value) if *ty == PgType::INT2 => i16::try_from(value)?.to_sql(ty, out),
            Value::Int(value) if *ty == PgType::FLOAT8 => (value as f64).to_sql(ty, out),
            Value::Int(value) => value.to_sql(ty, out),
            Value::Real(value) => value.to_sql(ty, out),
            Value::Text(value) => value.to_sql(ty, out),
            Value::Bytes(value) => value.to_sql(ty, out),
        }
    }

    fn accepts(_: &PgType) -> bool {
        true
    }

    to_sql_checked!();
}

fn as_params<'p>(params: &'p [Value<'p>]) -> Vec<&'p (dyn ToSql + Sync)> {
    params.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

fn as_array<'p>(column: &'p Column<'p>) -> &'p (dyn ToSql + Sync) {
    match column {
        Column::Ints(values) => values,
        Column::OptInts(values) => values,
        Column::Texts(values) => values,
        Column::OptTexts(values) => values,
        Column::Bytes(values) => values,
        Column::OptBytes(values) => values,
    }
}

/// `UNNEST($1::bigint[], …) AS k(k0, …)`
fn arrays(columns: &[Column<'_>]) -> String {
    let arrays =
        columns.iter().enumerate().map(|(number, column)| format!("${}::{}", number + 1, column.kind().array()));
    let names = (0..columns.len()).map(|number| format!("k{number}"));
    format!("UNNEST({}) AS k({})", arrays.collect::<Vec<_>>().join(", "), names.collect::<Vec<_>>().join(", "))
}

impl Transaction<'_> {
    fn rows(&mut self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        let opening = self.opening.take();
        let client = self.client;
        let result = self.engine.block(async {
            let statement = match client.prepare_cached(sql).await {
                Ok(statement) => statement,
                Err(error) => {
                    if let Some(opening) = &opening {
                        client.batch_execute(opening).await?;
                    }
                    return Err(error);
                }
            };
            match &opening {
                Some(opening) => {
                    let (opened, rows) = tokio::join!(client.batch_execute(opening), client.query(&statement, params));
                    opened.and(rows)
                }
                None => client.query(&statement, params).await,
            }
        });
        result.map_err(|error| map_error(&error, sql))
    }

    pub(crate) fn each(
        &mut self,
        sql: &str,
        params: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.rows(sql, &as_params(params))?.iter().try_for_each(|row| each(&Row::Postgres(row)))
    }

    pub(crate) fn execute(&mut self, sql: &str, params: &[Value<'_>]) -> Result<u64, StoreError> {
        self.open()?;
        let client = self.client;
        self.engine.block(async {
            let statement = client.prepare_cached(sql).await.map_err(|error| map_error(&error, sql))?;
            client.execute(&statement, &as_params(params)).await.map_err(|error| map_error(&error, sql))
        })
    }

    fn open(&mut self) -> Result<(), StoreError> {
        match self.opening.take() {
            Some(opening) => {
                self.engine.block(self.client.batch_execute(&opening)).map_err(|error| map_error(&error, &opening))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn lookup(
        &mut self,
        sql: &str,
        keys: &[Column<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let params: Vec<_> = keys.iter().map(as_array).collect();
        self.rows(&sql.replace("{keys}", &arrays(keys)), &params)?.iter().try_for_each(|row| each(&Row::Postgres(row)))
    }

    pub(crate) fn insert(
        &mut self,
        insert: &Insert,
        columns: &[Column<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let params: Vec<_> = columns.iter().map(as_array).collect();
        let sql = format!(
            "INSERT INTO {} ({}) SELECT * FROM {} {}{}",
            insert.table,
            insert.names(),
            arrays(columns),
            insert.conflict,
            insert.returning()
        );
        if insert.returning.is_empty() {
            self.open()?;
            let client = self.client;
            return self.engine.block(async {
                let statement = client.prepare_cached(&sql).await.map_err(|error| map_error(&error, &sql))?;
                client.execute(&statement, &params).await.map_err(|error| map_error(&error, &sql))
            });
        }
        let rows = self.rows(&sql, &params)?;
        rows.iter().try_for_each(|row| each(&Row::Postgres(row)))?;
        Ok(rows.len() as u64)
    }

    pub(crate) fn script(&mut self, sql: &str, name: &str) -> Result<(), StoreError> {
        self.open()?;
        self.engine.block(self.client.batch_execute(sql)).map_err(|error| map_error(&error, name))
    }

    /// Everything that a `COPY … TO STDOUT` says.
    pub(crate) fn copy_out(&mut self, sql: &str, out: &mut dyn std::io::Write) -> Result<(), StoreError> {
        use tokio_stream::StreamExt as _;
        self.open()?;
        let client = self.client;
        self.engine.block(async {
            let fail = |error: tokio_postgres::Error| map_error(&error, sql);
            let stream = client.copy_out(sql).await.map_err(fail)?;
            tokio::pin!(stream);
            while let Some(bytes) = stream.next().await {
                out.write_all(&bytes.map_err(fail)?).map_err(|error| StoreError::Io(error.to_string()))?;
            }
            Ok(())
        })
    }

    /// Feeds a `COPY … FROM STDIN`; says how many rows there were.
    pub(crate) fn copy_in(&mut self, sql: &str, from: &mut dyn std::io::Read) -> Result<u64, StoreError> {
        use futures_util::SinkExt as _;
        const CHUNK: usize = 1 << 16;
        self.open()?;
        let client = self.client;
        self.engine.block(async {
            let fail = |error: tokio_postgres::Error| map_error(&error, sql);
            let sink = client.copy_in::<_, bytes::Bytes>(sql).await.map_err(fail)?;
            tokio::pin!(sink);
            loop {
                let mut chunk = vec![0; CHUNK];
                let count = from.read(&mut chunk).map_err(|error| StoreError::Io(error.to_string()))?;
                if count == 0 {
                    return sink.finish().await.map_err(fail);
                }
                chunk.truncate(count);
                sink.send(chunk.into()).await.map_err(fail)?;
            }
        })
    }

    /// Streams a large result instead of holding it.
    pub(crate) fn stream(
        &mut self,
        sql: &str,
        params: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        use tokio_stream::StreamExt as _;
        self.open()?;
        let client = self.client;
        let params = as_params(params);
        self.engine.block(async {
            let fail = |error: tokio_postgres::Error| map_error(&error, sql);
            let statement = client.prepare_cached(sql).await.map_err(fail)?;
            let rows = client.query_raw(&statement, params).await.map_err(fail)?;
            tokio::pin!(rows);
            while let Some(row) = rows.next().await {
                each(&Row::Postgres(&row.map_err(fail)?))?;
            }
            Ok(())
        })
    }
}
