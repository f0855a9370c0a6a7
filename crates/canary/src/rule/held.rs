//! A limit that must be exceeded for a time before it counts: "> 1 % for 5m", "mean > 500ms for 5m".

use std::time::Duration;

use serde::{Deserialize, Serialize};
use signalbox_core::setting::Period;

use super::sliding::Sliding;
use crate::setting::share::{number, text_setting};
use crate::window::Tally;
use crate::words;

/// Longest stretch that one look is averaged over.
const LOOK_US: i64 = 60_000_000;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// The share of requests that fail.
    Errors(f64),
    /// The mean latency.
    Mean(Duration),
    /// The latency that this share of the requests does not exceed.
    Quantile(f64, Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(into = "String")]
pub struct Held {
    pub limit: Limit,
    pub hold: Duration,
}

text_setting!(Held, "a text such as \"> 1 % for 5m\" or \"mean > 500ms for 5m\"");

impl Held {
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{:?} is not a limit; write it as \"> 1 % for 5m\", \"mean > 500ms for 5m\" or \"p99 > 2s for 5m\"",
                words::short(text)
            )
        };
        let (what, rest) = text.split_once('>').ok_or_else(wrong)?;
        let (limit, hold) = rest.split_once(" for ").ok_or_else(wrong)?;
        let hold = hold.trim().parse::<Period>()?.0;
        if hold < Duration::from_secs(1) || hold > Duration::from_secs(7 * 86_400) {
            return Err("a limit is held for 1s to 7d".to_owned());
        }
        let what = what.trim();
        let limit = if what.is_empty() {
            let (percent, rest) = number(limit).ok_or_else(wrong)?;
            if rest != "%" || !(0.0..100.0).contains(&percent) {
                return Err(wrong());
            }
            Limit::Errors(percent / 100.0)
        } else {
            let latency = limit.trim().parse::<Period>()?.0;
            match what.strip_prefix('p') {
                _ if what == "mean" => Limit::Mean(latency),
                Some(quantile) => {
                    let quantile: f64 = quantile.parse().map_err(|_| wrong())?;
                    if !(quantile > 0.0 && quantile < 100.0) {
                        return Err(wrong());
                    }
                    Limit::Quantile(quantile / 100.0, latency)
                }
                None => return Err(wrong()),
            }
        };
        Ok(Self { limit, hold })
    }

    /// How often requests may exceed the bound, where the limit is a share of requests.
    fn allowed(&self) -> f64 {
        match self.limit {
            Limit::Errors(share) => share,
            Limit::Quantile(quantile, _) => 1.0 - quantile,
            Limit::Mean(_) => 0.0,
        }
    }

    fn what(&self) -> String {
        match self.limit {
            Limit::Errors(share) => format!("> {} %", words::plain(share * 100.0)),
            Limit::Mean(latency) => format!("mean > {}", words::period(latency)),
            Limit::Quantile(quantile, latency) => {
                format!("p{} > {}", words::plain(quantile * 100.0), words::period(latency))
            }
        }
    }
}

impl From<Held> for String {
    fn from(held: Held) -> Self {
        format!("{} for {}", held.what(), words::period(held.hold))
    }
}

/// Since when a limit is exceeded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Watch {
    held: Held,
    /// Events among requests; for a mean, microseconds among requests.
    recent: Sliding,
    since: Option<i64>,
    now: i64,
    tripped: bool,
}

impl Watch {
    pub(crate) fn new(held: Held) -> Self {
        let look = i64::try_from(held.hold.as_micros()).unwrap_or(i64::MAX).min(LOOK_US);
        Self { held, recent: Sliding::new(look), since: None, now: i64::MIN, tripped: false }
    }

    pub(crate) fn held(&self) -> &Held {
        &self.held
    }

    /// Takes in a window from `from` to `to`. A stretch without requests ends what was held: nothing is known of it.
    pub(crate) fn add(&mut self, from: i64, to: i64, tally: Tally) {
        // For a mean the events are microseconds, which may be more than the requests.
        self.recent.add(to, tally);
        self.now = self.now.max(to);
        match self.value() {
            Some(value) if value > self.bound() => {
                let since = *self.since.get_or_insert(from);
                let hold_us = i64::try_from(self.held.hold.as_micros()).unwrap_or(i64::MAX);
                self.tripped |= self.now.saturating_sub(since) >= hold_us;
            }
            _ => self.since = None,
        }
    }

    /// The present value: a share, or a mean in milliseconds.
    pub(crate) fn value(&self) -> Option<f64> {
        let Tally { events, trials } = self.recent.sum();
        (trials > 0).then(|| events as f64 / trials as f64)
    }

    /// What the value must not exceed.
    pub(crate) fn bound(&self) -> f64 {
        match self.held.limit {
            Limit::Mean(latency) => latency.as_micros() as f64 / MEAN_SCALE,
            _ => self.held.allowed(),
        }
    }

    pub(crate) fn tripped(&self) -> bool {
        self.tripped
    }

    /// For how long the limit has been exceeded up to now.
    pub(crate) fn exceeded_for(&self) -> Option<Duration> {
        let since = self.since?;
        Some(Duration::from_micros(u64::try_from(self.now.saturating_sub(since)).unwrap_or(0)))
    }
}

/// A mean is kept as a share of this many microseconds per request, so that sums stay tallies: an hour.
pub(crate) const MEAN_SCALE: f64 = 3.6e9;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn limits_are_read_and_written() {
        for (text, limit) in [
            ("> 1 % for 5m", Limit::Errors(0.01)),
            ("mean > 500ms for 5m", Limit::Mean(Duration::from_millis(500))),
            ("p99 > 2s for 5m", Limit::Quantile(0.99, Duration::from_secs(2))),
        ] {
            let held = Held::parse(text).unwrap();
            assert_eq!(held, Held { limit, hold: Duration::from_secs(300) });
            assert_eq!(String::from(held), text);
        }
        for wrong in [
            "",
            "1 %",
            "> 1 %",
            "> 1 for 5m",
            "> -1 % for 5m",
            "> 1 % for ever",
            "> 1 % for 0s",
            "median > 1s for 5m",
            "p0 > 1s for 5m",
            "p100 > 1s for 5m",
            "pNaN > 1s for 5m",
            "> NaN % for 5m",
            "mean > 5 for 5m",
            "mean > 500ms for 999d",
        ] {
            assert!(Held::parse(wrong).is_err(), "{wrong}");
        }
    }

    fn run(held: &str, seconds: impl Iterator<Item = (u64, u64)>) -> Option<i64> {
        let mut watch = Watch::new(Held::parse(held).unwrap());
        for (second, (events, trials)) in seconds.enumerate() {
            let from = second as i64 * SECOND;
            watch.add(from, from + SECOND, Tally::new(events, trials));
            if watch.tripped() {
                return Some(from / SECOND + 1);
            }
        }
        None
    }

    #[test]
    fn a_limit_counts_when_it_was_exceeded_for_its_time_and_not_before() {
        assert_eq!(run("> 1 % for 5m", std::iter::repeat_n((2, 100), 400)), Some(300));
        assert_eq!(run("> 1 % for 5m", std::iter::repeat_n((1, 100), 4_000)), None);
        let dips = (0..4_000).map(|second| if second % 299 < 230 { (2, 100) } else { (0, 100) });
        assert_eq!(run("> 1 % for 5m", dips), None);
    }

    #[test]
    fn silence_is_not_held() {
        let pauses = (0..4_000).map(|second| if second % 200 < 120 { (2, 100) } else { (0, 0) });
        assert_eq!(run("> 1 % for 5m", pauses), None);
    }
}
