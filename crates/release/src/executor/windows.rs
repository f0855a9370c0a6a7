//! From counts that only grow to windows: what each version did since the last look.

use signalbox_canary::histogram::Histogram;
use signalbox_canary::window::{Arm, Errors, Window};
use signalbox_core::time::Micros;

use super::plane::{ArmCount, Counts};

/// The last look.
#[derive(Debug, Clone, Default)]
pub(super) struct Windows {
    last: Option<(Micros, Counts)>,
}

impl Windows {
    /// What both versions did since the last look; none at the first one, and where no time has passed.
    pub(super) fn next(&mut self, at: Micros, counts: &Counts, canary: &str, baseline: Option<&str>) -> Option<Window> {
        let (from, before) = match &self.last {
            Some((from, before)) if *from < at => (*from, before.clone()),
            Some(_) => return None,
            None => {
                self.last = Some((at, counts.clone()));
                return None;
            }
        };
        self.last = Some((at, counts.clone()));
        let arm = |version: &str| since(&before, counts, version);
        let baseline = baseline.map_or_else(Arm::default, arm);
        Some(Window { from: from.0, to: at.0, canary: arm(canary), baseline, readings: Vec::new() })
    }

    /// Forgets the last look: what happened meanwhile belongs to nobody.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }
}

fn since(before: &Counts, now: &Counts, version: &str) -> Arm {
    let mut sum = Arm::default();
    for arm in now.arms.iter().filter(|arm| arm.version == version) {
        let same = |other: &&ArmCount| other.version == version && other.generation == arm.generation;
        let earlier = before.arms.iter().find(same).cloned().unwrap_or_default();
        let left = |now: u64, before: u64| now.saturating_sub(before);
        let errors = Errors {
            server: left(arm.errors.server, earlier.errors.server),
            connection: left(arm.errors.connection, earlier.errors.connection),
            timeout: left(arm.errors.timeout, earlier.errors.timeout),
            client: left(arm.errors.client, earlier.errors.client),
        };
        let mut latency = Histogram::default();
        for (micros, count) in &arm.latency {
            let known = earlier.latency.iter().find(|(other, _)| other == micros).map_or(0, |(_, count)| *count);
            latency.record_many(*micros, left(*count, known));
        }
        sum.requests += left(arm.ended, earlier.ended);
        sum.errors.server += errors.server;
        sum.errors.connection += errors.connection;
        sum.errors.timeout += errors.timeout;
        sum.errors.client += errors.client;
        sum.latency.merge(&latency);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(generation: u64, version: &str, ended: u64, server: u64) -> ArmCount {
        let errors = Errors { server, ..Errors::default() };
        let latency = vec![(1_000, ended)];
        ArmCount { generation, version: version.into(), ended, errors, latency, ..ArmCount::default() }
    }

    #[test]
    fn windows_are_differences_over_all_generations() {
        let mut windows = Windows::default();
        let mut look = |second: i64, arms: Vec<ArmCount>| {
            windows.next(Micros(second * 1_000_000), &Counts { epoch: 1, arms }, "2", Some("1"))
        };
        assert_eq!(look(0, vec![count(1, "1", 100, 7), count(1, "2", 10, 3)]), None);
        let window = look(1, vec![count(1, "1", 150, 7), count(1, "2", 15, 4)]).unwrap();
        assert_eq!((window.canary.requests, window.canary.errors.server), (5, 1));
        assert_eq!((window.baseline.requests, window.baseline.errors.server), (50, 0));
        assert_eq!(window.canary.latency.total(), 5);
        // A new edge begins at nothing while the old one drains.
        let arms = vec![count(1, "1", 160, 7), count(1, "2", 16, 4), count(2, "2", 20, 0)];
        let window = look(2, arms).unwrap();
        assert_eq!((window.canary.requests, window.canary.errors.server, window.baseline.requests), (21, 0, 10));
        // It is gone with its counts.
        let window = look(3, vec![count(2, "2", 25, 0)]).unwrap();
        assert_eq!((window.canary.requests, window.baseline.requests), (5, 0));
        assert_eq!(look(3, vec![count(2, "2", 99, 0)]), None);
    }
}
