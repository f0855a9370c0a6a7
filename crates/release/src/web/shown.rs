//! How things are shown: instants, times, states as shape and word.

use jiff::Timestamp;
use signalbox_core::time::Micros;

use crate::driver::State as InstanceState;
use crate::executor::{Kind, Status};
use crate::model::exit::Exit;
use crate::model::machine::State;

/// An instant: for scripts, and for people without one.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub iso: String,
    pub label: String,
}

pub(super) fn moment(at: Micros) -> Moment {
    let label = Timestamp::from_microsecond(at.0).map(|instant| instant.strftime("%-d %b, %H:%M:%S UTC").to_string());
    Moment { iso: at.to_string(), label: label.unwrap_or_default() }
}

/// `1 h 4 min`, `2 min 10 s` or `3.2 s`.
pub(super) fn lasting(micros: i64) -> String {
    let seconds = micros.max(0) / 1_000_000;
    match seconds {
        0..10 => format!("{:.1} s", micros.max(0) as f64 / 1e6),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..172_800 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// `12.3 MB`.
pub(super) fn bytes(count: u64) -> String {
    match count {
        0..1_000_000 => format!("{:.0} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.2} GB", count as f64 / 1e9),
    }
}

/// A state: the class of its mark, and its word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Badge {
    pub mark: &'static str,
    pub word: String,
}

pub(super) fn badge(mark: &'static str, word: impl Into<String>) -> Badge {
    Badge { mark, word: word.into() }
}

/// What a release is at.
pub(super) fn state(state: &State) -> Badge {
    match state {
        State::Running { .. } => badge("human", "running"),
        State::Holding { .. } => badge("human", "holding"),
        State::AwaitingApproval { .. } => badge("proxy", "waits for signatures"),
        State::WindowClosed { .. } => badge("proxy", "waits for a window"),
        State::NoGo { .. } => badge("proxy", "no-go"),
        State::Paused { .. } => badge("proxy", "paused"),
        State::RollingBack { .. } => badge("warn", "rolling back"),
        State::RolledBack { exit: Exit::RolledBack, .. } => badge("warn", "rolled back"),
        State::RolledBack { .. } => badge("warn", "refused"),
        State::Promoted => badge("ok", "promoted"),
        State::NeedsHands { .. } => badge("warn", "needs hands"),
    }
}

/// Why, in words.
pub(super) fn why(status: &Status) -> String {
    match &status.state {
        State::Running { doing, .. } if status.waiting.is_empty() => doing.clone(),
        State::Running { doing, .. } => format!("{doing}: {}", status.waiting),
        State::Holding { weight, .. } if status.waiting.is_empty() => format!("{weight} of the requests are judged"),
        State::Holding { .. } => status.waiting.trim_start_matches("holding: ").to_owned(),
        State::AwaitingApproval { said }
        | State::WindowClosed { said }
        | State::NoGo { said }
        | State::RollingBack { said, .. }
        | State::RolledBack { said, .. }
        | State::NeedsHands { said } => said.clone(),
        State::Paused { by, said, .. } => format!("by {by}: {said}"),
        State::Promoted => format!("{} serves everything", status.to),
    }
}

pub(super) fn instance(state: InstanceState) -> Badge {
    let mark = match state {
        InstanceState::Healthy => "ok",
        InstanceState::Starting | InstanceState::Stopping => "human",
        InstanceState::Stopped => "none",
        InstanceState::BackingOff => "proxy",
        InstanceState::Unhealthy | InstanceState::GivenUp | InstanceState::Lost => "warn",
    };
    badge(mark, state.to_string())
}

/// `1.0.0 → 1.1.0`, `first release 1.0.0` or `back to 1.0.0`.
pub(super) fn course(status: &Status) -> String {
    match (&status.from, status.kind) {
        (_, Kind::Rollback) => format!("back to {}", status.to),
        (Some(from), _) => format!("{from} → {}", status.to),
        (None, _) => format!("first release {}", status.to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_short() {
        assert_eq!(lasting(3_210_000), "3.2 s");
        assert_eq!(lasting(130_000_000), "2 min 10 s");
        assert_eq!(lasting(3_840_000_000), "1 h 4 min");
        assert_eq!((bytes(12_345), bytes(12_345_678)), ("12 kB".into(), "12.3 MB".into()));
    }
}
