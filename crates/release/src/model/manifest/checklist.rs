use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_core::setting::Period;
use signalbox_core::setting_file::Reader;
use signalbox_core::time::Micros;

use super::Said;
use crate::model::text::written_as_text;
use crate::model::value::{Command, Name};

/// Something to do at a time before or after the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChecklistItem {
    pub at: Offset,
    pub what: String,
    /// Whose it is.
    pub role: Option<Name>,
    /// What does it; without it a person ticks it.
    pub run: Option<Command>,
}

/// `T-24h`, `T-0`, `T+30min`: before or after the release begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offset(i64);

impl Offset {
    /// The instant, for a release that begins at `start`.
    pub fn from(self, start: Micros) -> Micros {
        start.plus(self.0)
    }

    /// Whether it is due before the release begins, or as it begins.
    pub fn is_before(self) -> bool {
        self.0 <= 0
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 > 0 { '+' } else { '-' };
        let period = Period(std::time::Duration::from_micros(self.0.unsigned_abs()));
        let text = if self.0 == 0 { "0".to_owned() } else { period.to_string() };
        // Minutes are not months.
        match text.strip_suffix('m') {
            Some(minutes) => write!(out, "T{sign}{minutes}min"),
            None => write!(out, "T{sign}{text}"),
        }
    }
}

impl FromStr for Offset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a time of the checklist; write T-24h, T-0 or T+30min");
        // People copy a real minus sign from documents.
        let plain = text.trim().replace('\u{2212}', "-").replace(' ', "");
        let rest = plain.strip_prefix('T').ok_or_else(wrong)?;
        let (sign, rest) = match rest.split_at_checked(1) {
            Some(("+", rest)) => (1, rest),
            Some(("-", rest)) => (-1, rest),
            _ => return Err(wrong()),
        };
        if rest == "0" {
            return Ok(Self(0));
        }
        let period: Period = rest.strip_suffix("in").unwrap_or(rest).parse().map_err(|_| wrong())?;
        let year = 366 * 86_400;
        Some(sign * period.micros()).filter(|_| period <= Period::from_secs(year)).map(Self).ok_or_else(wrong)
    }
}

written_as_text!(Offset, "Offset", "A time before or after the release begins.", "T-24h");

/// Something to do at a time before or after the release.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "ChecklistItem", extend("required" = ["at", "what"]))]
pub(super) struct ChecklistWire {
    /// T-24h, T-0, T+30min.
    at: Said<Offset>,
    /// In words.
    what: Said<String>,
    /// Whose it is.
    role: Said<Name>,
    /// What does it; without it a person ticks it.
    run: Said<Command>,
}

impl ChecklistWire {
    pub(super) fn read(self, reader: &mut Reader<'_, '_>, number: usize) -> Option<ChecklistItem> {
        let section = format!("checklist[{number}]");
        let at = reader.needed(&section, "at", self.at);
        let what = reader.needed(&section, "what", self.what);
        let role = reader.take(self.role);
        let run = reader.take(self.run);
        Some(ChecklistItem { at: at?, what: what?, role, run })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_checklist_read_back() {
        for (text, shown) in [
            ("T-24h", "T-1d"),
            ("T-0", "T-0"),
            ("T+0", "T-0"),
            ("T+30min", "T+30min"),
            ("T−24h", "T-1d"),
            ("T+5m", "T+5min"),
        ] {
            assert_eq!(text.parse::<Offset>().map(|offset| offset.to_string()), Ok(shown.to_owned()));
        }
        for wrong in ["", "24h", "T", "T24h", "T-", "T-1y", "T-9999d"] {
            assert!(wrong.parse::<Offset>().is_err(), "{wrong}");
        }
    }
}
