use jiff::ToSpan as _;
use serde::Serialize;
use signalbox_core::time::{DAY, Micros};

use super::window::at_time;
use super::{Freeze, Window};

/// How far ahead a change of the calendar is looked for.
const HORIZON_DAYS: i64 = 400;

/// When releases may begin. Without a window to allow, all times are allowed that nothing forbids.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Calendar {
    pub allow: Vec<Window>,
    pub deny: Vec<Window>,
    pub freezes: Vec<Freeze>,
}

/// Whether a release may begin at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Decision {
    /// Until that instant; without one it stays open for longer than a year.
    Open { until: Option<Micros> },
    /// Why not, and when it opens; without an instant not within a year.
    Closed { why: Vec<String>, opens: Option<Micros> },
}

impl Decision {
    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        matches!(self, Decision::Open { .. })
    }
}

/// From an instant up to another, which is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Span {
    pub from: Micros,
    pub until: Micros,
}

impl Calendar {
    /// Whether a release may begin then.
    pub fn is_open(&self, at: Micros) -> bool {
        (self.allow.is_empty() || self.allow.iter().any(|window| window.contains(at)))
            && !self.deny.iter().any(|window| window.contains(at))
            && !self.freezes.iter().any(|freeze| freeze.contains(at))
    }

    /// Whether a release may begin then, until when, or why not and when it may.
    pub fn decide(&self, at: Micros) -> Decision {
        let change = self.next_change(at, at.plus(HORIZON_DAYS * DAY));
        if self.is_open(at) {
            return Decision::Open { until: change };
        }
        let mut why: Vec<String> =
            self.freezes.iter().filter(|freeze| freeze.contains(at)).map(ToString::to_string).collect();
        why.extend(self.deny.iter().filter(|window| window.contains(at)).map(|window| format!("denied {window}")));
        if !self.allow.is_empty() && !self.allow.iter().any(|window| window.contains(at)) {
            let windows: Vec<String> = self.allow.iter().map(ToString::to_string).collect();
            why.push(format!("outside of {}", windows.join(" and ")));
        }
        Decision::Closed { why, opens: change }
    }

    /// The spans within which releases may begin, cut at both ends.
    pub fn open_spans(&self, from: Micros, until: Micros) -> Vec<Span> {
        let mut spans = Vec::new();
        let mut at = from;
        while at < until {
            let change = self.next_change(at, until).unwrap_or(until);
            if self.is_open(at) {
                spans.push(Span { from: at, until: change });
            }
            at = change;
        }
        spans
    }

    /// The first instant after `at` at which open turns to closed or back.
    fn next_change(&self, at: Micros, until: Micros) -> Option<Micros> {
        let now = self.is_open(at);
        let mut day = at;
        while day < until {
            let end = day.plus(DAY).min(until);
            // Between two neighbours of these nothing changes, so that looking at each of them is enough.
            let mut candidates = self.candidates(day, end);
            candidates.retain(|candidate| *candidate > at && (day..end).contains(candidate));
            candidates.sort_unstable();
            if let Some(change) = candidates.into_iter().find(|candidate| self.is_open(*candidate) != now) {
                return Some(change);
            }
            day = end;
        }
        None
    }

    /// Every instant within a day or near it at which something can begin or end.
    fn candidates(&self, from: Micros, until: Micros) -> Vec<Micros> {
        let mut found: Vec<Micros> =
            self.freezes.iter().filter_map(Freeze::bounds).flat_map(|(first, after)| [first, after]).collect();
        for window in self.allow.iter().chain(&self.deny) {
            let zone = window.zone();
            // A clock that is set back or forward can open and close a window too.
            found.extend(zone.transitions(from.plus(-1), until));
            let today = zone.local(from).date();
            let dates = (-1..=2).filter_map(|days: i64| today.checked_add(days.days()).ok());
            for date in dates {
                found.extend(window.times().flat_map(|time| zone.instants(at_time(date, time))));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use signalbox_core::time::MINUTE;

    use super::*;

    fn at(text: &str) -> Micros {
        text.parse().unwrap()
    }

    fn calendar(allow: &[&str], deny: &[&str], freezes: &[(&str, &str)]) -> Calendar {
        let windows = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        let freeze = |(from, to): &(&str, &str)| Freeze {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            zone: "Europe/Berlin".parse().unwrap(),
            reason: "holidays".into(),
        };
        Calendar { allow: windows(allow), deny: windows(deny), freezes: freezes.iter().map(freeze).collect() }
    }

    #[test]
    fn a_closed_calendar_says_why_and_when_it_opens() {
        let calendar = calendar(
            &["Mon..Thu 09:00-16:00 Europe/Berlin"],
            &["Mon 12:00-13:00 Europe/Berlin"],
            &[("2026-12-20", "2027-01-03")],
        );
        assert_eq!(
            calendar.decide(at("2026-11-23T08:00:00Z")),
            Decision::Open { until: Some(at("2026-11-23T11:00:00Z")) }
        );
        let closed = |when: &str| match calendar.decide(at(when)) {
            Decision::Closed { why, opens } => (why.join("; "), opens.map(|at| at.to_string()).unwrap_or_default()),
            open => panic!("{open:?}"),
        };
        assert_eq!(
            closed("2026-11-27T12:00:00Z"),
            ("outside of Mon..Thu 09:00-16:00 Europe/Berlin".into(), "2026-11-30T08:00:00.000000Z".into())
        );
        assert_eq!(closed("2026-11-23T11:30:00Z").0, "denied Mon 12:00-13:00 Europe/Berlin");
        let (why, opens) = closed("2026-12-24T10:00:00Z");
        assert_eq!(why, "freeze from 2026-12-20 to 2027-01-03 Europe/Berlin (holidays)");
        assert_eq!(opens, "2027-01-04T08:00:00.000000Z");
    }

    #[test]
    fn no_window_means_always() {
        assert_eq!(Calendar::default().decide(at("2026-11-23T08:00:00Z")), Decision::Open { until: None });
        let never = calendar(&[], &["daily 00:00-24:00 UTC"], &[]);
        assert!(matches!(never.decide(at("2026-11-23T08:00:00Z")), Decision::Closed { opens: None, .. }));
    }

    const ZONES: [&str; 5] = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"];
    const DAYS: [&str; 5] = ["daily", "Mon..Thu", "Sat,Sun", "Fri..Mon", "Sun"];
    /// Around these the clocks change somewhere.
    const STARTS: [&str; 5] = [
        "2026-03-28T00:00:00Z",
        "2026-10-24T00:00:00Z",
        "2026-11-01T00:00:00Z",
        "2026-04-04T00:00:00Z",
        "2026-06-30T00:00:00Z",
    ];

    prop_compose! {
        fn window()(days in 0..DAYS.len(), zone in 0..ZONES.len(), from in 0..96u16, length in 1..96u16) -> Window {
            let clock = |quarter: u16| format!("{:02}:{:02}", quarter / 4, quarter % 4 * 15);
            let until = (from + length) % 96;
            let until = if until == 0 { 96 } else { until };
            let until = if until == from { 96 } else { until };
            let text = format!("{} {}-{} {}", DAYS[days], clock(from), clock(until), ZONES[zone]);
            text.parse().unwrap_or_else(|error| panic!("{error}"))
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// Against a walk over every minute of three days.
        #[test]
        fn openings_are_those_that_a_walk_finds(
            allow in prop::collection::vec(window(), 0..3),
            deny in prop::collection::vec(window(), 0..2),
            start in 0..STARTS.len(),
            offset in 0..1440i64,
        ) {
            let calendar = Calendar { allow, deny, freezes: Vec::new() };
            let from = at(STARTS[start]).plus(offset * MINUTE);
            let until = from.plus(3 * DAY);
            let mut walked: Vec<Span> = Vec::new();
            let mut minute = from;
            while minute < until {
                if calendar.is_open(minute) {
                    match walked.last_mut() {
                        Some(last) if last.until == minute => last.until = minute.plus(MINUTE),
                        _ => walked.push(Span { from: minute, until: minute.plus(MINUTE) }),
                    }
                }
                minute = minute.plus(MINUTE);
            }
            prop_assert_eq!(calendar.open_spans(from, until), walked);
        }
    }
}
