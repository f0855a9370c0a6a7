//! What only the service itself knows of its versions, where it is engage: whether hits are recorded, mails delivered,
//! links clicked. The binary wires the store of the service into it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use signalbox_canary::window::Tally;

use crate::model::manifest::Business as Metric;

/// Tells the service which versions there are, and what it counted of them. Neither waits for anything: a store that is
/// dead may stop no way back.
pub trait Business: Send + Sync {
    /// What is seen at this moment; the newest counts.
    fn announce(&self, seen: Announcement);
    /// What was counted so far, or why that is not known.
    fn counts(&self, metric: Metric) -> Result<Vec<Count>, String>;
}

/// The versions as they are now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Announcement {
    /// Of the lead.
    pub epoch: u64,
    pub shares: Vec<Share>,
    /// Healthy instances for traffic, by version.
    pub instances: Vec<(String, SocketAddr)>,
    /// Answers through the data plane that say that a hit is on disk, by its generation and by version.
    pub recorded: Vec<(u64, String, u64)>,
}

/// A version and what it has of the traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    pub version: String,
    /// In hundredths of a percent.
    pub weight: u32,
    /// The one that does what only one version may do.
    pub promoted: bool,
}

/// Events among trials of a version, since whenever: only differences are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    pub version: String,
    pub trials: u64,
    pub events: u64,
}

/// What the trials of a metric are called.
pub(super) fn trials(metric: Metric) -> &'static str {
    match metric {
        Metric::TrackingAccuracy => "synthetic hits",
        Metric::Delivery => "deliveries and bounces",
        Metric::ClickThrough => "opens",
        Metric::Recording => "recorded hits",
    }
}

/// From counts to what came since the last look.
#[derive(Debug, Default)]
pub(super) struct Differences(BTreeMap<(&'static str, String), Taken>);

/// Where counting began, and what was handed on since.
#[derive(Debug, Clone, Copy)]
struct Taken {
    from: (u64, u64),
    /// The most that was seen: a verdict on a hit may change later, and take it away again.
    most: (u64, u64),
    handed: (u64, u64),
}

impl Differences {
    /// What both versions did since the last look. An event may be counted before its trial: then it waits for one.
    pub(super) fn since(
        &mut self,
        metric: Metric,
        counts: &[Count],
        canary: &str,
        baseline: Option<&str>,
    ) -> (Tally, Tally) {
        let mut of = |version: &str| {
            let found = counts.iter().find(|count| count.version == version);
            let now = found.map_or((0, 0), |count| (count.trials, count.events));
            let key = (trials(metric), version.to_owned());
            let taken = self.0.entry(key).or_insert(Taken { from: now, most: now, handed: (0, 0) });
            taken.most = (taken.most.0.max(now.0), taken.most.1.max(now.1));
            let trials = taken.most.0 - taken.from.0 - taken.handed.0;
            let events = (taken.most.1 - taken.from.1 - taken.handed.1).min(trials);
            taken.handed = (taken.handed.0 + trials, taken.handed.1 + events);
            Tally { events, trials }
        };
        (of(canary), baseline.map_or_else(Tally::default, of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_on_is_what_came_since() {
        let mut differences = Differences::default();
        let mut look = |trials, events| {
            let count = |version: &str, trials, events| Count { version: version.into(), trials, events };
            let counts = [count("1", 1000, 900), count("2", trials, events)];
            let (canary, baseline) = differences.since(Metric::Recording, &counts, "2", Some("1"));
            assert_eq!(baseline, Tally::default());
            (canary.trials, canary.events)
        };
        assert_eq!(look(50, 40), (0, 0), "what was before says nothing");
        assert_eq!(look(60, 49), (10, 9));
        assert_eq!(look(60, 55), (0, 0));
        assert_eq!(look(70, 55), (10, 6), "events that were early are not lost");
        assert_eq!(look(70, 50), (0, 0));
        assert_eq!(look(80, 54), (10, 0), "what was taken away again is counted once");
        assert_eq!(look(81, 56), (1, 1));
    }

    #[test]
    fn a_version_that_appears_later_begins_at_nothing_when_it_was_looked_for() {
        let mut differences = Differences::default();
        assert_eq!(differences.since(Metric::Delivery, &[], "2", None).0, Tally::default());
        let counts = [Count { version: "2".into(), trials: 10, events: 9 }];
        assert_eq!(differences.since(Metric::Delivery, &counts, "2", None).0, Tally { events: 9, trials: 10 });
    }
}
