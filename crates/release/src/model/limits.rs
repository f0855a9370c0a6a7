//! Limits and policies as the manifest writes them: `+0.5 points`, `> 1 % for 5m`, `50 % of 20 requests`,
//! `hold 15m, then roll back`. They are read here and judged by `signalbox-canary`, whose settings they become.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use signalbox_core::setting::Period;

use super::text::written_as_text;

/// How much worse than the old version is too much; the sign says which way is worse.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Allowance {
    /// `+0.5 points`: percentage points, for shares.
    Points(f64),
    /// `-5 %`: of the old version's value.
    Relative(f64),
}

/// `> 1 % for 5m`, `mean > 500ms for 5m`: a bound, and how long it has to be crossed without a break.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// Of latencies; other measurements have none.
    pub statistic: Option<Statistic>,
    pub side: Side,
    pub bound: Bound,
    pub held: Period,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    Mean,
    P50,
    P90,
    P95,
    P99,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Above,
    Below,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    Percent(f64),
    Latency(Period),
}

/// `50 % of 20 requests`: trips at once when that share of the last requests failed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Breaker {
    pub percent: f64,
    pub requests: u32,
}

/// `> 20 % in 30m`: memory that grew by that much within that time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    pub percent: f64,
    pub within: Period,
}

/// `3 failures`: so many failed health checks in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures(pub u32);

/// `unreachable for 30s`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreachable(pub Period);

/// What happens when nothing can be decided: never a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How much longer to wait for a decision.
    pub hold: Option<Period>,
    pub then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    RollBack,
    /// Waits for a person, at the weight that it has.
    Pause,
}

/// A trigger, or `off`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trigger<T> {
    On(T),
    Off,
}

impl<T> Trigger<T> {
    /// The trigger, where it is on.
    pub fn on(&self) -> Option<&T> {
        match self {
            Trigger::On(trigger) => Some(trigger),
            Trigger::Off => None,
        }
    }
}

impl Threshold {
    /// A bound on latencies.
    pub fn is_latency(&self) -> bool {
        matches!(self.bound, Bound::Latency(_))
    }
}

impl Policy {
    /// How long it waits before it acts.
    pub fn waits(&self) -> Period {
        self.hold.unwrap_or_default()
    }
}

fn number(text: &str) -> Option<f64> {
    // "inf", "nan" and "1e9" are numbers to Rust and slips here.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse::<f64>().ok().filter(|number| digits && number.is_finite())
}

fn percent(text: &str) -> Option<f64> {
    number(text.trim().strip_suffix('%')?.trim_end())
}

/// `5m`, and nothing that lasts no time.
fn some_time(text: &str) -> Option<Period> {
    text.trim().parse::<Period>().ok().filter(|period| !period.0.is_zero())
}

impl FromStr for Allowance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} does not say how much worse is too much; write +0.5 points, +20 % or -5 %, the sign says which way is worse"
            )
        };
        let text = text.trim();
        let (sign, rest) = match text.split_at_checked(1) {
            Some(("+", rest)) => (1.0, rest.trim()),
            Some(("-", rest)) => (-1.0, rest.trim()),
            _ => return Err(wrong()),
        };
        let points = rest.strip_suffix("points").or_else(|| rest.strip_suffix("point")).map(str::trim_end);
        let (value, made): (_, fn(f64) -> Self) = match points {
            Some(points) => (number(points), Self::Points),
            None => (percent(rest), Self::Relative),
        };
        // Nobody can lose more than everything.
        let value = value.filter(|value| *value > 0.0 && (sign > 0.0 || *value <= 100.0)).ok_or_else(wrong)?;
        Ok(made(sign * value))
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Allowance::Points(points) => write!(out, "{points:+} points"),
            Allowance::Relative(percent) => write!(out, "{percent:+} %"),
        }
    }
}

const STATISTICS: [(&str, Statistic); 5] = [
    ("mean", Statistic::Mean),
    ("p50", Statistic::P50),
    ("p90", Statistic::P90),
    ("p95", Statistic::P95),
    ("p99", Statistic::P99),
];

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not a threshold; write > 1 % for 5m, or for latencies mean > 500ms for 5m (mean, p50, p90, p95, p99)"
            )
        };
        let (condition, held) = text.rsplit_once(" for ").ok_or_else(wrong)?;
        let at = condition.find(['>', '<']).ok_or_else(wrong)?;
        let side = if condition.as_bytes()[at] == b'>' { Side::Above } else { Side::Below };
        let word = condition[..at].trim();
        let statistic = STATISTICS.iter().find(|(name, _)| *name == word).map(|(_, statistic)| *statistic);
        let value = &condition[at + 1..];
        let bound = match percent(value) {
            Some(percent) if percent <= 100.0 => Bound::Percent(percent),
            Some(_) => return Err(wrong()),
            None => Bound::Latency(some_time(value).ok_or_else(wrong)?),
        };
        let fits = match bound {
            Bound::Percent(_) => word.is_empty(),
            Bound::Latency(_) => statistic.is_some(),
        };
        let held = some_time(held).filter(|_| fits).ok_or_else(wrong)?;
        Ok(Self { statistic, side, bound, held })
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = STATISTICS.iter().find(|(_, statistic)| Some(*statistic) == self.statistic) {
            write!(out, "{name} ")?;
        }
        let sign = if self.side == Side::Above { '>' } else { '<' };
        match self.bound {
            Bound::Percent(percent) => write!(out, "{sign} {percent} % for {}", self.held),
            Bound::Latency(period) => write!(out, "{sign} {period} for {}", self.held),
        }
    }
}

impl FromStr for Breaker {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a breaker; write 50 % of 20 requests");
        let (share, requests) = text.split_once(" of ").ok_or_else(wrong)?;
        let requests = requests.trim().strip_suffix("requests").ok_or_else(wrong)?.trim_end();
        let percent = percent(share).filter(|share| *share > 0.0 && *share <= 100.0).ok_or_else(wrong)?;
        let requests = requests.parse().ok().filter(|count| (2..=1_000_000).contains(count)).ok_or_else(wrong)?;
        Ok(Self { percent, requests })
    }
}

impl fmt::Display for Breaker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} % of {} requests", self.percent, self.requests)
    }
}

impl FromStr for Growth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a growth of memory; write > 20 % in 30m");
        let (share, within) = text.rsplit_once(" in ").ok_or_else(wrong)?;
        let share = share.trim().strip_prefix('>').and_then(percent).filter(|share| *share > 0.0);
        let within = some_time(within);
        share.zip(within).map(|(percent, within)| Self { percent, within }).ok_or_else(wrong)
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "> {} % in {}", self.percent, self.within)
    }
}

impl FromStr for Failures {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let count = text.trim().strip_suffix("failures").or_else(|| text.trim().strip_suffix("failure"));
        let count = count.and_then(|count| count.trim().parse().ok()).filter(|count| (1..=1000).contains(count));
        count.map(Self).ok_or_else(|| format!("{text:?} is not a number of failed health checks; write 3 failures"))
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.0, if self.0 == 1 { "failure" } else { "failures" })
    }
}

impl FromStr for Unreachable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let period = text.trim().strip_prefix("unreachable for ").and_then(some_time);
        period.map(Self).ok_or_else(|| format!("{text:?} is not a time without database; write unreachable for 30s"))
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "unreachable for {}", self.0)
    }
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not a policy; write hold 15m, then roll back; hold 15m, then pause; roll back; or pause"
            )
        };
        let (hold, then) = match text.trim().strip_prefix("hold ") {
            Some(rest) => {
                let (period, then) = rest.split_once(',').ok_or_else(wrong)?;
                let then = then.trim_start().strip_prefix("then ").ok_or_else(wrong)?;
                (Some(some_time(period).ok_or_else(wrong)?), then.trim())
            }
            None => (None, text.trim()),
        };
        match then {
            "roll back" => Ok(Self { hold, then: Then::RollBack }),
            "pause" => Ok(Self { hold, then: Then::Pause }),
            "pass" | "promote" | "go on" => {
                Err(format!("{text:?}: what could not be decided is never a pass; write roll back or pause"))
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(hold) = self.hold {
            write!(out, "hold {hold}, then ")?;
        }
        out.write_str(if self.then == Then::RollBack { "roll back" } else { "pause" })
    }
}

impl<T: FromStr<Err = String>> FromStr for Trigger<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "off" {
            return Ok(Trigger::Off);
        }
        text.parse().map(Trigger::On).map_err(|error| format!("{error}; or off"))
    }
}

impl<T: fmt::Display> fmt::Display for Trigger<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trigger::On(trigger) => trigger.fmt(out),
            Trigger::Off => out.write_str("off"),
        }
    }
}

written_as_text!(
    Allowance,
    "Allowance",
    "How much worse than the old version is too much; the sign says which way is worse.",
    "+0.5 points"
);
written_as_text!(Policy, "Policy", "What happens when nothing can be decided.", "hold 15m, then roll back");
written_as_text!(Trigger<Threshold>, "ThresholdTrigger", "A bound and how long it is crossed, or off.", "> 1 % for 5m");
written_as_text!(
    Trigger<Breaker>,
    "BreakerTrigger",
    "A share of the last requests that failed, or off.",
    "50 % of 20 requests"
);
written_as_text!(Trigger<Growth>, "GrowthTrigger", "Memory that grew by that much, or off.", "> 20 % in 30m");
written_as_text!(Trigger<Failures>, "FailuresTrigger", "Failed health checks in a row, or off.", "3 failures");
written_as_text!(
    Trigger<Unreachable>,
    "UnreachableTrigger",
    "How long the database is away, or off.",
    "unreachable for 30s"
);

#[cfg(test)]
mod tests {
    use super::*;

    /// Good texts read back as they are written; wrong ones are refused.
    fn check<T: FromStr<Err = String> + fmt::Display>(good: &[&str], wrong: &[&str]) {
        for text in good {
            assert_eq!(text.parse::<T>().map(|value| value.to_string()), Ok((*text).to_owned()));
        }
        for text in wrong {
            assert!(text.parse::<T>().is_err(), "{text}");
        }
    }

    #[test]
    fn limits_read_back_as_they_are_written() {
        check::<Allowance>(
            &["+0.5 points", "-5 %", "+20 %", "+200 %"],
            &["", "5 %", "+5", "+0 %", "-101 %", "+inf %", "+nan points", "worse", "+1e3 %", "é"],
        );
        check::<Threshold>(
            &["> 1 % for 5m", "mean > 500ms for 5m", "p99 > 2s for 1m", "< 95 % for 10m"],
            &[
                "> 1 %",
                "1 % for 5m",
                "> 500ms for 5m",
                "mean > 1 % for 5m",
                "p42 > 1s for 5m",
                "> 101 % for 5m",
                "> 1 % for 0s",
            ],
        );
        check::<Breaker>(
            &["50 % of 20 requests"],
            &["50 %", "50 of 20 requests", "0 % of 20 requests", "50 % of 1 requests", "50 % of x requests"],
        );
        check::<Growth>(&["> 20 % in 30m"], &["20 % in 30m", "> 20 %", "> 0 % in 30m"]);
        check::<Failures>(&["3 failures", "1 failure"], &["3", "0 failures", "-1 failures"]);
        check::<Unreachable>(&["unreachable for 30s"], &["30s", "unreachable", "unreachable for 0s"]);
        check::<Policy>(
            &["hold 15m, then roll back", "hold 15m, then pause", "roll back", "pause"],
            &["", "hold 15m", "hold, then pause", "hold 0s, then pause", "hold 15m, then pass", "pass"],
        );
        check::<Trigger<Failures>>(&["off", "3 failures"], &["on"]);
    }

    #[test]
    fn what_cannot_be_decided_never_passes() {
        assert!("hold 15m, then pass".parse::<Policy>().unwrap_err().contains("never a pass"));
    }
}
