//! Times that events happened at, relative to now, so that they are recent whenever the tests run.

use jiff::{SignedDuration, Timestamp};

/// Midnight, UTC, three days ago.
#[expect(clippy::disallowed_methods, reason = "what the server takes for recent depends on the machine's clock")]
fn base() -> Timestamp {
    let days = Timestamp::now().as_second().div_euclid(86_400) - 3;
    Timestamp::from_second(days * 86_400).expect("a day of our time")
}

/// So many minutes after midnight three days ago, as the API takes instants.
pub fn minute(minutes: i64) -> String {
    (base() + SignedDuration::from_mins(minutes)).to_string()
}

/// The same instant as the API gives it back.
pub fn told(minutes: i64) -> String {
    format!("{:.6}", base() + SignedDuration::from_mins(minutes))
}

/// So many seconds from now.
#[expect(clippy::disallowed_methods, reason = "what the server takes for recent depends on the machine's clock")]
pub fn from_now(seconds: i64) -> String {
    (Timestamp::now() + SignedDuration::from_secs(seconds)).to_string()
}
