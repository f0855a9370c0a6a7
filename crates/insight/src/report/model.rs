//! The shapes of reports.

use std::collections::BTreeMap;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_core::time::{DAY, HOUR, Micros};
use signalbox_events::kind::{Class, Kind};

use crate::projector::Span;

/// The most buckets that one series may have.
const MOST_BUCKETS: i64 = 2000;
/// 0001-01-01T00:00:00Z and 9999-12-01T00:00:00Z: beyond them instants, or the buckets around them, have no text.
const FIRST: Micros = Micros(-62_135_596_800_000_000);
const LAST: Micros = Micros(253_399_622_400_000_000);

/// Whole hours from `from` up to, not including, `to`. UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Range {
    pub from: Micros,
    pub to: Micros,
}

/// How finely a series is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Bucket {
    Hour,
    Day,
    Week,
}

/// Events and first events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct Counted {
    pub total: i64,
    /// First events: per recipient, campaign, kind, link and class.
    pub unique: i64,
}

/// Side by side, who it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct ByClass {
    pub human: Counted,
    pub privacy_proxy: Counted,
    pub machine: Counted,
}

/// The worth of conversions in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Conversion {
    pub currency: String,
    pub total: i64,
    /// Decimal, exact.
    pub value: String,
}

/// What happened in a stretch of time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct Totals {
    /// Per kind of event that is not judged.
    pub events: BTreeMap<&'static str, Counted>,
    pub opens: ByClass,
    pub clicks: ByClass,
}

/// One bucket of a series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Moment {
    pub start: Micros,
    #[serde(flatten)]
    pub totals: Totals,
}

impl FromStr for Bucket {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "hour" => Ok(Bucket::Hour),
            "day" => Ok(Bucket::Day),
            "week" => Ok(Bucket::Week),
            _ => Err(format!("bucket {word:?} is not one of hour, day, week")),
        }
    }
}

impl Bucket {
    /// Its length in microseconds.
    pub const fn micros(self) -> i64 {
        match self {
            Bucket::Hour => HOUR,
            Bucket::Day => DAY,
            Bucket::Week => 7 * DAY,
        }
    }

    /// What must be added so that buckets begin on the hour, at midnight, or on Monday (the epoch was a Thursday).
    pub const fn offset(self) -> i64 {
        match self {
            Bucket::Week => 3 * DAY,
            _ => 0,
        }
    }

    /// The start of the bucket that `at` lies in.
    pub fn start(self, at: Micros) -> Micros {
        Micros((at.0 + self.offset()).div_euclid(self.micros()) * self.micros() - self.offset())
    }
}

impl Range {
    /// From the hour of `from` up to the end of the hour of `to`, within the years that RFC 3339 can write.
    pub fn new(from: Micros, to: Micros) -> Result<Self, String> {
        if from >= to {
            return Err("from must be before to".into());
        }
        let (from, to) = (from.clamp(FIRST, Micros(LAST.0 - 1)), to.clamp(Micros(FIRST.0 + 1), LAST));
        Ok(Self { from: from.hour(), to: Micros(to.0 - 1).hour().plus(HOUR) })
    }

    /// The last `micros` up to and including the present hour.
    pub fn last(micros: i64, now: Micros) -> Self {
        let to = now.hour().plus(HOUR);
        Self { from: to.plus(-micros), to }
    }

    /// The same range, its whole days (UTC) apart from the hours before and after them.
    pub(super) fn parts(&self) -> Vec<(Span, Range)> {
        let (first, last) = (Micros(self.from.0 + DAY - 1).floor(DAY), self.to.floor(DAY));
        if first >= last {
            return vec![(Span::Hour, *self)];
        }
        let parts = [
            (Span::Hour, Range { from: self.from, to: first }),
            (Span::Day, Range { from: first, to: last }),
            (Span::Hour, Range { from: last, to: self.to }),
        ];
        parts.into_iter().filter(|(_, range)| range.from < range.to).collect()
    }

    /// The bucket that gives a readable number of points.
    pub fn usual_bucket(&self) -> Bucket {
        match self.to.0 - self.from.0 {
            length if length <= 8 * DAY => Bucket::Hour,
            length if length <= 366 * DAY => Bucket::Day,
            _ => Bucket::Week,
        }
    }

    /// Checks that a series over this range is not endless.
    pub fn check(&self, bucket: Bucket) -> Result<(), String> {
        if (self.to.0 - self.from.0) / bucket.micros() > MOST_BUCKETS {
            return Err(format!(
                "the range has more than {MOST_BUCKETS} buckets; choose a shorter range or a larger bucket"
            ));
        }
        Ok(())
    }
}

impl ByClass {
    fn of(&mut self, class: Class) -> Option<&mut Counted> {
        match class {
            Class::Unjudged => None,
            Class::Human => Some(&mut self.human),
            Class::PrivacyProxy => Some(&mut self.privacy_proxy),
            Class::Machine => Some(&mut self.machine),
        }
    }

    /// All classes together.
    pub fn all(&self) -> i64 {
        self.human.total + self.privacy_proxy.total + self.machine.total
    }
}

impl Totals {
    /// Adds counted events.
    pub fn add(&mut self, kind: Kind, class: Class, total: i64, unique: i64) {
        let counted = match kind {
            Kind::Opened => self.opens.of(class),
            Kind::Clicked => self.clicks.of(class),
            other => Some(self.events.entry(other.word()).or_default()),
        };
        if let Some(counted) = counted {
            counted.total += total;
            counted.unique += unique;
        }
    }

    /// The count of a kind that is not judged.
    pub fn of(&self, kind: Kind) -> Counted {
        self.events.get(kind.word()).copied().unwrap_or_default()
    }

    /// All events.
    pub fn all(&self) -> i64 {
        self.opens.all() + self.clicks.all() + self.events.values().map(|counted| counted.total).sum::<i64>()
    }
}

/// Millionths as a decimal number, exact.
pub(super) fn decimal(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let (whole, fraction) = (micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
    let fraction = format!("{fraction:06}");
    format!(
        "{sign}{whole}.{}",
        fraction.trim_end_matches('0').to_owned() + if fraction.ends_with("000000") { "0" } else { "" }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        assert_eq!(decimal(12_500_000), "12.5");
        assert_eq!(decimal(-1), "-0.000001");
        assert_eq!(decimal(3_000_000), "3.0");
    }

    #[test]
    fn weeks_begin_on_monday() {
        let wednesday: Micros = "2026-05-06T13:00:00Z".parse().unwrap();
        assert_eq!(Bucket::Week.start(wednesday), "2026-05-04T00:00:00Z".parse().unwrap());
        assert_eq!(Bucket::Day.start(wednesday), "2026-05-06T00:00:00Z".parse().unwrap());
    }

    #[test]
    fn a_long_range_is_mostly_days() {
        let of = |from: i64, to: i64| Range { from: Micros(from * HOUR), to: Micros(to * HOUR) }.parts();
        let (hour, day) = (Span::Hour, Span::Day);
        let part = |span, from: i64, to: i64| (span, Range { from: Micros(from * HOUR), to: Micros(to * HOUR) });
        assert_eq!(of(24, 72), [part(day, 24, 72)]);
        assert_eq!(of(23, 73), [part(hour, 23, 24), part(day, 24, 72), part(hour, 72, 73)]);
        assert_eq!(of(25, 71), [part(hour, 25, 71)]);
        assert_eq!(of(25, 72), [part(hour, 25, 48), part(day, 48, 72)]);
        assert_eq!(of(-30, 1), [part(hour, -30, -24), part(day, -24, 0), part(hour, 0, 1)]);
    }

    #[test]
    fn ranges_are_whole_hours() {
        let at = |text: &str| text.parse::<Micros>().unwrap();
        let range = Range::new(at("2026-05-06T13:20:00Z"), at("2026-05-06T14:00:00Z")).unwrap();
        assert_eq!((range.from, range.to), (at("2026-05-06T13:00:00Z"), at("2026-05-06T14:00:00Z")));
        assert!(Range::new(at("2026-05-06T13:20:00Z"), at("2026-05-06T13:20:00Z")).is_err());
        let all = Range::new(at("0000-01-01T00:00:00+23:00"), at("9999-12-30T22:00:00Z")).unwrap();
        assert_eq!(all.from.to_string(), "0001-01-01T00:00:00.000000Z");
        assert_eq!(all.to.to_string(), "9999-12-01T00:00:00.000000Z");
        let early = Range::new(at("0000-01-01T00:00:00Z"), at("0000-01-01T00:00:01Z")).unwrap();
        assert!(early.from < early.to, "{early:?}");
    }
}
