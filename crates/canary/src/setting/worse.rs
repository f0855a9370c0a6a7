//! How much worse than the baseline a canary may be: "+0.5 points", "+20 %", "-5 %".

use serde::{Deserialize, Serialize};

use super::share::{number, text_setting};
use crate::evidence::bet::Line;
use crate::evidence::share::Bad;
use crate::words;

/// The sign says which direction is bad; the size, how far is too far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(into = "String")]
pub struct Worse {
    pub bad: Bad,
    pub by: By,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum By {
    /// Percentage points, as a share: 0.005 for half a point.
    Points(f64),
    /// A part of the baseline: 0.2 for 20 %.
    Part(f64),
}

text_setting!(Worse, "a text such as \"+0.5 points\", \"+20 %\" or \"-5 %\"");

impl Worse {
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{:?} is not how much worse is too much; write it as \"+0.5 points\", \"+20 %\" or \"-5 %\"",
                words::short(text)
            )
        };
        let text = text.trim();
        let unsigned =
            || format!("{:?} does not say which direction is worse; begin it with + or -", words::short(text));
        let (bad, rest) = match text.chars().next() {
            Some('+') => (Bad::Above, &text[1..]),
            Some('-') => (Bad::Below, &text[1..]),
            Some('−') => (Bad::Below, &text['−'.len_utf8()..]),
            Some(digit) if digit.is_ascii_digit() => return Err(unsigned()),
            _ => return Err(wrong()),
        };
        let (size, unit) = number(rest).ok_or_else(wrong)?;
        let by = match unit {
            "points" | "point" => By::Points(size / 100.0),
            "%" => By::Part(size / 100.0),
            _ => return Err(wrong()),
        };
        match by {
            By::Points(size) if size > 1.0 => Err("a share cannot be worse by more than 100 points".to_owned()),
            By::Part(size) if size >= 1.0 && bad == Bad::Below => {
                Err("nothing can be worse by 100 % of itself or more".to_owned())
            }
            By::Part(size) if size > 100.0 => Err("more than +10,000 % is no limit".to_owned()),
            _ => Ok(Self { bad, by }),
        }
    }

    /// Where the canary is just as bad as it may be.
    pub fn line(&self) -> Line {
        let sign = if self.bad == Bad::Above { 1.0 } else { -1.0 };
        match self.by {
            By::Points(points) => Line { factor: 1.0, offset: sign * points },
            By::Part(part) => Line { factor: 1.0 + sign * part, offset: 0.0 },
        }
    }
}

impl From<Worse> for String {
    fn from(worse: Worse) -> Self {
        let sign = if worse.bad == Bad::Above { '+' } else { '-' };
        match worse.by {
            By::Points(size) => format!("{sign}{} points", words::plain(size * 100.0)),
            By::Part(size) => format!("{sign}{} %", words::plain(size * 100.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn limits_are_read_and_written() {
        for (text, bad, by, canonical) in [
            ("+0.5 points", Bad::Above, By::Points(0.005), "+0.5 points"),
            ("+1 point", Bad::Above, By::Points(0.01), "+1 points"),
            (" + 20% ", Bad::Above, By::Part(0.2), "+20 %"),
            ("-5 %", Bad::Below, By::Part(0.05), "-5 %"),
            ("−5 %", Bad::Below, By::Part(0.05), "-5 %"),
        ] {
            let worse = Worse::parse(text).unwrap();
            assert_eq!(worse, Worse { bad, by }, "{text}");
            assert_eq!(String::from(worse), canonical);
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, why) in [
            ("5 %", "begin it with + or -"),
            ("worse", "write it as"),
            ("+5", "write it as"),
            ("+NaN %", "write it as"),
            ("+1e400 %", "write it as"),
            ("+-5 %", "write it as"),
            ("-100 %", "100 % of itself"),
            ("+101 points", "100 points"),
            ("+999999999999 %", "no limit"),
        ] {
            let error = Worse::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_what_is_read_is_a_line(text in "\\PC*") {
            if let Ok(worse) = Worse::parse(&text) {
                prop_assert!(worse.line().factor > 0.0 && worse.line().offset.abs() <= 1.0);
            }
        }

        #[test]
        fn what_is_written_reads_back(sign in "[+-]", size in 0u32..9_999, unit in "(points|%)") {
            let text = format!("{sign}{} {unit}", f64::from(size) / 100.0);
            let worse = Worse::parse(&text).unwrap();
            let again = Worse::parse(&String::from(worse)).unwrap();
            prop_assert!((again.line().factor - worse.line().factor).abs() < 1e-9);
            prop_assert!((again.line().offset - worse.line().offset).abs() < 1e-9);
        }
    }
}
