//! What is done with a verdict: a pure decision, and never a silent pass.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::setting::then::{Action, Then};
use crate::verdict::{Outcome, Verdict};
use crate::words;

/// A step of a roll-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The canary's share of the traffic in percent.
    pub weight: u8,
    /// How long it is watched at least.
    pub hold: Duration,
}

/// What to do when the hold is over and nothing is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    pub insufficient: Then,
    pub no_data: Then,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub what: What,
    pub words: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The hold is not over.
    Continue,
    /// To the next step.
    Promote,
    RollBack,
    /// The hold is over and the policy gives it more time, or waits for a person.
    Hold,
}

/// Decides about a step that began `elapsed` ago.
pub fn judge(step: &Step, elapsed: Duration, verdict: &Verdict, policy: &Policy) -> Decision {
    let decision = |what, words| Decision { what, words };
    let at = format!("at {} %", step.weight);
    if verdict.outcome == Outcome::Fail {
        return decision(What::RollBack, format!("rolled back {at}: {}", verdict.words));
    }
    if elapsed < step.hold {
        let (seconds, hold) = (words::elapsed(elapsed), words::elapsed(step.hold));
        return decision(What::Continue, format!("holding {at} ({seconds} of {hold}): {}", verdict.words));
    }
    let then = match verdict.outcome {
        Outcome::Pass => return decision(What::Promote, format!("passed {at}: {}", verdict.words)),
        Outcome::NoData => policy.no_data,
        Outcome::Insufficient | Outcome::Fail => policy.insufficient,
    };
    let (state, rule) = (verdict.outcome.word(), String::from(then));
    let over = elapsed.saturating_sub(step.hold);
    if over < then.hold {
        let left = words::elapsed(then.hold - over);
        return decision(What::Hold, format!("{state} {at}, {left} left ({rule}): {}", verdict.words));
    }
    match then.action {
        Action::RollBack => decision(
            What::RollBack,
            format!("rolled back {at}, {state} and the time is over ({rule}): {}", verdict.words),
        ),
        Action::Promote => decision(
            What::Promote,
            format!("went on from {} % WITHOUT PROOF, {state} ({rule}): {}", step.weight, verdict.words),
        ),
        Action::Ask => decision(What::Hold, format!("{state} {at}, waiting for a person ({rule}): {}", verdict.words)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Step = Step { weight: 5, hold: Duration::from_secs(300) };

    fn decide(outcome: Outcome, seconds: u64, policy: &Policy) -> Decision {
        let words = "why".to_owned();
        let verdict = Verdict { outcome, requests: 10, metrics: Vec::new(), rules: Vec::new(), words };
        judge(&STEP, Duration::from_secs(seconds), &verdict, policy)
    }

    #[test]
    fn a_failure_does_not_wait_and_a_pass_does() {
        let policy = Policy::default();
        assert_eq!(decide(Outcome::Fail, 0, &policy).what, What::RollBack);
        assert_eq!(decide(Outcome::Pass, 299, &policy).what, What::Continue);
        assert_eq!(decide(Outcome::Pass, 300, &policy).what, What::Promote);
    }

    #[test]
    fn what_is_not_decided_is_held_and_then_the_policy_says() {
        let with = |text: &str| Policy { insufficient: text.parse().unwrap(), no_data: text.parse().unwrap() };
        for outcome in [Outcome::Insufficient, Outcome::NoData] {
            let policy = with("hold 15m, then roll back");
            assert_eq!(decide(outcome, 10, &policy).what, What::Continue);
            let held = decide(outcome, 301, &policy);
            assert_eq!(held.what, What::Hold);
            assert!(held.words.contains("14m 59s left (hold 15m, then roll back): why"), "{}", held.words);
            assert_eq!(decide(outcome, 1_199, &policy).what, What::Hold);
            assert_eq!(decide(outcome, 1_200, &policy).what, What::RollBack);
            assert_eq!(decide(outcome, 300, &with("roll back")).what, What::RollBack);
            assert_eq!(decide(outcome, 999_999, &with("hold")).what, What::Hold);
            let promoted = decide(outcome, 1_200, &with("hold 15m, then promote"));
            assert_eq!(promoted.what, What::Promote);
            assert!(promoted.words.contains("WITHOUT PROOF") && promoted.words.contains(outcome.word()));
        }
    }
}
