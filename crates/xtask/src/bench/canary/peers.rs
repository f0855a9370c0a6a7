//! The rules of the peers, with the constants that they come with and with calibrated ones.

use super::roll_out::{Check, Decided, RollOut};

/// What a peer fails a canary by: each metric has a bound, and so many checks of one metric must exceed it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) peer: Peer,
    pub(super) bounds: [f32; 3],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    Kayenta,
    Argo,
    Flagger,
}

impl Peer {
    pub(super) const ALL: [Self; 3] = [Self::Kayenta, Self::Argo, Self::Flagger];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kayenta => "Kayenta",
            Self::Argo => "Argo Rollouts",
            Self::Flagger => "Flagger",
        }
    }

    /// Flagger's `threshold`, of its own examples; failed checks add up and are never forgotten. Argo's `failureLimit` is 0.
    fn failed_checks(self) -> usize {
        if self == Self::Flagger { 5 } else { 1 }
    }

    fn measures(self, check: &Check) -> [f32; 3] {
        match self {
            Self::Kayenta => check.kayenta,
            Self::Argo => check.argo,
            Self::Flagger => check.flagger,
        }
    }

    /// Kayenta: confidence 0.98, two-sided. Argo: a success rate of 95 % (its documentation's example) and our 500 ms
    /// mean. Flagger: a success rate of 99 % and a 99th percentile of 500 ms. Neither says anything about orders.
    pub(super) fn usual(self) -> Rule {
        let bounds = match self {
            Self::Kayenta => [2.326_348; 3],
            Self::Argo => [0.05, 500_000.0, f32::INFINITY],
            Self::Flagger => [0.01, 500_000.0, f32::INFINITY],
        };
        Rule { peer: self, bounds }
    }

    /// Bounds that a share of `false_alarms` of these roll-outs exceeds: split evenly among the metrics for the peers
    /// that have a bound for each, and taken together for Kayenta, which has one confidence level for all.
    pub(super) fn calibrated(self, roll_outs: &[RollOut], false_alarms: f64) -> Rule {
        if self == Self::Kayenta {
            let most = |roll_out: &RollOut| (0..3).map(|metric| self.extreme(roll_out, metric)).fold(0.0, f32::max);
            let bound = exceeded_by(roll_outs.iter().map(most).collect(), false_alarms);
            return Rule { peer: self, bounds: [bound; 3] };
        }
        let bounds = [0, 1, 2].map(|metric| self.bound(roll_outs, metric, false_alarms / 3.0));
        Rule { peer: self, bounds }
    }

    /// The bound of one metric, which a share of `false_alarms` of these roll-outs exceeds.
    pub(super) fn bound(self, roll_outs: &[RollOut], metric: usize, false_alarms: f64) -> f32 {
        exceeded_by(roll_outs.iter().map(|roll_out| self.extreme(roll_out, metric)).collect(), false_alarms)
    }

    /// What a bound must not be below for a roll-out to live.
    fn extreme(self, roll_out: &RollOut, metric: usize) -> f32 {
        let mut values: Vec<f32> = roll_out.checks.iter().map(|check| self.measures(check)[metric]).collect();
        values.retain(|value| value.is_finite());
        values.sort_unstable_by(|left, right| right.total_cmp(left));
        values.get(self.failed_checks() - 1).copied().unwrap_or(f32::NEG_INFINITY)
    }
}

/// The smallest of the values that at most this share of them exceeds.
fn exceeded_by(mut values: Vec<f32>, share: f64) -> f32 {
    values.sort_unstable_by(f32::total_cmp);
    let allowed = (values.len() as f64 * share).floor() as usize;
    values[values.len() - 1 - allowed.min(values.len() - 1)]
}

impl Rule {
    /// The larger of each bound.
    pub(super) fn loosest(self, other: Self) -> Self {
        let bound = |metric: usize| self.bounds[metric].max(other.bounds[metric]);
        Self { peer: self.peer, bounds: [bound(0), bound(1), bound(2)] }
    }

    pub(super) fn fails(&self, roll_out: &RollOut, check_seconds: u64) -> Option<Decided> {
        let mut failed = [0; 3];
        for (index, check) in roll_out.checks.iter().enumerate() {
            for ((measure, bound), failed) in self.peer.measures(check).iter().zip(self.bounds).zip(&mut failed) {
                *failed += usize::from(*measure > bound);
            }
            if failed.iter().any(|failed| *failed >= self.peer.failed_checks()) {
                let second = (index as u64 + 1) * check_seconds;
                return Some(Decided { second: second as u32, requests: check.requests });
            }
        }
        None
    }
}
