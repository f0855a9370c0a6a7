//! The instant breaker: so many of the last few requests failed that nobody waits for statistics.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::setting::share::{number, text_setting};
use crate::window::Tally;
use crate::words;

/// Opens when at least `share` of the last `requests` (or a few more: whole windows) failed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(into = "String")]
pub struct Breaker {
    pub share: f64,
    pub requests: u64,
}

text_setting!(Breaker, "a text such as \"50 % of 20 requests\"");

impl Breaker {
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{:?} is not a breaker; write it as \"50 % of 20 requests\"", words::short(text));
        let (share, rest) = number(text).ok_or_else(wrong)?;
        let rest = rest.strip_prefix('%').ok_or_else(wrong)?.trim_start();
        let rest = rest.strip_prefix("of").filter(|rest| rest.starts_with(' ')).ok_or_else(wrong)?;
        let count = rest.trim().strip_suffix("requests").or_else(|| rest.trim().strip_suffix("request"));
        let requests: u64 = count.and_then(|count| count.trim().parse().ok()).ok_or_else(wrong)?;
        if !(share > 0.0 && share <= 100.0) {
            return Err(format!("a breaker opens between 0 and 100 %, not at {share} %"));
        }
        if !(2..=1_000_000).contains(&requests) {
            return Err(format!("a breaker looks at 2 to 1,000,000 requests, not at {requests}"));
        }
        Ok(Self { share: share / 100.0, requests })
    }
}

impl From<Breaker> for String {
    fn from(breaker: Breaker) -> Self {
        let share = words::plain(breaker.share * 100.0);
        format!("{share} % of {} requests", breaker.requests)
    }
}

/// The last windows that hold the requests a breaker looks at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Watch {
    breaker: Breaker,
    recent: VecDeque<Tally>,
    sum: Tally,
    open: Option<Tally>,
}

impl Watch {
    pub(crate) fn new(breaker: Breaker) -> Self {
        Self { breaker, recent: VecDeque::new(), sum: Tally::default(), open: None }
    }

    pub(crate) fn add(&mut self, tally: Tally) {
        if tally.trials == 0 {
            return;
        }
        self.recent.push_back(tally);
        self.sum.add(tally);
        while let Some(oldest) = self.recent.front()
            && self.sum.trials - oldest.trials >= self.breaker.requests
        {
            self.sum = Tally { events: self.sum.events - oldest.events, trials: self.sum.trials - oldest.trials };
            self.recent.pop_front();
        }
        let share = self.sum.events as f64 / self.sum.trials as f64;
        if self.open.is_none() && self.sum.trials >= self.breaker.requests && share >= self.breaker.share {
            self.open = Some(self.sum);
        }
    }

    /// The requests that opened it. It stays open.
    pub(crate) fn open(&self) -> Option<Tally> {
        self.open
    }

    /// How many requests it has to look at.
    pub(crate) fn seen(&self) -> u64 {
        self.sum.trials
    }

    pub(crate) fn breaker(&self) -> &Breaker {
        &self.breaker
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breakers_are_read_and_written() {
        for text in ["50 % of 20 requests", "50% of 20 requests", " 50 %  of 20  requests "] {
            let breaker = Breaker::parse(text).unwrap();
            assert_eq!(breaker, Breaker { share: 0.5, requests: 20 });
            assert_eq!(String::from(breaker), "50 % of 20 requests");
        }
        for wrong in [
            "",
            "50",
            "50 % 20 requests",
            "0 % of 20 requests",
            "101 % of 20 requests",
            "NaN % of 20 requests",
            "50 % of 1 requests",
            "50 % of -3 requests",
            "50 % of20 requests",
            "50 % of 99999999999999999999 requests",
        ] {
            assert!(Breaker::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn it_opens_on_the_last_requests_whatever_came_before() {
        let mut watch = Watch::new(Breaker { share: 0.5, requests: 20 });
        (0..1_000).for_each(|_| watch.add(Tally::new(0, 10)));
        watch.add(Tally::new(9, 10));
        assert_eq!(watch.open(), None);
        watch.add(Tally::new(1, 10));
        assert_eq!(watch.open(), Some(Tally::new(10, 20)));
        (0..1_000).for_each(|_| watch.add(Tally::new(0, 10)));
        assert_eq!(watch.open(), Some(Tally::new(10, 20)));
    }

    #[test]
    fn nineteen_failures_do_not_open_what_looks_at_twenty() {
        let mut watch = Watch::new(Breaker { share: 0.5, requests: 20 });
        (0..19).for_each(|_| watch.add(Tally::new(1, 1)));
        assert_eq!(watch.open(), None);
        watch.add(Tally::new(0, 1));
        assert_eq!(watch.open(), Some(Tally::new(19, 20)));
    }
}
