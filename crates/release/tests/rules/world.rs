//! A data plane in memory that obeys, breaks or hangs as it is told, and refuses what must never be asked of it.

use std::collections::{BTreeMap, BTreeSet};

use signalbox_core::time::{Micros, SECOND};
use signalbox_release::model::machine::{
    Direction, Event, Gate, Journal, Judged, Next, Observation, Outcome, Progress, Seen, TriggerKind, Tripped, Verdict,
    resume,
};
use signalbox_release::model::migration::Kind;
use signalbox_release::model::plan::{Action, Plan, StepId, Undo};
use signalbox_release::model::value::{Percent, Version};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trouble {
    None,
    /// The comparison fails from this weight on.
    WorseFrom(Percent),
    /// There are never enough requests at this weight.
    NeverDecided(Percent),
    /// Nothing is measured at this weight.
    NothingMeasured(Percent),
    /// A trigger trips from this weight on.
    TripsFrom(Percent),
    /// A trigger trips once the contract has run.
    TripsAfterContract,
    /// A trigger trips once the old version is stopped, before the contract.
    TripsAfterStop,
    Fails(StepId),
    /// Acting brings nothing about.
    Hangs(StepId),
    /// The comparison fails, and no undo works either.
    UndoFails,
}

#[derive(Debug, Clone)]
pub struct World {
    pub now: Micros,
    pub versions: BTreeMap<Version, Seen>,
    pub applied: BTreeSet<u32>,
    pub staging: bool,
    pub copy: bool,
    pub trouble: Trouble,
}

/// What is left when a release has ended, or waits for a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    pub outcome: Option<Outcome>,
    pub versions: Vec<(Version, u64, Percent)>,
    pub applied: BTreeSet<u32>,
    pub staging: bool,
    pub copy: bool,
}

impl World {
    pub fn new(plan: &Plan, instances: u64, trouble: Trouble, now: Micros) -> Self {
        let seen =
            Seen { running: instances, ready: instances, weight: Percent::ALL, assigned: (900, 900), in_flight: 3 };
        let versions = plan.from.iter().map(|from| (from.clone(), seen)).collect();
        Self { now, versions, applied: BTreeSet::new(), staging: false, copy: false, trouble }
    }

    pub fn observe(&self, journal: &Journal) -> Observation {
        let plan = journal.plan();
        let weight = self.versions.get(&plan.to).map_or(Percent::NONE, |seen| seen.weight);
        let contract_ran = plan.steps().any(|step| match &step.action {
            Action::Migrate { kind: Kind::Contract, number, .. } => self.applied.contains(number),
            _ => false,
        });
        let stopped = plan.from.as_ref().is_some_and(|from| self.versions[from].running == 0);
        let trips = match self.trouble {
            Trouble::TripsFrom(from) => weight >= from,
            Trouble::TripsAfterContract => contract_ran,
            Trouble::TripsAfterStop => stopped && !contract_ran && weight == Percent::ALL,
            _ => false,
        };
        let tripped = trips.then(|| Tripped { kind: TriggerKind::Errors, said: "too many errors".into() });
        let step = Progress::of(journal).current();
        let judged = step.filter(|step| matches!(step.action, Action::Judge { .. })).and_then(|step| {
            let verdict = match self.trouble {
                Trouble::WorseFrom(from) if weight >= from => Verdict::Fail,
                Trouble::UndoFails => Verdict::Fail,
                Trouble::NeverDecided(at) if weight == at => Verdict::Insufficient,
                Trouble::NothingMeasured(at) if weight == at => return None,
                _ => Verdict::Pass,
            };
            Some(Judged { step: step.id, verdict, said: format!("{verdict:?}") })
        });
        Observation {
            now: self.now,
            versions: self.versions.clone(),
            applied: self.applied.clone(),
            staging: self.staging,
            copy: self.copy,
            tripped: tripped.into_iter().collect(),
            judged,
            gate: Gate::Open,
        }
    }

    /// Does or undoes a step; what must never happen panics.
    pub fn act(&mut self, plan: &Plan, step: StepId, direction: Direction) -> Result<(), String> {
        let found = plan.step(step).unwrap();
        self.now = self.now.plus(SECOND);
        match direction {
            Direction::Do if self.trouble == Trouble::Fails(step) => return Err("broken".into()),
            Direction::Do if self.trouble == Trouble::Hangs(step) => return Ok(()),
            Direction::Undo if self.trouble == Trouble::UndoFails => return Err("broken as well".into()),
            Direction::Do => self.forward(plan, &found.action),
            Direction::Undo => self.back(plan, &found.undo),
        }
        self.check(plan);
        Ok(())
    }

    fn forward(&mut self, plan: &Plan, action: &Action) {
        match action {
            Action::RestoreCopy => self.copy = true,
            Action::StartStaging { .. } => self.staging = true,
            Action::StopStaging => (self.staging, self.copy) = (false, false),
            Action::Migrate { number, kind, .. } => {
                let old_lives = plan.from.as_ref().is_some_and(|from| self.versions[from].running > 0);
                assert!(*kind != Kind::Contract || !old_lives, "a contract ran while the old version lived");
                assert!(self.applied.insert(*number), "a migration ran twice");
            }
            Action::Scale { version, instances } => self.start(version, *instances),
            Action::SetWeight { version, weight } => self.route(plan, version, *weight),
            Action::Drain { .. } => (),
            Action::Stop { version } => self.stop(version),
            _ => (),
        }
    }

    fn back(&mut self, plan: &Plan, undo: &Undo) {
        match undo {
            Undo::RemoveCopy => self.copy = false,
            Undo::StopStaging => self.staging = false,
            Undo::StartAgain { version, instances } => self.start(version, *instances),
            Undo::RouteAll { to } => self.route(plan, to, Percent::ALL),
            Undo::StopInstances { version } if plan.from.is_none() => {
                self.versions.insert(version.clone(), Seen::default());
            }
            Undo::StopInstances { version } => self.stop(version),
            other => panic!("asked to undo: {other}"),
        }
    }

    fn start(&mut self, version: &Version, instances: u64) {
        let seen = self.versions.entry(version.clone()).or_default();
        seen.running = seen.running.max(instances);
        seen.ready = seen.running;
    }

    fn route(&mut self, plan: &Plan, version: &Version, weight: Percent) {
        let other = if *version == plan.to { plan.from.as_ref() } else { Some(&plan.to) };
        let rest = Percent::ALL.basis_points() - weight.basis_points();
        let shares = [(Some(version), weight.basis_points()), (other, rest)];
        for (version, points) in shares.into_iter().filter_map(|(version, points)| Some((version?, points))) {
            let seen = self.versions.entry(version.clone()).or_default();
            seen.weight = serde_json::from_value((f64::from(points) / 100.0).into()).unwrap();
            seen.assigned = (u64::from(points), 10_000);
            // Those that are under way go on.
            seen.in_flight = if points > 0 { 3 } else { seen.in_flight };
        }
    }

    fn stop(&mut self, version: &Version) {
        let seen = self.versions.entry(version.clone()).or_default();
        assert_eq!(
            (seen.weight, seen.in_flight),
            (Percent::NONE, 0),
            "{version} was stopped before it was routed away and drained"
        );
        *seen = Seen::default();
    }

    fn check(&self, plan: &Plan) {
        for (version, seen) in &self.versions {
            assert!(seen.weight == Percent::NONE || seen.ready > 0, "{version} has traffic and no instance");
        }
        let points: u16 = self.versions.values().map(|seen| seen.weight.basis_points()).sum();
        assert!(points == 10_000 || plan.from.is_none(), "traffic goes nowhere");
    }

    fn ending(&self, outcome: Option<Outcome>) -> Ending {
        let running = self.versions.iter().filter(|(_, seen)| seen.running > 0);
        Ending {
            outcome,
            versions: running.map(|(version, seen)| (version.clone(), seen.running, seen.weight)).collect(),
            applied: self.applied.clone(),
            staging: self.staging,
            copy: self.copy,
        }
    }
}

/// Every moment at which a controller could have died: what is written, and how the world is.
pub type Moments = Vec<(Journal, World)>;

/// Runs a release until it ends or waits for a person.
pub fn run(mut journal: Journal, mut world: World, mut moments: Option<&mut Moments>) -> Ending {
    let epoch = journal.epoch() + 1;
    let mut note = |journal: &Journal, world: &World| {
        if let Some(moments) = moments.as_deref_mut() {
            moments.push((journal.clone(), world.clone()));
        }
    };
    for _ in 0..5000 {
        let event = match resume(&journal, &world.observe(&journal)) {
            Next::Write(event) => event,
            Next::Act { step, direction, deadline } => {
                assert!(world.now < deadline, "acting after the deadline");
                let done = world.act(journal.plan(), step, direction);
                note(&journal, &world);
                match done {
                    Ok(()) => Event::Effect { step, direction, said: "done".into() },
                    Err(said) => Event::Failed { step, direction, said },
                }
            }
            Next::Wait { until: Some(until), .. } => {
                assert!(until > world.now, "waiting for the past");
                // Requests in flight end while one waits.
                world
                    .versions
                    .values_mut()
                    .filter(|seen| seen.weight == Percent::NONE)
                    .for_each(|seen| seen.in_flight = 0);
                world.now = until.min(world.now.plus(600 * SECOND));
                continue;
            }
            Next::Wait { until: None, .. } => return world.ending(None),
            Next::Done(outcome) => return world.ending(Some(outcome)),
        };
        journal.append(world.now, epoch, event).unwrap();
        note(&journal, &world);
    }
    panic!("it never ends; the last record is {:?}", journal.records().last());
}
