//! What happens when the time is over and nothing is decided: "hold 15m, then roll back".

use std::time::Duration;

use serde::{Deserialize, Serialize};
use signalbox_core::setting::Period;

use super::share::text_setting;
use crate::words;

/// First hold for so long, then do this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Then {
    pub hold: Duration,
    pub action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    RollBack,
    /// Go on without proof. It is said wherever it happens.
    Promote,
    /// A person decides.
    Ask,
}

text_setting!(Then, "a text such as \"hold 15m, then roll back\"");

impl Default for Then {
    fn default() -> Self {
        Self { hold: Duration::from_secs(900), action: Action::RollBack }
    }
}

impl Then {
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{:?} is not what to do then; write it as \"hold 15m, then roll back\", \"roll back\", \
                 \"hold 15m, then promote\" or \"hold\"",
                words::short(text)
            )
        };
        let action = |text: &str| match text.trim() {
            "roll back" => Ok(Action::RollBack),
            "promote" => Ok(Action::Promote),
            "hold" | "ask" => Ok(Action::Ask),
            _ => Err(wrong()),
        };
        let Some((hold, then)) = text.split_once(',') else {
            return Ok(Self { hold: Duration::ZERO, action: action(text)? });
        };
        let hold = hold.trim().strip_prefix("hold ").ok_or_else(wrong)?.parse::<Period>()?.0;
        let then = then.trim().strip_prefix("then ").ok_or_else(wrong)?;
        Ok(Self { hold, action: action(then)? })
    }
}

impl From<Then> for String {
    fn from(then: Then) -> Self {
        let action = match then.action {
            Action::RollBack => "roll back",
            Action::Promote => "promote",
            Action::Ask => "hold",
        };
        if then.hold.is_zero() {
            return action.to_owned();
        }
        format!("hold {}, then {action}", words::period(then.hold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_and_written() {
        for text in ["hold 15m, then roll back", "roll back", "hold 1h, then promote", "hold"] {
            assert_eq!(String::from(Then::parse(text).unwrap()), text);
        }
        assert_eq!(Then::parse("hold 15m, then roll back"), Ok(Then::default()));
        for wrong in ["", "pass", "hold 15m", "hold, then roll back", "hold 15m then roll back", "hold 15m, roll back"]
        {
            assert!(Then::parse(wrong).is_err(), "{wrong}");
        }
    }
}
