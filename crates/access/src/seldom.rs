//! What keeps strangers from filling the audit log: refusals of one kind are told once in a while, and all of them
//! together only so often.

use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;
use signalbox_core::time::{MINUTE, Micros};

/// One kind of refusal is told once in so long.
const APART: i64 = 10 * MINUTE;
/// So many kinds in that time.
const MOST: usize = 100;

/// Kinds that were told of late.
#[derive(Default)]
pub struct Seldom {
    told: Mutex<FxHashMap<String, Micros>>,
}

impl Seldom {
    /// Whether to tell of `kind` at `now`: not when it was told a while ago, nor when too many others were.
    pub fn lets(&self, kind: &str, now: Micros) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was put back must not make anything wait for it to catch up.
        told.retain(|_, at| (0..APART).contains(&(now.0 - at.0)));
        if told.contains_key(kind) || told.len() >= MOST {
            return false;
        }
        told.insert(kind.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_told_once_in_a_while() {
        let (seldom, start) = (Seldom::default(), Micros(1_780_000_000_000_000));
        assert!(seldom.lets("a", start) && seldom.lets("b", start) && !seldom.lets("a", start.plus(APART - 1)));
        assert!(seldom.lets("a", start.plus(APART)));
        assert!(seldom.lets("a", start), "the clock was put back");
    }

    #[test]
    fn many_kinds_do_not_fill_the_log() {
        let (seldom, start) = (Seldom::default(), Micros(1_780_000_000_000_000));
        let told = (0..10_000).filter(|number| seldom.lets(&number.to_string(), start)).count();
        assert_eq!(told, MOST);
        assert!(seldom.lets("later", start.plus(APART)));
    }
}
