//! Numbers, times and ranges as pages write them.

use signalbox_core::time::{DAY, HOUR, Micros};

use super::context::{Moment, RangeLink};
use crate::report::{Bucket, Range};

/// `12,412`
pub(super) fn number(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0 { format!("−{text}") } else { text }
}

/// `31.2 %`; nothing where there is no base to compare with.
pub(super) fn percent(part: i64, whole: i64) -> Option<String> {
    (whole > 0).then(|| format!("{:.1} %", part as f64 * 100.0 / whole as f64))
}

/// `+12 %` against what was before, when both are large enough to mean something.
pub(super) fn trend(now: i64, before: i64) -> Option<String> {
    if now < 10 || before < 10 {
        return None;
    }
    let change = (now - before) as f64 * 100.0 / before as f64;
    let sign = if change < 0.0 { "−" } else { "+" };
    Some(format!("{sign}{:.0} %", change.abs()))
}

pub(super) fn format(at: Micros, pattern: &str) -> String {
    jiff::Timestamp::from_microsecond(at.0).map(|instant| instant.strftime(pattern).to_string()).unwrap_or_default()
}

pub(super) fn moment(at: Micros) -> Moment {
    Moment { iso: at.to_string(), label: format(at, "%-d %b, %H:%M UTC") }
}

/// The ranges that pages offer: the word in the address, the label, the length.
pub(super) const RANGES: [(&str, &str, i64); 4] =
    [("24h", "24 hours", DAY), ("7d", "7 days", 7 * DAY), ("30d", "30 days", 30 * DAY), ("90d", "90 days", 90 * DAY)];

/// What the address asks for, 24 hours unless it says otherwise; and the one before it, for trends.
pub(super) struct Chosen {
    pub(super) range: Range,
    pub(super) before: Range,
    pub(super) bucket: Bucket,
    pub(super) links: Vec<RangeLink>,
    pub(super) label: String,
}

pub(super) fn choose(word: Option<&str>, now: Micros) -> Chosen {
    let (chosen, _, length) = *RANGES.iter().find(|(known, ..)| Some(*known) == word).unwrap_or(&RANGES[0]);
    let range = Range::last(length, now);
    let last = range.to.plus(-HOUR);
    let label = format!("{} to {}, UTC", format(range.from, "%-d %b"), format(last, "%-d %b %Y"));
    Chosen {
        range,
        before: Range { from: range.from.plus(-length), to: range.from },
        bucket: if length > 7 * DAY { Bucket::Day } else { Bucket::Hour },
        links: RANGES
            .iter()
            .map(|(word, label, _)| RangeLink {
                label: (*label).into(),
                href: format!("?range={word}"),
                current: *word == chosen,
            })
            .collect(),
        label,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567, -1234].map(number), ["0", "999", "1,000", "1,234,567", "−1,234"]);
        assert_eq!(percent(1, 3).as_deref(), Some("33.3 %"));
        assert_eq!(percent(1, 0), None);
        assert_eq!(trend(112, 100).as_deref(), Some("+12 %"));
        assert_eq!(trend(5, 100), None);
    }
}
