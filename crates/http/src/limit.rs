//! How much one source may ask: a bucket per source and door (GCRA), tighter for sources with a bad record.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use rustc_hash::FxHashMap;
use signalbox_core::address::source_key;
use signalbox_core::time::{MINUTE, Micros, SECOND};

const SHARDS: usize = 16;
/// Sources remembered at once; the ones that are idle go first.
const MOST_SOURCES: usize = 200_000;
/// A bad record is halved every so often.
const FORGIVE: i64 = MINUTE;

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

#[derive(Debug, Clone, Copy)]
struct Source {
    /// Per door: when the bucket will be full again (the theoretical arrival time of GCRA).
    full_at: [i64; 2],
    blame: u32,
    blame_at: i64,
}

/// The limits of one process. An interface that a shared one can stand behind later.
pub struct Limiter {
    rates: Option<Rates>,
    exempt: Vec<IpNet>,
    shards: Vec<Mutex<FxHashMap<u128, Source>>>,
}

impl Limiter {
    /// Limits of `rates` (none: everything passes); the networks in `exempt` (known mail proxies) are never limited.
    pub fn new(rates: Option<Rates>, exempt: Vec<IpNet>) -> Self {
        Self { rates, exempt, shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    fn shard(&self, source: u128) -> MutexGuard<'_, FxHashMap<u128, Source>> {
        let mixed = (source ^ (source >> 64)) as u64;
        let number = (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as usize;
        self.shards[number % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more request of `client` is within its limit.
    pub fn admit(&self, door: Door, client: IpAddr, now: Micros) -> bool {
        let Some(rates) = self.rates else { return true };
        let client = client.to_canonical();
        if door == Door::Hit && self.exempt.iter().any(|network| network.contains(&client)) {
            return true;
        }
        let rate = match door {
            Door::Hit => rates.hit,
            Door::Api => rates.api,
        };
        let source = source_key(client);
        let mut shard = self.shard(source);
        let Some(entry) = entry(&mut shard, source, now) else { return true };
        entry.forgive(now);
        // Eight bad hits halve the rate, sixteen leave a third, and so on down to a hundredth.
        let strictness = i64::from(1 + entry.blame / 8).min(100);
        let step = SECOND * strictness / i64::from(rate.max(1));
        let full_at = entry.full_at[door as usize].max(now.0);
        if full_at - now.0 + step > SECOND {
            return false;
        }
        entry.full_at[door as usize] = full_at + step;
        true
    }

    /// Notes that `source` did something that honest clients do not do.
    pub fn blame(&self, source: u128, now: Micros) {
        if self.rates.is_none() {
            return;
        }
        let mut shard = self.shard(source);
        if let Some(entry) = entry(&mut shard, source, now) {
            entry.forgive(now);
            entry.blame = (entry.blame + 1).min(100_000);
        }
    }
}

fn entry(shard: &mut FxHashMap<u128, Source>, source: u128, now: Micros) -> Option<&mut Source> {
    if shard.len() >= MOST_SOURCES / SHARDS && !shard.contains_key(&source) {
        shard.retain(|_, entry| entry.full_at.iter().any(|at| *at > now.0) || entry.blame_at + FORGIVE > now.0);
        if shard.len() >= MOST_SOURCES / SHARDS {
            return None;
        }
    }
    Some(shard.entry(source).or_insert(Source { full_at: [0; 2], blame: 0, blame_at: now.0 }))
}

impl Source {
    fn forgive(&mut self, now: Micros) {
        let halvings = (now.0 - self.blame_at).max(0) / FORGIVE;
        if halvings > 0 {
            self.blame = self.blame.checked_shr(u32::try_from(halvings).unwrap_or(u32::MAX)).unwrap_or(0);
            self.blame_at = now.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = Micros(1_780_000_000_000_000);

    fn admitted(limiter: &Limiter, client: &str, at: Micros, tries: usize) -> usize {
        (0..tries).filter(|_| limiter.admit(Door::Hit, client.parse().unwrap(), at)).count()
    }

    #[test]
    fn a_source_gets_its_rate_and_no_more() {
        let limiter = Limiter::new(Some(Rates::default()), vec!["66.102.0.0/20".parse().unwrap()]);
        assert_eq!(admitted(&limiter, "192.0.2.1", NOW, 3000), 1000);
        assert_eq!(admitted(&limiter, "192.0.2.1", NOW.plus(SECOND / 2), 3000), 500);
        assert_eq!(admitted(&limiter, "192.0.2.2", NOW, 3000), 1000, "sources do not share");
        assert_eq!(admitted(&limiter, "66.102.1.1", NOW, 3000), 3000, "mail proxies are exempt");
        assert_eq!(
            admitted(&limiter, "2001:db8::1", NOW, 600) + admitted(&limiter, "2001:db8::2", NOW, 600),
            1000,
            "one /64 is one source"
        );
        assert_eq!(admitted(&Limiter::new(None, vec![]), "192.0.2.1", NOW, 3000), 3000);
    }

    #[test]
    fn a_bad_record_tightens_the_limit_and_fades() {
        let limiter = Limiter::new(Some(Rates::default()), vec![]);
        let bad = source_key("192.0.2.1".parse().unwrap());
        (0..72).for_each(|_| limiter.blame(bad, NOW));
        assert_eq!(admitted(&limiter, "192.0.2.1", NOW, 3000), 100);
        assert_eq!(admitted(&limiter, "192.0.2.1", NOW.plus(10 * FORGIVE), 3000), 1000);
    }

    #[test]
    fn memory_is_bounded() {
        let limiter = Limiter::new(Some(Rates::default()), vec![]);
        for source in 0..300_000_u128 {
            limiter.blame(source << 64, NOW);
        }
        assert!(limiter.shards.iter().map(|shard| shard.lock().unwrap().len()).sum::<usize>() <= MOST_SOURCES);
    }
}
