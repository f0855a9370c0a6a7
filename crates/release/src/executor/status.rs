//! A release as it is shown: what is written, what is seen, and why it waits.

use serde::Serialize;
use signalbox_canary::evidence::estimate::Difference;
use signalbox_canary::verdict::{ArmEstimate, Outcome as Verdict, Unit, Verdict as Said};
use signalbox_core::time::Micros;

use super::release::{Kind, Release};
use crate::model::exit::Exit;
use crate::model::machine::{Direction, Event, Journal, Observation, Progress, State};
use crate::model::plan::{Action, StepId, Undo};
use crate::model::value::{Digest, Name, Percent, Version};

/// A release at a moment.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    pub id: String,
    pub service: Name,
    pub from: Option<Version>,
    pub to: Version,
    pub kind: Kind,
    pub by: String,
    pub begun: Micros,
    pub at: Micros,
    pub plan: Digest,
    #[serde(flatten)]
    pub state: State,
    /// The step that is under way.
    pub current: Option<StepId>,
    /// Which of how many steps of the canary.
    pub canary_step: Option<(usize, usize)>,
    /// Why nothing moves at this moment.
    pub waiting: String,
    pub versions: Vec<VersionStatus>,
    pub metrics: Vec<MetricStatus>,
    /// How many records the journal has.
    pub records: u64,
    /// From the decision to go back until no request was assigned to the new version.
    pub routed_back_in_ms: Option<i64>,
    /// What a command that watches ends with; none while it goes on.
    pub exit: Option<Exit>,
}

/// A version as it is seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VersionStatus {
    pub version: Version,
    pub running: u64,
    pub ready: u64,
    /// As it is set.
    pub weight: Percent,
    /// Of the requests since that weight, in percent; none where there were none.
    pub observed: Option<f64>,
    pub in_flight: u64,
}

/// A metric, a limit or the breaker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricStatus {
    pub name: String,
    pub outcome: Verdict,
    pub shadow: bool,
    pub said: String,
    /// The figures of a comparison; a limit has none of its own.
    pub evidence: Option<MetricEvidence>,
}

/// What a comparison has found so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricEvidence {
    /// As it was set: `+0.5 points`.
    pub limit: String,
    pub unit: Unit,
    pub canary: Option<ArmEstimate>,
    pub baseline: Option<ArmEstimate>,
    /// New minus old, in `unit`; of latencies a part of the old one. It covers the truth at all times with 95 %.
    pub difference: Option<Difference>,
    /// About how many more requests decide it.
    pub more: Option<u64>,
}

impl Status {
    /// Of a release that runs.
    pub(super) fn of(
        release: &Release,
        journal: &Journal,
        now: &Observation,
        verdict: Option<&Said>,
        waiting: String,
    ) -> Self {
        let progress = Progress::of(journal);
        let plan = journal.plan();
        let mut status = Self::bare(&release.id, &release.request, journal, State::of(&progress, now));
        status.at = now.now;
        status.waiting = waiting;
        let seen = now.versions.iter().map(|(version, seen)| VersionStatus {
            version: version.clone(),
            running: seen.running,
            ready: seen.ready,
            weight: seen.weight,
            observed: (seen.assigned.1 > 0)
                .then(|| (10_000.0 * seen.assigned.0 as f64 / seen.assigned.1 as f64).round() / 100.0),
            in_flight: seen.in_flight,
        });
        status.versions = seen.collect();
        status.versions.sort_by_key(|one| (Some(&one.version) != plan.from.as_ref(), one.version != plan.to));
        status.metrics = verdict.map(metrics).unwrap_or_default();
        status
    }

    /// Of what is written alone.
    pub fn bare(id: &str, request: &super::release::Request, journal: &Journal, state: State) -> Self {
        let plan = journal.plan();
        let progress = Progress::of(journal);
        let current = progress.current().filter(|_| progress.ended.is_none()).map(|step| step.id);
        let weights = plan.steps().filter(|step| matches!(step.action, Action::Judge { .. }));
        let weights: Vec<StepId> = weights.map(|step| step.id).collect();
        let canary_step = current.filter(|id| weights.first().is_some_and(|first| *id >= before(*first)));
        let canary_step = canary_step.and_then(|id| {
            let place = weights.iter().position(|one| *one >= id)?;
            Some((place + 1, weights.len()))
        });
        let records = journal.records();
        Self {
            id: id.to_owned(),
            service: plan.service.clone(),
            from: plan.from.clone(),
            to: plan.to.clone(),
            kind: request.kind,
            by: request.by.clone(),
            begun: records[0].at,
            at: records.last().map_or(records[0].at, |last| last.at),
            plan: plan.hash,
            exit: state.exit(),
            state,
            current,
            canary_step,
            waiting: String::new(),
            versions: Vec::new(),
            metrics: Vec::new(),
            records: records.len() as u64,
            routed_back_in_ms: routed_back_in(journal),
        }
    }
}

/// The step that gives a weight stands right before its judgement, capacity before that.
fn before(judge: StepId) -> StepId {
    StepId { step: judge.step.saturating_sub(2).max(1), ..judge }
}

/// Each comparison and each limit of a verdict.
pub(crate) fn metrics(said: &Said) -> Vec<MetricStatus> {
    let compared = said.metrics.iter().map(|metric| MetricStatus {
        name: metric.metric.clone(),
        outcome: metric.outcome,
        shadow: metric.shadow,
        said: metric.words.clone(),
        evidence: Some(MetricEvidence {
            limit: metric.limit.clone(),
            unit: metric.unit,
            canary: metric.canary,
            baseline: metric.baseline,
            difference: metric.difference,
            more: metric.more,
        }),
    });
    let rules = said.rules.iter().map(|rule| MetricStatus {
        name: rule.rule.clone(),
        outcome: rule.outcome,
        shadow: false,
        said: rule.words.clone(),
        evidence: None,
    });
    compared.chain(rules).collect()
}

/// How long it took from the decision until the routes were back.
fn routed_back_in(journal: &Journal) -> Option<i64> {
    let records = journal.records();
    let begun = records.iter().find(|record| matches!(record.event, Event::RollbackBegun { .. }))?;
    let routes = |id: StepId| journal.plan().step(id).is_some_and(|step| matches!(step.undo, Undo::RouteAll { .. }));
    let back = records.iter().find(|record| match &record.event {
        Event::Effect { step, direction: Direction::Undo, .. } => routes(*step),
        _ => false,
    })?;
    Some((back.at.0 - begun.at.0) / 1000)
}
