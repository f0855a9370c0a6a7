use proptest::prelude::*;
use signalbox_core::clock::{Clock as _, ManualClock};

use super::*;

const NOW: Micros = Micros(1_780_000_000_000_000);

fn admitted(limiter: &Limiter, client: &str, at: Micros, tries: usize) -> usize {
    (0..tries).filter(|_| limiter.admit(Door::Hit, client.parse().unwrap(), at).is_ok()).count()
}

fn remembered(limiter: &Limiter) -> usize {
    let shards = limiter.shards.iter().map(|shard| shard.lock().unwrap());
    shards.map(|shard| shard.young.len() + shard.old.len()).sum()
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
    let bad = "192.0.2.1".parse().unwrap();
    (0..72).for_each(|_| limiter.blame(Fault::BadLink, bad, NOW));
    assert_eq!(admitted(&limiter, "192.0.2.1", NOW, 3000), 100);
    assert_eq!(admitted(&limiter, "192.0.2.1", NOW.plus(10 * HALF_LIFE), 3000), 1000);
    (0..1000).for_each(|_| limiter.blame(Fault::Unauthenticated, bad, NOW));
    let api = (0..100).filter(|_| limiter.admit(Door::Api, bad, NOW).is_ok()).count();
    assert_eq!(api, 1, "guessing credentials leaves one request per second");
}

#[test]
fn being_over_the_limit_does_not_make_it_tighter() {
    assert_eq!(Fault::of(StatusCode::TOO_MANY_REQUESTS), None);
    assert_eq!(Fault::of(StatusCode::OK), None);
    assert_eq!(Fault::of(StatusCode::SERVICE_UNAVAILABLE), None, "our fault, not theirs");
    assert_eq!(Fault::of(StatusCode::UNAUTHORIZED), Some(Fault::Unauthenticated));
}

#[test]
fn memory_is_bounded_with_a_million_sources() {
    let limiter = Limiter::new(Some(Rates::default()), vec![]);
    let address = |number: u128| IpAddr::from(std::net::Ipv6Addr::from((0x2001_0db8 << 96) | (number << 64)));
    let bad = "192.0.2.1".parse().unwrap();
    (0..200).for_each(|_| limiter.blame(Fault::BadLink, bad, NOW));
    for number in 0..1_000_000_u128 {
        let _ = limiter.admit(Door::Hit, address(number), NOW);
    }
    assert!(remembered(&limiter) <= MOST_SOURCES, "{} sources", remembered(&limiter));
    assert!(admitted(&limiter, "192.0.2.1", NOW, 3000) < 100, "a bad record outlives a flood of other sources");
    for number in 0..1_000_000_u128 {
        (0..2).for_each(|_| limiter.blame(Fault::Unauthenticated, address(number), NOW));
    }
    assert!(remembered(&limiter) <= MOST_SOURCES, "{} bad sources", remembered(&limiter));
    assert_eq!(admitted(&limiter, "192.0.2.77", NOW, 3000), 1000, "a new source has its rate all the same");
}

#[test]
fn a_clock_that_is_set_back_locks_nobody_out() {
    let limiter = Limiter::new(Some(Rates::default()), vec![]);
    assert_eq!(admitted(&limiter, "192.0.2.1", NOW.plus(24 * 60 * MINUTE), 3000), 1000);
    let back: usize = (1..=3).map(|second| admitted(&limiter, "192.0.2.1", NOW.plus(second * SECOND), 3000)).sum();
    assert!(back >= 2000, "{back}");
}

proptest! {
    /// Whatever a source does, it gets no more than its rate, and whoever waits as told is admitted.
    #[test]
    fn limits_hold_and_retry_after_is_right(
        rate in 1_u32..2000,
        steps in prop::collection::vec((0_i64..2 * SECOND, 0_u32..40, 1_usize..60), 1..40),
    ) {
        let limiter = Limiter::new(Some(Rates { hit: rate, api: rate }), vec![]);
        let clock = ManualClock::at(NOW);
        let client: IpAddr = "192.0.2.1".parse().unwrap();
        let mut passed = 0_u64;
        for (advance, faults, tries) in steps {
            clock.advance(advance);
            (0..faults).for_each(|_| limiter.blame(Fault::Unauthenticated, client, clock.now()));
            for _ in 0..tries {
                match limiter.admit(Door::Api, client, clock.now()) {
                    Ok(()) => passed += 1,
                    Err(wait) => {
                        prop_assert!(wait <= Duration::from_secs(101), "{wait:?}");
                        if wait > Duration::from_millis(100) {
                            // Faults fade while it waits, so a part of the time may do, but a tenth never does.
                            let tenth = clock.now().plus(i64::try_from(wait.as_micros()).unwrap() / 10);
                            prop_assert!(limiter.admit(Door::Api, client, tenth).is_err());
                        }
                        clock.advance(i64::try_from(wait.as_micros()).unwrap());
                        prop_assert!(limiter.admit(Door::Api, client, clock.now()).is_ok());
                        passed += 1;
                    }
                }
            }
            let seconds = (clock.now().0 - NOW.0) as f64 / SECOND as f64;
            let most = f64::from(rate) * (1.0 + seconds) + 1.0;
            prop_assert!(passed as f64 <= most, "{passed} in {seconds} s at {rate}/s");
        }
    }

    /// More faults never make the limit wider, and time alone makes it whole again.
    #[test]
    fn faults_tighten_and_time_heals(fewer in 0_u32..500, more in 0_u32..500) {
        let rates = Some(Rates { hit: 1000, api: 100 });
        let after = |faults: u32, at: Micros| {
            let limiter = Limiter::new(rates, vec![]);
            let client = "192.0.2.1".parse().unwrap();
            (0..faults).for_each(|_| limiter.blame(Fault::BadRequest, client, NOW));
            admitted(&limiter, "192.0.2.1", at, 1500)
        };
        prop_assert!(after(fewer + more, NOW) <= after(fewer, NOW));
        prop_assert!(after(fewer, NOW.plus(2 * MINUTE)) >= after(fewer, NOW));
        prop_assert_eq!(after(fewer + more, NOW.plus(12 * MINUTE)), 1000);
    }
}
