use std::fmt;

use serde::{Deserialize, Serialize};
use signalbox_core::setting::Period;
use signalbox_core::time::Micros;

/// Who leads. Whatever it writes and sets carries its epoch, and a lower epoch than one seen before is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Host, process and start: two controllers never have the same.
    pub owner: String,
    pub epoch: u64,
    pub heartbeat: Micros,
    /// Without a heartbeat for so long it is over.
    pub lasts: Period,
}

/// Somebody else leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRefusal {
    pub owner: String,
    pub heartbeat: Micros,
    /// From when on it can be taken, unless it is renewed.
    pub until: Micros,
}

impl fmt::Display for LeaseRefusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "locked by {}, last heard of at {}; free at {} unless it is heard of again",
            self.owner, self.heartbeat, self.until
        )
    }
}

impl std::error::Error for LeaseRefusal {}

impl Lease {
    /// Whether it still holds.
    pub fn holds(&self, now: Micros) -> bool {
        now < self.heartbeat.plus(self.lasts.micros())
    }

    /// With a fresh heartbeat; nothing when it was lost meanwhile: then whoever held it stops acting.
    pub fn renew(&self, stored: &Lease, now: Micros) -> Option<Lease> {
        let mine = stored.owner == self.owner && stored.epoch == self.epoch && stored.holds(now);
        mine.then(|| Lease { heartbeat: now.max(stored.heartbeat), ..stored.clone() })
    }
}

/// Takes the lead where nobody has it, with an epoch above every one before (`newest`: the highest in the journal or the
/// data plane).
pub fn take(
    stored: Option<&Lease>,
    newest: u64,
    owner: &str,
    now: Micros,
    lasts: Period,
) -> Result<Lease, LeaseRefusal> {
    if let Some(stored) = stored.filter(|stored| stored.holds(now) && stored.owner != owner) {
        let until = stored.heartbeat.plus(stored.lasts.micros());
        return Err(LeaseRefusal { owner: stored.owner.clone(), heartbeat: stored.heartbeat, until });
    }
    let epoch = stored.map_or(0, |stored| stored.epoch).max(newest) + 1;
    Ok(Lease { owner: owner.to_owned(), epoch, heartbeat: now, lasts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_leads_and_epochs_rise() {
        let at = |seconds: i64| Micros(seconds * 1_000_000);
        let lasts = Period::from_secs(10);
        let first = take(None, 4, "a", at(0), lasts).unwrap();
        assert_eq!(first.epoch, 5);
        assert_eq!(take(Some(&first), 5, "b", at(9), lasts).unwrap_err().until, at(10));
        let renewed = first.renew(&first, at(9)).unwrap();
        assert!(take(Some(&renewed), 5, "b", at(18), lasts).is_err());
        let second = take(Some(&renewed), 5, "b", at(19), lasts).unwrap();
        assert_eq!(second.epoch, 6);
        assert_eq!(renewed.renew(&second, at(19)), None);
        assert_eq!(renewed.renew(&renewed, at(19)), None);
        assert_eq!(take(Some(&second), 6, "b", at(20), lasts).unwrap().epoch, 7);
    }
}
