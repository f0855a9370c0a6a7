use signalbox_core::time::Micros;

use super::{Calendar, Freeze};

/// One event of a calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Stays the same when the calendar is written again, so that readers move an event instead of doubling it.
    pub uid: String,
    pub from: Micros,
    pub until: Micros,
    pub summary: String,
    pub description: String,
}

impl Calendar {
    /// The open spans and the freezes of a range as events of the service's calendar.
    pub fn entries(&self, service: &str, from: Micros, until: Micros) -> Vec<Entry> {
        let windows: Vec<String> = self.allow.iter().map(ToString::to_string).collect();
        let open = self.open_spans(from, until).into_iter().map(|span| Entry {
            uid: format!("window-{}-{service}@signalbox", stamp(span.from)),
            from: span.from,
            until: span.until,
            summary: format!("{service}: releases may begin"),
            description: windows.join(", "),
        });
        let frozen = self.freezes.iter().filter_map(|freeze: &Freeze| {
            let (first, after) = freeze.bounds().filter(|(first, after)| *first < until && *after > from)?;
            Some(Entry {
                uid: format!("freeze-{}-{service}@signalbox", stamp(first)),
                from: first,
                until: after,
                summary: format!("{service}: no releases ({})", freeze.reason),
                description: freeze.to_string(),
            })
        });
        let mut entries: Vec<Entry> = open.chain(frozen).collect();
        entries.sort_by(|one, other| (one.from, &one.uid).cmp(&(other.from, &other.uid)));
        entries
    }
}

/// A calendar as iCalendar (RFC 5545). Times are in UTC, so that no reader needs our time zones.
pub fn ical(name: &str, entries: &[Entry], made_at: Micros) -> String {
    let mut text = String::new();
    let mut line = |content: &str| fold(content, &mut text);
    line("BEGIN:VCALENDAR");
    line("VERSION:2.0");
    line("PRODID:-//Signalbox//Releases//EN");
    line(&format!("NAME:{}", escape(name)));
    line(&format!("X-WR-CALNAME:{}", escape(name)));
    for entry in entries {
        line("BEGIN:VEVENT");
        line(&format!("UID:{}", escape(&entry.uid)));
        line(&format!("DTSTAMP:{}", stamp(made_at)));
        line(&format!("DTSTART:{}", stamp(entry.from)));
        line(&format!("DTEND:{}", stamp(entry.until)));
        line(&format!("SUMMARY:{}", escape(&entry.summary)));
        line(&format!("DESCRIPTION:{}", escape(&entry.description)));
        line("TRANSP:TRANSPARENT");
        line("END:VEVENT");
    }
    line("END:VCALENDAR");
    text
}

/// `20261123T080000Z`
fn stamp(at: Micros) -> String {
    at.to_string()[..19].chars().filter(|one| !"-:".contains(*one)).collect::<String>() + "Z"
}

/// RFC 5545 §3.3.11.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '\\' | ';' | ',' => escaped.extend(['\\', one]),
            '\n' => escaped.push_str("\\n"),
            one if one.is_control() => (),
            one => escaped.push(one),
        }
    }
    escaped
}

/// RFC 5545 §3.1: at most 75 bytes in a line, the rest goes on behind a space.
fn fold(content: &str, text: &mut String) {
    let mut length = 0;
    for one in content.chars() {
        if length + one.len_utf8() > 75 {
            text.push_str("\r\n ");
            length = 1;
        }
        text.push(one);
        length += one.len_utf8();
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_and_freezes_are_events() {
        let calendar = Calendar {
            allow: vec!["Mon 09:00-16:00 Europe/Berlin".parse().unwrap()],
            deny: Vec::new(),
            freezes: vec![Freeze {
                from: "2026-11-25".parse().unwrap(),
                to: "2026-11-26".parse().unwrap(),
                zone: "UTC".parse().unwrap(),
                reason: "Thanksgiving; all away".into(),
            }],
        };
        let from: Micros = "2026-11-22T00:00:00Z".parse().unwrap();
        let text = ical("shop", &calendar.entries("shop", from, "2026-11-29T00:00:00Z".parse().unwrap()), from);
        assert!(text.contains("DTSTART:20261123T080000Z\r\nDTEND:20261123T150000Z\r\n"), "{text}");
        assert!(text.contains("SUMMARY:shop: no releases (Thanksgiving\\; all away)\r\n"), "{text}");
        assert!(text.contains("DTSTART:20261125T000000Z\r\nDTEND:20261127T000000Z\r\n"), "{text}");
        assert!(text.starts_with("BEGIN:VCALENDAR\r\n") && text.ends_with("END:VCALENDAR\r\n"));
    }

    #[test]
    fn lines_are_folded_and_nothing_breaks_out() {
        let entry = Entry {
            uid: "a".into(),
            from: Micros(0),
            until: Micros(1),
            summary: format!("{}\r\nEND:VCALENDAR", "é".repeat(80)),
            description: String::new(),
        };
        let text = ical("x", &[entry], Micros(0));
        assert!(text.split("\r\n").all(|line| line.len() <= 75));
        assert_eq!(text.matches("\r\nEND:VCALENDAR").count(), 1);
        assert_eq!(text.replace("\r\n ", "").matches(&"é".repeat(80)).count(), 1);
    }
}
