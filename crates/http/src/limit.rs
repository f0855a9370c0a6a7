//! How much one source may ask: a bucket per source and door (GCRA), tighter for sources with a bad record.
//! A record is halved every minute, so that whoever stops misbehaving has the whole rate again soon.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use ipnet::IpNet;
use rustc_hash::FxHashMap;
use signalbox_core::address::source_key;
use signalbox_core::time::{MINUTE, Micros, SECOND};

const SHARDS: usize = 16;
/// Sources remembered at once, and of these at most so many that are kept for their record alone.
const MOST_SOURCES: usize = 200_000;
const MOST_KEPT: usize = MOST_SOURCES / 4;
/// A bad record is halved in this time.
const HALF_LIFE: i64 = MINUTE;
/// The worst record: at a rate of a thousandth of the usual one.
const MOST_BLAME: f32 = 8000.0;
/// Blame that halves the rate; twice as much leaves a third, and so on.
const HALVING_BLAME: f32 = 8.0;
const MOST_STRICTNESS: f32 = 100.0;

/// Which limit applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Pixels and clicks.
    Hit,
    /// The API and pages.
    Api,
}

/// Requests per second and source.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    pub hit: u32,
    pub api: u32,
}

impl Default for Rates {
    fn default() -> Self {
        Self { hit: 1000, api: 100 }
    }
}

/// What honest clients seldom do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A link that was never signed here.
    BadLink,
    /// Credentials that are not good.
    Unauthenticated,
    /// A request that is not valid, not allowed, or for what is not there.
    BadRequest,
}

impl Fault {
    /// The fault that an answer tells of. Being over the limit is none: that would never end.
    pub fn of(status: StatusCode) -> Option<Self> {
        match status.as_u16() {
            401 => Some(Self::Unauthenticated),
            400 | 403 | 404 | 405 | 406 | 408 | 411 | 413 | 414 | 415 | 421 | 422 | 431 => Some(Self::BadRequest),
            _ => None,
        }
    }

    fn weight(self) -> f32 {
        match self {
            Self::BadLink | Self::BadRequest => 1.0,
            Self::Unauthenticated => 4.0,
        }
    }
}

/// Limits of one process or of many. Answers come at once, because pixels wait for them: what shares its state with other
/// processes does so behind its own back.
pub trait Limits: Send + Sync {
    /// Whether one more request of `client` is within its limit; if not, after how long one will be.
    fn admit(&self, door: Door, client: IpAddr, now: Micros) -> Result<(), Duration>;

    /// Notes a fault of `client`.
    fn blame(&self, fault: Fault, client: IpAddr, now: Micros);
}

/// The limits of this process.
pub struct Limiter {
    rates: Option<Rates>,
    exempt: Vec<IpNet>,
    shards: Vec<Mutex<Shard>>,
}

/// Sources in two generations: the older one goes as a whole when the younger one is full.
#[derive(Default)]
struct Shard {
    young: FxHashMap<u128, Source>,
    old: FxHashMap<u128, Source>,
}

#[derive(Debug, Clone, Copy)]
struct Source {
    /// Per door: when the bucket will be full again (the theoretical arrival time of GCRA).
    full_at: [i64; 2],
    blame: f32,
    blame_at: i64,
}

impl Limiter {
    /// Limits of `rates` (none: everything passes); the networks in `exempt` (known mail proxies) are never limited on hits.
    pub fn new(rates: Option<Rates>, exempt: Vec<IpNet>) -> Self {
        Self { rates, exempt, shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    fn shard(&self, source: u128) -> MutexGuard<'_, Shard> {
        let mixed = (source ^ (source >> 64)) as u64;
        let number = (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as usize;
        self.shards[number % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_exempt(&self, client: IpAddr) -> bool {
        self.exempt.iter().any(|network| network.contains(&client))
    }
}

impl Limits for Limiter {
    fn admit(&self, door: Door, client: IpAddr, now: Micros) -> Result<(), Duration> {
        let Some(rates) = self.rates else { return Ok(()) };
        let client = client.to_canonical();
        if door == Door::Hit && self.is_exempt(client) {
            return Ok(());
        }
        let rate = match door {
            Door::Hit => rates.hit,
            Door::Api => rates.api,
        };
        let source = source_key(client);
        self.shard(source).entry(source, now).take(door, rate, now)
    }

    fn blame(&self, fault: Fault, client: IpAddr, now: Micros) {
        let client = client.to_canonical();
        if self.rates.is_none() || self.is_exempt(client) {
            return;
        }
        let source = source_key(client);
        let mut shard = self.shard(source);
        let entry = shard.entry(source, now);
        entry.forgive(now);
        entry.blame = (entry.blame + fault.weight()).min(MOST_BLAME);
    }
}

impl Shard {
    fn entry(&mut self, source: u128, now: Micros) -> &mut Source {
        if !self.young.contains_key(&source) {
            if self.young.len() >= MOST_SOURCES / SHARDS / 2 {
                self.turn(now);
            }
            let known = self.old.remove(&source);
            self.young.insert(source, known.unwrap_or(Source { full_at: [0; 2], blame: 0.0, blame_at: now.0 }));
        }
        self.young.get_mut(&source).expect("it was put there")
    }

    /// The young become the old. Of the old ones those with a bad record stay young, as far as there is room:
    /// nobody gets a clean record by sending from many addresses.
    fn turn(&mut self, now: Micros) {
        let old = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        let bad = old.into_iter().filter(|(_, source)| {
            let mut source = *source;
            source.forgive(now);
            source.blame >= HALVING_BLAME
        });
        self.young.extend(bad.take(MOST_KEPT / SHARDS));
    }
}

impl Source {
    fn take(&mut self, door: Door, rate: u32, now: Micros) -> Result<(), Duration> {
        self.forgive(now);
        let strictness = (1.0 + self.blame / HALVING_BLAME).min(MOST_STRICTNESS);
        let step = (SECOND as f64 / f64::from(rate.max(1)) * f64::from(strictness)) as i64;
        // A second's worth at once, and never less than one request.
        let burst = SECOND.max(step);
        // A clock that was set back must not lock anybody out.
        let full_at = self.full_at[door as usize].clamp(now.0, now.0.saturating_add(burst));
        let wait = full_at.saturating_add(step) - now.0 - burst;
        if wait > 0 {
            self.full_at[door as usize] = full_at;
            return Err(Duration::from_micros(wait.unsigned_abs()));
        }
        self.full_at[door as usize] = full_at.saturating_add(step);
        Ok(())
    }

    fn forgive(&mut self, now: Micros) {
        let passed = (now.0.saturating_sub(self.blame_at)).max(0);
        if self.blame > 0.0 && passed > 0 {
            self.blame *= (-(passed as f32) / HALF_LIFE as f32).exp2();
            if self.blame < 0.5 {
                self.blame = 0.0;
            }
        }
        self.blame_at = now.0;
    }
}

#[cfg(test)]
mod tests;
