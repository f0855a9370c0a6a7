//! Triggers that look at instances: health, memory, leaks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use signalbox_core::time::{Micros, SECOND};

use crate::driver::{Instance, InstanceId, State};
use crate::model::limits::{Bound, Side};
use crate::model::machine::{TriggerKind, Tripped};
use crate::model::manifest::{Manifest, Vulnerability};

/// Watches the instances of the new version.
#[derive(Default)]
pub(super) struct Watch {
    /// Those that were healthy once.
    were_well: BTreeSet<InstanceId>,
    /// When an instance was first seen.
    seen: BTreeMap<InstanceId, Micros>,
    /// Since when an instance uses more than it should.
    above: BTreeMap<InstanceId, Micros>,
    /// What an instance used, once a second.
    memory: BTreeMap<InstanceId, VecDeque<(Micros, u64)>>,
    content: BTreeMap<usize, (u32, String)>,
    /// Since when the new version does not reach its database and the old one does, and what it says.
    without_database: Option<(Micros, String)>,
    /// What the advisories say of what runs.
    vulnerable: Option<String>,
}

/// So many wrong answers in a row of the same probe.
const WRONG: u32 = 2;

impl Watch {
    /// Looks at the instances of the new version in production and says what trips.
    pub(super) fn look(&mut self, now: Micros, manifest: &Manifest, instances: &[&Instance]) -> Vec<Tripped> {
        let mut tripped = Vec::new();
        for instance in instances {
            tripped.extend(self.health(now, manifest, instance));
            tripped.extend(self.memory(now, manifest, instance));
            tripped.extend(self.leak(now, manifest, instance));
        }
        let held = manifest.rollback.database.on().map(|away| away.0.micros());
        let away = self.without_database.as_ref().filter(|(since, _)| held.is_some_and(|held| now.0 - since.0 >= held));
        tripped.extend(away.map(|(_, said)| Tripped { kind: TriggerKind::Database, said: said.clone() }));
        let vulnerable = self.vulnerable.as_ref().filter(|_| manifest.rollback.vulnerability != Vulnerability::Off);
        tripped.extend(vulnerable.map(|said| Tripped { kind: TriggerKind::Vulnerability, said: said.clone() }));
        let wrong = self.content.values().find(|(count, _)| *count >= WRONG);
        tripped.extend(wrong.map(|(_, said)| Tripped { kind: TriggerKind::Content, said: said.clone() }));
        tripped
    }

    /// What a probe of content found in production.
    pub(super) fn probed(&mut self, probe: usize, found: Result<(), String>) {
        match found {
            Ok(()) => drop(self.content.remove(&probe)),
            Err(said) => {
                let entry = self.content.entry(probe).or_default();
                *entry = (entry.0 + 1, said);
            }
        }
    }

    /// Whether each version reaches its database. Where the old one does not either, the new one is not to blame.
    pub(super) fn asked_for_database(&mut self, now: Micros, new: Result<(), String>, old: Option<Result<(), String>>) {
        self.without_database = match (new, old) {
            (Err(said), None | Some(Ok(()))) => {
                let since = self.without_database.as_ref().map_or(now, |(since, _)| *since);
                Some((since, format!("the database is away for the new version: {said}")))
            }
            _ => None,
        };
    }

    /// What the advisories say of what runs: nothing, or what is wrong with it.
    pub(super) fn advised(&mut self, found: Result<(), String>) {
        self.vulnerable = found.err().map(|said| format!("an advisory speaks of what runs: {said}"));
    }

    fn health(&mut self, now: Micros, manifest: &Manifest, instance: &Instance) -> Option<Tripped> {
        let limit = manifest.rollback.health.on();
        if instance.state == State::Healthy {
            self.were_well.insert(instance.id.clone());
            return None;
        }
        let since = *self.seen.entry(instance.id.clone()).or_insert(now);
        let trips = |said: String| Some(Tripped { kind: TriggerKind::Health, said });
        let id = &instance.id;
        let exit = instance.last_exit.as_ref().map_or_else(String::new, |exit| format!(": {exit}"));
        // One that is given up brings nothing more, whatever the trigger says.
        if matches!(instance.state, State::GivenUp | State::Lost) {
            return trips(format!("{id} is {}{exit}; {}", instance.state, instance.said));
        }
        let failures = limit?.0;
        match instance.state {
            State::BackingOff if self.were_well.contains(id) => trips(format!("{id} died after it was healthy{exit}")),
            State::Unhealthy if instance.failures >= u64::from(failures) => {
                trips(format!("{id} failed {} health checks in a row: {}", instance.failures, instance.said))
            }
            // However often it was started meanwhile.
            State::Starting | State::BackingOff => {
                let startup = manifest.service.health.startup;
                let late = since.plus(startup.micros()) < now;
                if late {
                    trips(format!("{id} was not healthy within {startup}: {}{exit}", instance.said))
                } else {
                    None
                }
            }
            _ => None,
        }
    }

    fn memory(&mut self, now: Micros, manifest: &Manifest, instance: &Instance) -> Option<Tripped> {
        let threshold = manifest.rollback.memory.on()?;
        let Bound::Percent(percent) = threshold.bound else { return None };
        let (used, limit) = (instance.memory_bytes?, instance.memory_limit_bytes.filter(|limit| *limit > 0)?);
        let share = 100.0 * used as f64 / limit as f64;
        let crossed = if threshold.side == Side::Above { share > percent } else { share < percent };
        if !crossed {
            self.above.remove(&instance.id);
            return None;
        }
        let since = *self.above.entry(instance.id.clone()).or_insert(now);
        let said = format!("{} uses {share:.0} % of its memory (limit {threshold})", instance.id);
        (now.0 - since.0 >= threshold.held.micros()).then_some(Tripped { kind: TriggerKind::Memory, said })
    }

    fn leak(&mut self, now: Micros, manifest: &Manifest, instance: &Instance) -> Option<Tripped> {
        let growth = manifest.rollback.leak.on()?;
        let used = instance.memory_bytes?;
        let history = self.memory.entry(instance.id.clone()).or_default();
        if history.back().is_none_or(|(last, _)| now.0 - last.0 >= SECOND) {
            history.push_back((now, used));
        }
        let from = now.plus(-growth.within.micros());
        // The newest that is as old as the time that is looked back: before that it was warming up.
        while history.len() > 1 && history[1].0 <= from {
            history.pop_front();
        }
        let (at, before) = *history.front()?;
        let grown = 100.0 * (used as f64 - before as f64) / (before as f64).max(1.0);
        let said = format!("the memory of {} grew by {grown:.0} % (limit {growth})", instance.id);
        (at <= from && grown > growth.percent).then_some(Tripped { kind: TriggerKind::Leak, said })
    }
}
