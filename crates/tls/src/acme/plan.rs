//! When to order: at two thirds of the lifetime, and after failures later and later. Pure.

use signalbox_core::time::{HOUR, MINUTE, Micros};

use super::folder::State;
use crate::certificate::Facts;

/// The first pause after a failure, and the longest. Public directories count failures per hour.
const PAUSE_FIRST: i64 = 2 * MINUTE;
const PAUSE_MOST: i64 = 6 * HOUR;

/// When the next order is due. `chance` from 0 to 1 spreads servers that were started together.
pub(super) fn next_order(present: Option<&Facts>, fits: bool, state: &State, chance: f64) -> Micros {
    let due = match present.filter(|_| fits) {
        None => Micros(0),
        Some(facts) => {
            let lifetime = facts.not_after.0.saturating_sub(facts.not_before.0);
            // Up to a thirtieth of the lifetime later: three days of ninety.
            facts.not_before.plus(lifetime / 3 * 2).plus((lifetime as f64 / 30.0 * chance) as i64)
        }
    };
    match state.tried_at() {
        Some(tried_at) if state.failures > 0 => due.max(tried_at.plus(pause(state.failures, chance))),
        _ => due,
    }
}

/// Doubled with every failure; with the chance from three quarters to one and a quarter of that.
fn pause(failures: u32, chance: f64) -> i64 {
    let doubled = PAUSE_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(PAUSE_MOST);
    (doubled as f64 * (0.75 + chance / 2.0)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use signalbox_core::time::DAY;

    const NOW: Micros = Micros(1_780_000_000_000_000);

    fn facts() -> Facts {
        Facts { names: vec![], not_before: NOW, not_after: NOW.plus(90 * DAY) }
    }

    #[test]
    fn renewal_begins_at_two_thirds_of_the_lifetime() {
        let state = State::default();
        assert_eq!(next_order(Some(&facts()), true, &state, 0.0), NOW.plus(60 * DAY));
        assert_eq!(next_order(Some(&facts()), true, &state, 1.0), NOW.plus(63 * DAY));
        assert_eq!(next_order(Some(&facts()), false, &state, 0.0), Micros(0), "other names: at once");
        assert_eq!(next_order(None, false, &state, 0.5), Micros(0));
    }

    proptest! {
        #[test]
        fn failures_are_tried_again_later_and_later_but_in_time(failures in 1_u32..200, chance in 0.0..1.0_f64) {
            let state = |failures| State { failures, tried_at: NOW.0, ..State::default() };
            let at = next_order(None, false, &state(failures), chance);
            prop_assert!(at >= NOW.plus(PAUSE_FIRST * 3 / 4) && at <= NOW.plus(PAUSE_MOST * 5 / 4));
            prop_assert!(next_order(None, false, &state(failures + 1), chance) >= at);
            // A failed renewal leaves a month for further attempts.
            let failed = State { failures, tried_at: NOW.plus(63 * DAY).0, ..State::default() };
            prop_assert!(next_order(Some(&facts()), true, &failed, chance) < NOW.plus(64 * DAY));
        }
    }
}
