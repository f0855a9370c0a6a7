//! The receipt: what was acknowledged, what is stored, and whether people and machines were told apart.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use signalbox_events::kind::Class;
use signalbox_insight::report::read_events;
use signalbox_store::{Scope, Store};

use super::play::Played;
use super::stage::Stage;

/// All figures of the demo.
#[derive(Debug, Serialize)]
pub struct Receipt {
    pub recipients: u32,
    /// Opens and clicks that were played over HTTP.
    pub hits: Hits,
    /// Sent, delivered and earlier events, which the demo writes into the log by itself.
    pub seeded: Seeded,
    /// Played as → judged as → how many.
    pub verdicts: BTreeMap<&'static str, BTreeMap<&'static str, usize>>,
    pub agreement_percent: f64,
    pub requests_per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

#[derive(Debug, Serialize)]
pub struct Hits {
    pub sent: usize,
    pub acknowledged: usize,
    /// Of the acknowledged.
    pub stored: usize,
    /// Acknowledged and not stored.
    pub lost: usize,
}

#[derive(Debug, Serialize)]
pub struct Seeded {
    pub written: usize,
    pub stored: usize,
}

const CLASSES: [Class; 3] = [Class::Human, Class::PrivacyProxy, Class::Machine];

impl Receipt {
    /// Reads the store and compares.
    pub fn write(store: &Store, stage: &Stage, played: &[Played], took: Duration) -> anyhow::Result<Self> {
        let mut classes: HashMap<String, Class> = HashMap::new();
        let mut stored: HashSet<String> = HashSet::new();
        store.read_here(&Scope::all(), |conn| {
            read_events(conn, &mut |event| {
                if let Some(verdict) = &event.verdict {
                    classes.insert(event.id.clone(), verdict.class);
                }
                stored.insert(event.id);
                Ok(())
            })
        })?;
        let acknowledged: Vec<&String> = played.iter().filter_map(|one| one.event.as_ref()).collect();
        let is_stored = |id: &&String| stored.contains(*id);
        let found = acknowledged.iter().copied().filter(is_stored).count();
        let mut verdicts: BTreeMap<&'static str, BTreeMap<&'static str, usize>> = BTreeMap::new();
        let mut agreed = 0;
        for one in played {
            let Some(class) = one.event.as_ref().and_then(|id| classes.get(id)) else { continue };
            *verdicts.entry(one.played.word()).or_default().entry(class.word()).or_default() += 1;
            agreed += usize::from(*class == one.played);
        }
        let mut times: Vec<_> = played.iter().map(|one| one.took).collect();
        times.sort_unstable();
        let percentile = |share: f64| {
            times
                .get(((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1)))
                .map_or(0.0, |took| took.as_secs_f64() * 1e3)
        };
        Ok(Self {
            recipients: stage.recipients,
            hits: Hits {
                sent: played.len(),
                acknowledged: acknowledged.len(),
                stored: found,
                lost: acknowledged.len() - found,
            },
            seeded: Seeded { written: stage.logged.len(), stored: stage.logged.iter().filter(is_stored).count() },
            verdicts,
            agreement_percent: agreed as f64 * 100.0 / played.len().max(1) as f64,
            requests_per_second: played.len() as f64 / took.as_secs_f64(),
            p50_ms: percentile(0.50),
            p99_ms: percentile(0.99),
        })
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::from("receipt\n");
        let _ = writeln!(
            text,
            "  hits       sent {}  acknowledged {}  stored {}  lost {}",
            self.hits.sent, self.hits.acknowledged, self.hits.stored, self.hits.lost
        );
        let _ = writeln!(
            text,
            "  speed      {:.0} hits a second   p50 {:.1} ms  p99 {:.1} ms",
            self.requests_per_second, self.p50_ms, self.p99_ms
        );
        let _ = writeln!(
            text,
            "  history    {} events written by the demo itself, stored {}",
            self.seeded.written, self.seeded.stored
        );
        let _ = writeln!(text, "  verdicts   as played {:.1} %", self.agreement_percent);
        let _ = writeln!(text, "    {:15} {:>10} {:>15} {:>9}", "played as", "human", "privacy proxy", "machine");
        for played in CLASSES {
            let count = |judged: Class| {
                self.verdicts.get(played.word()).and_then(|row| row.get(judged.word())).copied().unwrap_or_default()
            };
            let name = played.word().replace('_', " ");
            let _ = writeln!(
                text,
                "    {name:15} {:>10} {:>15} {:>9}",
                count(Class::Human),
                count(Class::PrivacyProxy),
                count(Class::Machine)
            );
        }
        text
    }
}
