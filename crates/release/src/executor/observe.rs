//! What is seen at a moment: instances, routes, counts, the database, the gate.

use std::collections::{BTreeMap, BTreeSet};

use super::business::{Announcement, Share};
use super::checklist::{self, Failed};
use super::plane::{Counts, PlaneError, RouteTable};
use super::release::{Kind, Release};
use crate::driver::{Instance, Role, State};
use crate::model::machine::{Event, Gate, Journal, Seen};
use crate::model::plan::{Action, Plan, lint};
use crate::model::readiness::{self, SignOff};
use crate::model::value::{Percent, Version};

/// The data plane and the instances, as they are.
#[derive(Debug, Clone, Default)]
pub(super) struct Live {
    pub routes: RouteTable,
    pub counts: Counts,
    pub instances: Vec<Instance>,
}

/// Why nothing is seen.
#[derive(Debug)]
pub(super) enum Blind {
    /// It may pass.
    Passing(String),
    /// Another controller leads.
    Superseded(String),
}

/// What was counted when the present routes came into force: shares are counted from there.
#[derive(Debug, Clone, Default)]
pub(super) struct Reference {
    epoch: Option<u64>,
    counts: Counts,
}

impl Live {
    /// Looks, and keeps the routes in step with the instances.
    pub(super) async fn look(release: &Release) -> Result<Self, Blind> {
        let tools = &release.tools;
        let plane = tools.router.plane();
        let (instances, routes) = tokio::join!(tools.instances(), plane.routes());
        let instances = instances.map_err(Blind::Passing)?;
        let routes = routes?;
        let followed = tools.router.follow(&routes, &instances).await?;
        let counts = plane.counts().await?;
        Ok(Self { routes: followed.unwrap_or(routes), counts, instances })
    }

    pub(super) fn production<'a>(&'a self, version: &'a Version) -> impl Iterator<Item = &'a Instance> {
        self.instances.iter().filter(move |one| one.role == Role::Production && one.version == *version)
    }

    /// Every version that has instances, routes, or a part in the plan.
    pub(super) fn seen(&self, plan: &Plan, reference: &mut Reference) -> BTreeMap<Version, Seen> {
        if reference.epoch != Some(self.routes.epoch) {
            *reference = Reference { epoch: Some(self.routes.epoch), counts: self.counts.clone() };
        }
        let mut versions: BTreeSet<Version> =
            [Some(&plan.to), plan.from.as_ref()].into_iter().flatten().cloned().collect();
        versions.extend(self.instances.iter().map(|one| one.version.clone()));
        versions.into_iter().map(|version| (version.clone(), self.seen_of(&version, reference))).collect()
    }

    fn seen_of(&self, version: &Version, reference: &Reference) -> Seen {
        let living = || self.production(version).filter(|one| one.state.lives());
        let name = version.as_str();
        let (accepted, sessions, open) = self.counts.sum(name);
        let (accepted_before, sessions_before, _) = reference.counts.sum(name);
        let (all, all_sessions) = self.counts.sum_all();
        let (all_before, all_sessions_before) = reference.counts.sum_all();
        let weight = share(&self.routes, name);
        // Visitors stay where they are: only new ones follow the weight.
        let by_session = self.routes.sticky.is_some() && weight != Percent::NONE;
        let assigned = if by_session {
            (sessions.saturating_sub(sessions_before), all_sessions.saturating_sub(all_sessions_before))
        } else {
            (accepted.saturating_sub(accepted_before), all.saturating_sub(all_before))
        };
        Seen {
            running: living().count() as u64,
            ready: living().filter(|one| one.state == State::Healthy).count() as u64,
            weight,
            assigned,
            in_flight: open,
        }
    }

    pub(super) fn announcement(&self, epoch: u64, versions: &[&str], promoted: &str) -> Announcement {
        announcement(epoch, (&self.routes, &self.counts, &self.instances), versions, promoted)
    }

    pub(super) fn staging_is_well(&self, version: &Version) -> bool {
        let staged =
            |one: &Instance| one.role == Role::Staging && one.version == *version && one.state == State::Healthy;
        self.instances.iter().any(staged)
    }
}

/// What is told to the service of these versions.
pub(crate) fn announcement(
    epoch: u64,
    (routes, counts, instances): (&RouteTable, &Counts, &[Instance]),
    versions: &[&str],
    promoted: &str,
) -> Announcement {
    let shares = versions.iter().map(|version| Share {
        version: (*version).to_owned(),
        weight: u32::from(share(routes, version).basis_points()),
        promoted: *version == promoted,
    });
    let healthy = instances.iter().filter(|one| {
        let of_these = versions.contains(&one.version.as_str());
        of_these && one.role == Role::Production && one.state == State::Healthy
    });
    let recorded = counts.arms.iter().map(|arm| (arm.generation, arm.version.clone(), arm.recorded));
    Announcement {
        epoch,
        shares: shares.collect(),
        instances: healthy.map(|one| (one.version.to_string(), one.address)).collect(),
        recorded: recorded.collect(),
    }
}

/// The share of a version in the routes.
pub(crate) fn share(routes: &RouteTable, version: &str) -> Percent {
    let all: u64 = routes.arms.iter().map(|arm| u64::from(arm.weight)).sum();
    let own = u64::from(routes.weight(version));
    match all {
        0 => Percent::NONE,
        _ => Percent::from_basis_points(u16::try_from(own * 10_000 / all).unwrap_or(10_000)),
    }
}

/// Who signed the plan of this release.
pub(crate) fn signed(journal: &Journal) -> Vec<SignOff> {
    let plan = journal.plan().hash;
    let signed = journal.records().iter().filter_map(|record| match &record.event {
        Event::Signed { role, who } => Some(SignOff { role: role.clone(), who: who.clone(), at: record.at, plan }),
        _ => None,
    });
    signed.collect()
}

/// Whether production may change: risks, the checklist, signatures and the window.
pub(super) fn gate(release: &Release, journal: &Journal, failed: &Failed) -> Gate {
    if release.request.kind == Kind::Rollback {
        return Gate::Open;
    }
    match checklist::obstacles(release, failed) {
        Ok(obstacles) if obstacles.is_empty() => (),
        Ok(obstacles) => return Gate::NoGo { said: obstacles.join("; ") },
        Err(said) => return Gate::NoGo { said },
    }
    let now = release.tools.clock.now();
    let plan = journal.plan();
    let missing = readiness::sign_offs(&release.manifest.approvals, &signed(journal), plan.hash, now);
    let missing: Vec<String> = missing
        .into_iter()
        .filter(|(_, state)| !state.is_signed())
        .map(|(role, state)| format!("{role} {}", state.words()))
        .collect();
    if !missing.is_empty() {
        return Gate::AwaitingApproval { said: missing.join("; ") };
    }
    match release.manifest.calendar.decide(now) {
        crate::model::calendar::Decision::Open { .. } => Gate::Open,
        crate::model::calendar::Decision::Closed { why, opens } => {
            let opens = opens.map_or("it does not open within a year".into(), |at| format!("it opens at {at}"));
            Gate::WindowClosed { said: format!("the window is closed: {}; {opens}", why.join(", ")) }
        }
    }
}

/// What the linter refuses; nothing where the plan may run.
pub fn refusals(release: &Release, plan: &Plan) -> Vec<String> {
    let lints = lint(plan, &release.manifest, release.tools.clock.now());
    let refused = lints.into_iter().filter(|lint| lint.severity == crate::model::plan::Severity::Refuses);
    refused.map(|lint| format!("{}: {}", lint.code.word(), lint.said)).collect()
}

/// Whether the step needs somebody who is asked to come to an end on a version without traffic.
pub(super) fn drains(action: &Action, version: &Version) -> bool {
    matches!(action, Action::Drain { version: other, .. } if other == version)
}

impl From<PlaneError> for Blind {
    fn from(error: PlaneError) -> Self {
        match error {
            PlaneError::Superseded(said) => Self::Superseded(said),
            other => Self::Passing(other.to_string()),
        }
    }
}
