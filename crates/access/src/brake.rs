//! What slows guessing down: delays that double, per source, per account and source, and per account.
//!
//! An attempt is counted before it is checked, so that many at once gain nothing. While a delay runs, attempts are refused
//! and not counted, so that nobody can make it longer by knocking. The delay of an account as a whole is short and does not
//! hold for sources from which its user has signed in, so that no stranger can shut somebody out.
//! Unknown accounts are treated like known ones.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;
use signalbox_core::address::source_key;
use signalbox_core::time::{DAY, MINUTE, Micros, SECOND};
use signalbox_crypto::secret::hash_secret;
use signalbox_store::{Conn, Scope, Store, StoreError};

const MOST_SOURCES: usize = 100_000;

/// How fast a delay grows.
#[derive(Debug, Clone, Copy)]
struct Curve {
    /// Failures that cost nothing.
    free: i64,
    /// The longest delay.
    longest: i64,
}

const PER_SOURCE: Curve = Curve { free: 30, longest: 15 * MINUTE };
const PER_PAIR: Curve = Curve { free: 5, longest: 15 * MINUTE };
const PER_ACCOUNT: Curve = Curve { free: 20, longest: 30 * SECOND };
/// Failures are forgotten after this.
const FORGET: i64 = DAY;

/// Failures of one subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record {
    count: i64,
    at: i64,
}

impl Curve {
    /// Until when attempts are refused.
    fn until(self, record: Record) -> i64 {
        if record.count < self.free {
            return record.at;
        }
        let doublings = u32::try_from(record.count - self.free).unwrap_or(u32::MAX).min(20);
        record.at + (SECOND << doublings).min(self.longest)
    }

    /// The record after one more attempt at `now`, or how long to wait, in microseconds.
    fn attempt(self, record: Option<Record>, now: i64) -> Result<Record, i64> {
        let Some(mut record) = record else { return Ok(Record { count: 1, at: now }) };
        // A clock that was put back must not make anybody wait for it to catch up.
        record.at = record.at.min(now);
        if now - record.at >= FORGET {
            return Ok(Record { count: 1, at: now });
        }
        let until = self.until(record);
        if until > now { Err(until - now) } else { Ok(Record { count: record.count + 1, at: now }) }
    }
}

/// An attempt came too soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooSoon {
    /// Seconds to wait.
    pub retry_after_s: u32,
}

impl TooSoon {
    fn after(micros: i64) -> Self {
        Self { retry_after_s: u32::try_from(micros.div_euclid(SECOND) + 1).unwrap_or(u32::MAX) }
    }
}

/// The delays of one installation: those of sources in memory, those of accounts in the store.
pub struct Brake {
    store: Store,
    sources: Mutex<FxHashMap<u128, Record>>,
}

impl Brake {
    /// Delays over `store`.
    pub fn new(store: Store) -> Self {
        Self { store, sources: Mutex::default() }
    }

    /// Counts an attempt of `client` on `account` (any text that names it); refused while a delay runs.
    /// `known_here`: the account's owner has signed in from this source before.
    pub async fn attempt(
        &self,
        account: &str,
        client: IpAddr,
        known_here: bool,
        now: Micros,
    ) -> Result<Result<(), TooSoon>, StoreError> {
        if let Err(wait) = self.attempt_source(client, now) {
            return Ok(Err(wait));
        }
        let (pair, whole) = (pair(account, client), whole(account));
        self.store
            .write(Scope::all(), move |conn| {
                let found = (read(conn, &pair)?, read(conn, &whole)?);
                let next = match PER_PAIR.attempt(found.0, now.0) {
                    Ok(next) => next,
                    Err(wait) => return Ok(Err(TooSoon::after(wait))),
                };
                let next_whole = match PER_ACCOUNT.attempt(found.1, now.0) {
                    Ok(next) => Some(next),
                    Err(_) if known_here => None,
                    Err(wait) => return Ok(Err(TooSoon::after(wait))),
                };
                write(conn, &pair, next)?;
                if let Some(next) = next_whole {
                    write(conn, &whole, next)?;
                }
                let old = now.0 - FORGET;
                conn.execute("DELETE FROM sign_in_failure WHERE at < $1", &[old.into()])?;
                Ok(Ok(()))
            })
            .await
    }

    /// Takes back what an attempt counted, because it was good.
    pub async fn passed(&self, account: &str, client: IpAddr) -> Result<(), StoreError> {
        self.passed_source(client);
        let (pair, whole) = (pair(account, client), whole(account));
        self.store
            .write(Scope::all(), move |conn| {
                conn.execute("DELETE FROM sign_in_failure WHERE subject = $1", &[pair.as_slice().into()])?;
                conn.execute(
                    "UPDATE sign_in_failure SET count = count - 1 WHERE subject = $1 AND count > 0",
                    &[whole.as_slice().into()],
                )?;
                Ok(())
            })
            .await
    }

    /// Counts an attempt that names no account, for example with a one-time link.
    pub fn attempt_source(&self, client: IpAddr, now: Micros) -> Result<(), TooSoon> {
        let mut sources = self.lock();
        if sources.len() >= MOST_SOURCES {
            sources.retain(|_, record| PER_SOURCE.until(*record) > now.0);
            if sources.len() >= MOST_SOURCES {
                sources.clear();
            }
        }
        let key = source_key(client);
        let next = PER_SOURCE.attempt(sources.get(&key).copied(), now.0).map_err(TooSoon::after)?;
        sources.insert(key, next);
        Ok(())
    }

    /// Takes back what [`Brake::attempt_source`] counted, because it was good.
    pub fn passed_source(&self, client: IpAddr) {
        if let Some(record) = self.lock().get_mut(&source_key(client)) {
            record.count = (record.count - 1).max(0);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, FxHashMap<u128, Record>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pair(account: &str, client: IpAddr) -> [u8; 32] {
    hash_secret(&format!("pair\n{account}\n{:x}", source_key(client)))
}

fn whole(account: &str) -> [u8; 32] {
    hash_secret(&format!("account\n{account}"))
}

fn read(conn: &mut Conn<'_>, subject: &[u8; 32]) -> Result<Option<Record>, StoreError> {
    conn.first("SELECT count, at FROM sign_in_failure WHERE subject = $1", &[subject.as_slice().into()], |row| {
        Ok(Record { count: row.int(0)?, at: row.int(1)? })
    })
}

fn write(conn: &mut Conn<'_>, subject: &[u8; 32], record: Record) -> Result<u64, StoreError> {
    conn.execute(
        "INSERT INTO sign_in_failure (subject, count, at) VALUES ($1, $2, $3)
            ON CONFLICT (subject) DO UPDATE SET count = excluded.count, at = excluded.at",
        &[subject.as_slice().into(), record.count.into(), record.at.into()],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_limit_and_are_forgotten() {
        let curve = Curve { free: 2, longest: 10 * SECOND };
        let start = 1_780_000_000 * SECOND;
        let mut record = None;
        let mut now = start;
        let mut waits = Vec::new();
        for _ in 0..8 {
            record = Some(match curve.attempt(record, now) {
                Ok(next) => next,
                Err(wait) => {
                    waits.push(wait / SECOND);
                    now += wait;
                    curve.attempt(record, now).unwrap()
                }
            });
        }
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
        assert!(curve.attempt(record, now - DAY).is_err_and(|wait| wait <= 10 * SECOND), "the clock was put back");
        assert_eq!(curve.attempt(record, now + DAY).unwrap().count, 1);
    }

    #[test]
    fn knocking_does_not_make_a_delay_longer() {
        let curve = Curve { free: 0, longest: MINUTE };
        let record = Some(Record { count: 3, at: 0 });
        for now in 0..8 {
            assert_eq!(curve.attempt(record, now * SECOND), Err((8 - now) * SECOND));
        }
        assert!(curve.attempt(record, 8 * SECOND).is_ok());
    }
}
