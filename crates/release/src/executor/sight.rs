//! Everything that is looked at while a release runs, and what must be asked again and again meanwhile.

use std::net::SocketAddr;
use std::time::Duration;

use signalbox_canary::verdict::Verdict as Said;
use signalbox_core::time::{Micros, SECOND};
use tokio::sync::mpsc;

use super::business::Differences;
use super::checklist::Runs;
use super::judging::Judging;
use super::observe::{Blind, Live, Reference, drains, gate};
use super::release::{Kind, Release};
use super::router::CHANGES;
use super::watch::Watch;
use super::{backup, commands, criteria, probe, prometheus};
use crate::ask;
use crate::driver::State;
use crate::model::machine::{Event, Journal, Judged, Observation, Progress, Tripped, Verdict};
use crate::model::manifest::{Offset, ServiceKind, Source, Vulnerability};
use crate::model::plan::{Action, Phase, Plan};
use crate::model::value::{Percent, Version};

/// How often the content of the new version is looked at.
const PROBE_EVERY: i64 = 2 * SECOND;
/// How often what still is open on a version without traffic is asked to come to an end.
const DRAIN_EVERY: i64 = 5 * SECOND;
/// How often the command that knows advisories is asked again.
const ADVISORIES_EVERY: i64 = 30 * SECOND;
/// The readiness check that knows them.
const ADVISORIES: &str = "dependencies.advisories";
/// How often metrics are asked for, at most and at least.
const SAMPLE_EVERY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// What was found beside.
enum Found {
    Probe(usize, Result<(), String>),
    Sample(String, Result<f64, String>, Result<f64, String>),
    Database(Result<(), String>, Option<Result<(), String>>),
    Advisories(Result<(), String>),
}

pub(super) struct Sight {
    judging: Judging,
    differences: Differences,
    watch: Watch,
    runs: Runs,
    reference: Reference,
    found: (mpsc::UnboundedSender<Found>, mpsc::UnboundedReceiver<Found>),
    next_probe: Micros,
    next_sample: Micros,
    next_drain: Micros,
    next_database: Micros,
    next_advisories: Micros,
    sample_every: i64,
}

impl Sight {
    /// What happens to what was seen once it is decided, and once the release has ended.
    pub(super) fn take_note(&mut self, event: &Event) {
        match event {
            Event::RollbackBegun { .. } => self.judging.decide(),
            Event::Ended { .. } => self.judging.keep(),
            _ => (),
        }
    }

    pub(super) fn new(release: &Release, plan: &Plan) -> Result<Self, String> {
        let criteria = criteria(&release.manifest, plan)?;
        let hold = release.manifest.canary.steps.first().map_or(SAMPLE_EVERY.1, |step| step.hold.0 / 5);
        let sample_every = hold.clamp(SAMPLE_EVERY.0, SAMPLE_EVERY.1);
        Ok(Self {
            judging: Judging::new(&release.folder, criteria, plan.from.is_none())?,
            differences: Differences::default(),
            watch: Watch::default(),
            runs: Runs::default(),
            reference: Reference::default(),
            found: mpsc::unbounded_channel(),
            next_probe: Micros(0),
            next_sample: Micros(0),
            next_drain: Micros(0),
            next_database: Micros(0),
            next_advisories: Micros(0),
            sample_every: i64::try_from(sample_every.as_micros()).unwrap_or(SECOND),
        })
    }

    /// What the comparison says.
    pub(super) fn verdict(&self) -> Said {
        self.judging.verdict()
    }

    /// Looks at everything.
    pub(super) async fn look(&mut self, release: &Release, journal: &Journal) -> Result<Observation, Blind> {
        let live = match Live::look(release).await {
            Ok(live) => live,
            Err(blind) => {
                self.judging.lost_sight();
                return Err(blind);
            }
        };
        let newest = release.tools.epoch.saturating_add(1).saturating_mul(CHANGES);
        if live.routes.epoch >= newest {
            let said = format!("routes {} are those of another controller", live.routes.epoch);
            return Err(Blind::Superseded(said));
        }
        let plan = journal.plan();
        let progress = Progress::of(journal);
        let now = release.tools.clock.now();
        let versions = live.seen(plan, &mut self.reference);
        let weight = versions.get(&plan.to).map_or(Percent::NONE, |seen| seen.weight);
        while let Ok(found) = self.found.1.try_recv() {
            match found {
                Found::Probe(number, found) => self.watch.probed(number, found),
                Found::Sample(name, canary, baseline) => self.judging.sample(&name, canary, baseline),
                Found::Database(new, old) => self.watch.asked_for_database(now, new, old),
                Found::Advisories(found) => self.watch.advised(found),
            }
        }
        self.business(release, &live, &progress);
        self.judging.look(now, &live.counts, weight);
        let observation = Observation {
            now,
            applied: match backup::applied(release.service_folder()) {
                Ok(applied) => applied.into_iter().map(|one| one.number).collect(),
                Err(why) => return Err(Blind::Passing(why)),
            },
            staging: live.staging_is_well(&plan.to),
            copy: release.copy().is_dir(),
            tripped: self.tripped(release, &live, plan, now),
            judged: self.judged(release, &progress),
            gate: gate(release, journal, self.runs.failed()),
            versions,
        };
        if progress.ended.is_none() {
            self.ask(release, &live, &progress, &observation);
        }
        Ok(observation)
    }

    /// Tells the service which versions there are, and takes in what it counted of them.
    fn business(&mut self, release: &Release, live: &Live, progress: &Progress<'_>) {
        if release.manifest.service.kind != ServiceKind::Engage {
            return;
        }
        let plan = progress.plan;
        let (to, from) = (plan.to.as_str(), plan.from.as_ref().map(|version| version.as_str()));
        let business = release.tools.business.as_ref();
        if let Some(business) = business {
            let settled = progress.current().is_none_or(|step| step.id.phase == Phase::PostDeployment.number());
            let promoted = from.filter(|_| progress.rollback.is_some() || !settled).unwrap_or(to);
            let versions: Vec<&str> = from.into_iter().chain([to]).collect();
            business.announce(live.announcement(release.tools.epoch, &versions, promoted));
        }
        for metric in &release.manifest.canary.metrics {
            let Source::Business(kind) = metric.source else { continue };
            let counts = business.map_or_else(|| Err("nobody asks the service".to_owned()), |one| one.counts(kind));
            let found = counts.map(|counts| self.differences.since(kind, &counts, to, from));
            self.judging.share(&metric.name, found);
        }
    }

    fn judged(&self, release: &Release, progress: &Progress<'_>) -> Option<Judged> {
        let step = progress.current()?;
        let Action::Judge { weight, .. } = &step.action else { return None };
        if release.request.kind == Kind::Rollback {
            let said = "a way back waits for no verdict".into();
            return Some(Judged { step: step.id, verdict: Verdict::Pass, said });
        }
        Some(self.judging.judged(step.id, *weight))
    }

    fn tripped(&mut self, release: &Release, live: &Live, plan: &Plan, now: Micros) -> Vec<Tripped> {
        // What an earlier release left dead says nothing of this one.
        let of_this = live.production(&plan.to).filter(|one| one.state.lives() || one.since >= release.request.at);
        let mut tripped = self.watch.look(now, &release.manifest, &of_this.collect::<Vec<_>>());
        tripped.extend(self.judging.tripped());
        tripped
    }

    /// Sends off what has to be asked beside: content, metrics, the end of what is open.
    fn ask(&mut self, release: &Release, live: &Live, progress: &Progress<'_>, now: &Observation) {
        let plan = progress.plan;
        if progress.current().is_some_and(|step| matches!(step.action, Action::AwaitGo { .. })) {
            self.runs.turn(release, Offset::is_before);
        }
        let seen = now.seen(&plan.to);
        if seen.ready > 0 && progress.rollback.is_none() && now.now >= self.next_probe {
            self.next_probe = now.now.plus(PROBE_EVERY);
            let probes = release.manifest.staging.as_ref().map_or(&[][..], |staging| &staging.probes);
            let healthy = live.production(&plan.to).find(|one| one.state == State::Healthy);
            for (number, probe) in probes.iter().enumerate() {
                let Some(address) = healthy.map(|one| one.address) else { break };
                let (probe, found) = (probe.clone(), self.found.0.clone());
                tokio::spawn(async move {
                    let went = probe::one(&probe, address).await;
                    // Nobody hears it once the release has ended.
                    let _ = found.send(Found::Probe(number, went));
                });
            }
        }
        if seen.ready > 0 && progress.rollback.is_none() && now.now >= self.next_database {
            self.next_database = now.now.plus(PROBE_EVERY);
            self.ask_for_database(release, live, plan);
        }
        if seen.weight != Percent::NONE && progress.rollback.is_none() && now.now >= self.next_advisories {
            self.next_advisories = now.now.plus(ADVISORIES_EVERY);
            self.ask_for_advisories(release);
        }
        if seen.weight != Percent::NONE && now.now >= self.next_sample {
            self.next_sample = now.now.plus(self.sample_every);
            self.sample(release, plan);
        }
        let draining = |version| {
            let seen = now.seen(version);
            let asked =
                progress.rollback.is_some() || progress.current().is_some_and(|step| drains(&step.action, version));
            asked && seen.weight == Percent::NONE && seen.in_flight > 0
        };
        if now.now >= self.next_drain
            && let Some(version) = plan.from.iter().chain([&plan.to]).find(|version| draining(version))
        {
            self.next_drain = now.now.plus(DRAIN_EVERY);
            let (router, version) = (release.tools.router.clone(), version.to_string());
            let within = u64::try_from(release.manifest.service.drain.0.as_millis() / 2).unwrap_or(u64::MAX).max(1);
            tokio::spawn(async move {
                if let Err(error) = router.plane().drain(version, within).await {
                    tracing::warn!(%error, "what is open could not be asked to end");
                }
            });
        }
    }

    /// One instance of each version says whether it reaches its database.
    fn ask_for_database(&self, release: &Release, live: &Live, plan: &Plan) {
        let health = &release.manifest.service.health;
        let (Some(path), Some(_)) = (health.database.clone(), release.manifest.rollback.database.on()) else { return };
        let of = |version: &Version| live.production(version).find(|one| one.state.lives()).map(|one| one.address);
        let Some(new) = of(&plan.to) else { return };
        let old = plan.from.as_ref().and_then(of);
        let (found, patience) = (self.found.0.clone(), health.timeout.0);
        tokio::spawn(async move {
            let asked = |address: SocketAddr| {
                let path = path.clone();
                async move {
                    match ask::get(&format!("http://{address}{path}"), patience).await {
                        Ok(answer) if answer.status == 200 => Ok(()),
                        Ok(answer) => Err(format!("{path} answered {} instead of 200", answer.status)),
                        Err(why) => Err(why),
                    }
                }
            };
            let old = async {
                match old {
                    Some(address) => Some(asked(address).await),
                    None => None,
                }
            };
            let (new, old) = tokio::join!(asked(new), old);
            // Nobody hears it once the release has ended.
            let _ = found.send(Found::Database(new, old));
        });
    }

    /// The command of the readiness check is asked again: an advisory may have appeared since.
    fn ask_for_advisories(&self, release: &Release) {
        let severity = match release.manifest.rollback.vulnerability {
            Vulnerability::Off => return,
            Vulnerability::High => "high",
            Vulnerability::Critical => "critical",
        };
        let Some(command) = release.manifest.readiness.commands.get(ADVISORIES) else { return };
        let words = release.words(command, release.manifest.service.ports.first, &release.tools.data);
        let (base, found) = (release.request.base.clone(), self.found.0.clone());
        tokio::spawn(async move {
            let told = [("SIGNALBOX_CHECK", ADVISORIES.to_owned()), ("SIGNALBOX_SEVERITY", severity.to_owned())];
            let went = commands::run(&words, &base, &told).await.map(drop);
            // Nobody hears it once the release has ended.
            let _ = found.send(Found::Advisories(went));
        });
    }

    fn sample(&self, release: &Release, plan: &Plan) {
        for metric in &release.manifest.canary.metrics {
            let Source::Query(query) = &metric.source else { continue };
            let (name, query, found) = (metric.name.clone(), query.clone(), self.found.0.clone());
            let (to, from) = (plan.to.to_string(), plan.from.as_ref().map(ToString::to_string));
            let Some(base) = release.tools.prometheus.clone() else {
                let none = || Err("no Prometheus is named: start control with --prometheus URL".to_owned());
                let _ = found.send(Found::Sample(name, none(), none()));
                continue;
            };
            tokio::spawn(async move {
                let of = |version: Option<String>| {
                    let (base, query) = (base.clone(), query.clone());
                    async move {
                        let version = version.ok_or("there is no version to compare with")?;
                        prometheus::query(&base, &prometheus::for_version(&query, &version)).await
                    }
                };
                let (canary, baseline) = tokio::join!(of(Some(to)), of(from));
                let _ = found.send(Found::Sample(name, canary, baseline));
            });
        }
    }
}
