use std::fmt;
use std::str::FromStr;

use jiff::civil::{DateTime, Weekday};
use signalbox_core::time::Micros;

use super::Zone;
use crate::model::text::written_as_text;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const WHOLE_DAY: u16 = 24 * 60;

/// `Mon..Thu 09:00-16:00 Europe/Berlin`: on these days, between these times of the clocks there. A window that ends before
/// it begins goes on after midnight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    days: [bool; 7],
    /// Minutes of the day; `until` is not in it.
    from: u16,
    until: u16,
    zone: Zone,
}

impl Window {
    /// Whether the instant lies in it.
    pub fn contains(&self, at: Micros) -> bool {
        let local = self.zone.local(at);
        let minute = local.hour() as u16 * 60 + local.minute() as u16;
        let today = self.days[index(local.weekday())];
        let yesterday = self.days[index(local.weekday().previous())];
        match self.from < self.until {
            true => today && (self.from..self.until).contains(&minute),
            false => (today && minute >= self.from) || (yesterday && minute < self.until),
        }
    }

    pub(super) fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The times of a day at which it can begin or end.
    pub(super) fn times(&self) -> impl Iterator<Item = (i8, i8)> {
        let clock = |minute: u16| ((minute / 60) as i8, (minute % 60) as i8);
        // Midnight counts as well, because the day of the week changes there.
        [0, self.from % WHOLE_DAY, self.until % WHOLE_DAY].into_iter().map(clock)
    }
}

pub(super) fn at_time(date: jiff::civil::Date, (hour, minute): (i8, i8)) -> DateTime {
    date.at(hour, minute, 0, 0)
}

fn index(day: Weekday) -> usize {
    day.to_monday_zero_offset() as usize
}

fn parse_days(text: &str) -> Option<[bool; 7]> {
    let day = |name: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(name));
    if text.eq_ignore_ascii_case("daily") {
        return Some([true; 7]);
    }
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = match part.split_once("..") {
            Some((first, last)) => (day(first)?, day(last)?),
            None => (day(part)?, day(part)?),
        };
        // `Fri..Mon` goes over the weekend.
        let length = (last + 7 - first) % 7;
        (0..=length).for_each(|step| days[(first + step) % 7] = true);
    }
    Some(days)
}

fn parse_time(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let minute: u16 = minutes.parse().ok().filter(|minute| two(minutes) && *minute < 60)?;
    let hour: u16 = hours.parse().ok().filter(|_| two(hours))?;
    Some(hour * 60 + minute).filter(|minute| *minute <= WHOLE_DAY)
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "{text:?} is not a window: {why}; write Mon..Thu 09:00-16:00 Europe/Berlin, or daily 00:00-24:00 UTC"
            )
        };
        let mut words = text.split_whitespace();
        let (Some(days), Some(times), Some(zone), None) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(wrong("it has days, times and a time zone"));
        };
        let days =
            parse_days(days).ok_or_else(|| wrong("days are Mon, Tue, Wed, Thu, Fri, Sat, Sun, Mon..Fri, or daily"))?;
        let (from, until) = times
            .split_once('-')
            .and_then(|(from, until)| Some((parse_time(from)?, parse_time(until)?)))
            .filter(|(from, _)| *from < WHOLE_DAY)
            .ok_or_else(|| wrong("times are from 00:00 to 24:00"))?;
        if from == until {
            return Err(wrong("it ends when it begins; a whole day is 00:00-24:00"));
        }
        Ok(Self { days, from, until, zone: zone.parse()? })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let mut day = 0;
        while day < 7 {
            let length = self.days[day..].iter().take_while(|on| **on).count();
            match length {
                0 => day += 1,
                1 => parts.push(DAYS[day].to_owned()),
                2 => parts.push(format!("{},{}", DAYS[day], DAYS[day + 1])),
                _ => parts.push(format!("{}..{}", DAYS[day], DAYS[day + length - 1])),
            }
            day += length;
        }
        let days = if self.days == [true; 7] { "daily".to_owned() } else { parts.join(",") };
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        write!(out, "{days} {}-{} {}", clock(self.from), clock(self.until), self.zone)
    }
}

written_as_text!(Window, "Window", "Days, times and a time zone.", "Mon..Thu 09:00-16:00 Europe/Berlin");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_read_back_as_they_are_written() {
        for (text, shown) in [
            ("Mon..Thu 09:00-16:00 Europe/Berlin", None),
            ("daily 00:00-24:00 UTC", None),
            ("Mon,Wed..Fri 22:00-04:00 America/New_York", None),
            ("mon,tue,wed 01:00-02:00 UTC", Some("Mon..Wed 01:00-02:00 UTC")),
            ("Fri..Mon 00:00-24:00 UTC", Some("Mon,Fri..Sun 00:00-24:00 UTC")),
        ] {
            assert_eq!(text.parse::<Window>().map(|window| window.to_string()), Ok(shown.unwrap_or(text).to_owned()));
        }
        for wrong in [
            "",
            "Mon 09:00-16:00",
            "Mon..Thu 9-16 UTC",
            "Mon 09:00-09:00 UTC",
            "Mon 24:00-25:00 UTC",
            "Mon 09:00-16:60 UTC",
            "Mon 09:00-16:00 Mars/Olympus",
            "Moon 09:00-16:00 UTC",
            "Mon 09:00-16:00 UTC please",
            "Mon.. 09:00-16:00 UTC",
            "Mon +9:00-16:00 UTC",
        ] {
            assert!(wrong.parse::<Window>().is_err(), "{wrong}");
        }
    }
}
