//! Load on staging: so many requests a second, sent when they are due and not when the last one was answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use signalbox_canary::histogram::Histogram;
use signalbox_core::setting::Period;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, sleep_until};

use crate::ask;
use crate::model::readiness::LoadTest;

const PATIENCE: Duration = Duration::from_secs(5);
/// So many may be under way at once; what is due beyond them failed.
const MOST: usize = 2_000;

#[derive(Default)]
struct Seen {
    failed: u64,
    why: String,
    latency: Histogram,
}

/// Sends the load and says how staging bore it.
pub(super) async fn run(address: SocketAddr, path: &str, per_second: u64, lasting: Duration) -> Borne {
    let url = format!("http://{address}{path}");
    let seen = Arc::new(Mutex::new(Seen::default()));
    let seats = Arc::new(Semaphore::new(MOST));
    let begun = Instant::now();
    let all = (lasting.as_secs_f64() * per_second as f64) as u64;
    for number in 0..all {
        let due = begun + Duration::from_secs_f64(number as f64 / per_second as f64);
        sleep_until(due).await;
        let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else {
            let mut seen = seen.lock().await;
            seen.failed += 1;
            seen.why = format!("{MOST} requests were under way and not answered");
            continue;
        };
        let (url, seen) = (url.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            let answer = ask::get(&url, PATIENCE).await;
            let took = due.elapsed();
            let mut seen = seen.lock().await;
            seen.latency.record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
            match answer {
                Ok(answer) if answer.status < 500 => (),
                Ok(answer) => (seen.failed, seen.why) = (seen.failed + 1, format!("status {}", answer.status)),
                Err(why) => (seen.failed, seen.why) = (seen.failed + 1, why),
            }
            drop(seat);
        });
    }
    let took = begun.elapsed();
    // Those that are under way.
    let _all = tokio::time::timeout(PATIENCE * 2, seats.acquire_many(MOST as u32)).await;
    let seen = seen.lock().await;
    let sent = all as f64 / took.as_secs_f64().max(1e-9);
    let quantile = |share| Period(Duration::from_micros(seen.latency.quantile_us(share).unwrap_or(0)));
    let test = LoadTest { requests_per_second: sent, p50: quantile(0.5), p99: quantile(0.99), failed: seen.failed };
    let said = format!("{} for {lasting:?}, {} failed", words(&test), seen.failed);
    let wrong = if seen.failed > 0 {
        Some(seen.why.clone())
    } else if sent < 0.95 * per_second as f64 {
        Some(format!("{per_second} were wanted, this machine could not send them"))
    } else {
        None
    };
    Borne { test, said, wrong }
}

/// How it went.
pub(super) struct Borne {
    pub test: LoadTest,
    pub said: String,
    /// Why it did not bear it.
    pub wrong: Option<String>,
}

/// `5000 requests/s, p50 1.2 ms, p99 6.1 ms`
pub(super) fn words(test: &LoadTest) -> String {
    let ms = |period: Period| period.0.as_secs_f64() * 1e3;
    format!("{:.0} requests/s, p50 {:.1} ms, p99 {:.1} ms", test.requests_per_second, ms(test.p50), ms(test.p99))
}
