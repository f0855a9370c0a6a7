use serde::{Deserialize, Serialize};
use signalbox_core::time::Micros;

use crate::model::manifest::Approvals;
use crate::model::value::{Digest, Name};

/// Somebody signed a plan for a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignOff {
    pub role: Name,
    pub who: String,
    pub at: Micros,
    /// What was signed.
    pub plan: Digest,
}

/// What has become of a role's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum SignOffState {
    Missing,
    Signed {
        who: String,
        at: Micros,
    },
    /// The plan has changed since.
    PlanChanged {
        who: String,
        signed: Digest,
    },
    Expired {
        who: String,
        at: Micros,
    },
}

/// For each role that must sign whether it has. The newest signature counts; none from the future does.
pub fn sign_offs(rules: &Approvals, given: &[SignOff], plan: Digest, now: Micros) -> Vec<(Name, SignOffState)> {
    let state = |role: &Name| {
        let of_role = given.iter().filter(|sign_off| sign_off.role == *role && sign_off.at <= now);
        let Some(newest) = of_role.max_by_key(|sign_off| sign_off.at) else { return SignOffState::Missing };
        let who = newest.who.clone();
        if newest.plan != plan {
            SignOffState::PlanChanged { who, signed: newest.plan }
        } else if newest.at.plus(rules.expires.micros()) <= now {
            SignOffState::Expired { who, at: newest.at }
        } else {
            SignOffState::Signed { who, at: newest.at }
        }
    };
    rules.roles.iter().map(|role| (role.clone(), state(role))).collect()
}

impl SignOffState {
    /// Whether the role has signed this plan.
    pub fn is_signed(&self) -> bool {
        matches!(self, Self::Signed { .. })
    }

    /// For people.
    pub fn words(&self) -> String {
        match self {
            Self::Missing => "has not signed".into(),
            Self::Signed { who, at } => format!("{who} signed at {at}"),
            Self::PlanChanged { who, signed } => {
                format!("{who} signed plan {}, and the plan has changed", signed.short())
            }
            Self::Expired { who, at } => format!("the signature of {who} at {at} has expired"),
        }
    }
}

#[cfg(test)]
mod tests {
    use signalbox_core::setting::Period;

    use super::*;

    #[test]
    fn a_signature_ends_with_the_plan_and_with_time() {
        let role: Name = "security".parse().unwrap();
        let rules = Approvals { roles: vec![role.clone()], expires: Period::from_secs(60) };
        let plan = Digest::of(b"plan");
        let at = |seconds: i64| Micros(seconds * 1_000_000);
        let signed = |seconds, plan| SignOff { role: role.clone(), who: "ann".into(), at: at(seconds), plan };
        let state = |given: &[SignOff], now| sign_offs(&rules, given, plan, at(now)).remove(0).1;
        assert_eq!(state(&[], 0), SignOffState::Missing);
        assert!(state(&[signed(10, plan)], 20).is_signed());
        assert_eq!(state(&[signed(10, plan)], 5), SignOffState::Missing);
        assert!(matches!(state(&[signed(10, plan)], 70), SignOffState::Expired { .. }));
        let other = Digest::of(b"other");
        assert!(matches!(state(&[signed(10, plan), signed(11, other)], 20), SignOffState::PlanChanged { .. }));
        assert!(state(&[signed(10, other), signed(11, plan)], 20).is_signed());
    }
}
