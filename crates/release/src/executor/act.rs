//! Doing and undoing steps. Every one does no more when it is done twice.

use std::time::Duration;

use futures_util::future::join_all;
use signalbox_core::setting::Period;

use super::release::{Kind, Release};
use super::{backup, measured, own_store, probe, readiness, staging};
use crate::driver::{Artifact, Fetched, Instance, Launch, Role, State};
use crate::model::manifest::Manifest;
use crate::model::plan::{Action, Plan, Step, Undo};
use crate::model::readiness::Baseline;
use crate::model::value::{Percent, Version};

/// How often is looked while something is waited for.
const EVERY: Duration = Duration::from_millis(50);

/// So many artifacts are kept, beside those that are in use.
const ARTIFACTS: usize = 5;

/// Does a step; says what came of it, or why it cannot be done.
pub(super) async fn forward(release: &Release, plan: &Plan, step: &Step) -> Result<String, String> {
    match &step.action {
        Action::CheckReadiness { .. } => readiness::check(release, plan).await,
        Action::ProbeTarget { version } => probe_target(release, version).await,
        Action::ClearLeftover { version } => {
            clear(release, plan, version, release.manifest.service.drain, release.manifest.service.stop).await
        }
        Action::Backup => backup::make(release).await,
        Action::VerifyBackup => backup::verify(release).await,
        Action::CheckArtifact { .. } => {
            let fetched = fetch(release, &release.manifest, &plan.to).await?.ok_or("the manifest names no artifact")?;
            Ok(format!("sha256 {}, {} bytes", fetched.sha256, fetched.bytes))
        }
        Action::RestoreCopy => backup::restore(release).await,
        Action::MigrateCopy { .. } => backup::migrate_copy(release, plan).await,
        Action::MigrateOwn { .. } => own_store::migrate(release, &release.tools.data).await,
        Action::StartStaging { version } => staging::start(release, version).await,
        Action::RunSuite { suite, .. } => staging::suite(release, *suite).await,
        Action::ProbeStaging { .. } => staging::probe(release).await,
        Action::LoadStaging { requests_per_second, lasting } => {
            staging::load(release, *requests_per_second, lasting.0).await
        }
        Action::StopStaging => staging::stop(release).await,
        Action::TakeBaseline { .. } if release.request.kind == Kind::Rollback => Ok("a way back waits for none".into()),
        Action::TakeBaseline { lasting } => baseline(release, plan, *lasting).await,
        Action::Migrate { number, .. } => backup::migrate(release, *number).await,
        Action::VerifyMigrations => backup::verify_migrations(release, plan),
        Action::Scale { version, instances } => scale(release, &release.manifest, version, *instances).await,
        Action::SetWeight { version, weight } => route(release, plan, version, *weight).await,
        Action::ProbeProduction { .. } => probe_production(release, &plan.to).await,
        Action::Stop { version } => stop(release, plan, version).await,
        Action::CleanUp => clean_up(release, plan).await,
        Action::Record => {
            // That nobody counted is no reason to go back.
            let counted = release.tools.router.plane().counts().await;
            Ok(counted.map_or_else(|error| error.to_string(), |counts| counts.receipt()))
        }
        // These wait; nothing is to be done for them.
        Action::AwaitGo { .. } | Action::Judge { .. } | Action::Bake { .. } | Action::Drain { .. } => {
            Err(format!("{} is nothing that can be done", step.action))
        }
    }
}

/// Takes a step back.
pub(super) async fn back(release: &Release, plan: &Plan, undo: &Undo) -> Result<String, String> {
    match undo {
        Undo::RouteAll { to } => route(release, plan, to, Percent::ALL).await,
        Undo::StopInstances { version } => stop(release, plan, version).await,
        Undo::StartAgain { version, instances } => {
            let (request, manifest) = release.before.as_deref().ok_or("how it was started is not known any more")?;
            let of_before = Release { request: request.clone(), manifest: manifest.clone(), ..release.clone() };
            scale(&of_before, manifest, version, *instances).await
        }
        Undo::StopStaging => staging::stop(release).await,
        Undo::RemoveCopy => backup::remove_copy(release).map(|()| "removed".into()),
        Undo::Nothing | Undo::Stays { .. } | Undo::Impossible { .. } => Ok("nothing to do".into()),
    }
}

async fn probe_target(release: &Release, version: &Version) -> Result<String, String> {
    let living = release.living(version, Role::Production).await?;
    let mut well = 0;
    let mut said = format!("no instance of {version} lives");
    for instance in &living {
        let health = release.tools.driver.health(&instance.id).await.map_err(|error| error.to_string())?;
        if health.is_well() {
            well += 1;
        } else {
            said = format!("{}: {health}", instance.id);
        }
    }
    if well == 0 { Err(said) } else { Ok(format!("{well} of {} instances of {version} are well", living.len())) }
}

async fn probe_production(release: &Release, version: &Version) -> Result<String, String> {
    let probes = release.manifest.staging.as_ref().map_or(&[][..], |staging| &staging.probes);
    let living = release.living(version, Role::Production).await?;
    let addresses: Vec<_> = living.iter().filter(|one| one.state == State::Healthy).map(|one| one.address).collect();
    if addresses.is_empty() {
        return Err(format!("no instance of {version} is healthy"));
    }
    let asked = probe::all(probes, &addresses).await?;
    Ok(format!("{asked} of {asked} answers are right"))
}

/// How the present version does before anything changes.
async fn baseline(release: &Release, plan: &Plan, lasting: Period) -> Result<String, String> {
    let from = plan.from.as_ref().ok_or("there is no present version")?;
    let plane = release.tools.router.plane();
    let before = plane.counts().await.map_err(|error| error.to_string())?;
    tokio::time::sleep(lasting.0).await;
    let after = plane.counts().await.map_err(|error| error.to_string())?;
    let requests = after.sum(from.as_str()).0.saturating_sub(before.sum(from.as_str()).0);
    let per_second = requests as f64 / lasting.0.as_secs_f64();
    let latency = after.latency_since(&before, from.as_str());
    let quantile = |share| latency.quantile_us(share).map(Duration::from_micros);
    let (Some(p50), Some(p99)) = (quantile(0.5), quantile(0.99)) else {
        return Ok(format!("no requests in {lasting}: there is no baseline of {from}"));
    };
    let at = release.tools.clock.now();
    measured::note(release, |measured, source| {
        let baseline = Baseline { at, requests_per_second: per_second, p50: Period(p50), p99: Period(p99) };
        measured.baseline(from.clone(), baseline, source);
    });
    let (p50, p99) = (p50.as_secs_f64() * 1e3, p99.as_secs_f64() * 1e3);
    Ok(format!("{requests} requests, {per_second:.0} a second, p50 {p50:.1} ms, p99 {p99:.1} ms, on {from}"))
}

/// Brings the artifact to where versions run, where the manifest names one.
pub(super) async fn fetch(
    release: &Release,
    manifest: &Manifest,
    version: &Version,
) -> Result<Option<Fetched>, String> {
    let Some(named) = &manifest.service.artifact else { return Ok(None) };
    let port = manifest.service.ports.first;
    let path = named.path.fill(&release.placeholders(port, &release.tools.data));
    let artifact = Artifact {
        service: manifest.service.name.clone(),
        version: version.clone(),
        path: release.path(&path),
        sha256: named.sha256,
    };
    release.tools.driver.fetch(&artifact).await.map(Some).map_err(|error| error.to_string())
}

/// Starts as many instances as are missing.
async fn scale(release: &Release, manifest: &Manifest, version: &Version, wanted: u64) -> Result<String, String> {
    let living = release.living(version, Role::Production).await?.len() as u64;
    let fetched = fetch(release, manifest, version).await?;
    for _ in living..wanted {
        let base = release.request.base.clone();
        let mut launch = Launch::production(&manifest.service, version, base, release.tools.data.clone());
        if let Some(fetched) = fetched.clone() {
            launch = launch.of(fetched);
        }
        release.tools.driver.start(&launch).await.map_err(|error| error.to_string())?;
    }
    Ok(format!("{} started", wanted.saturating_sub(living)))
}

/// Gives a version its share, and the other one the rest, in one move.
async fn route(release: &Release, plan: &Plan, version: &Version, weight: Percent) -> Result<String, String> {
    let rest = Percent::from_basis_points(Percent::ALL.basis_points() - weight.basis_points());
    let other = if *version == plan.to { plan.from.as_ref() } else { Some(&plan.to) };
    let mut shares = vec![(version, weight)];
    shares.extend(other.map(|other| (other, rest)));
    let instances = release.tools.instances().await?;
    let sticky = release.manifest.canary.sticky.then(|| plan.to.to_string());
    let set = release.tools.router.set(&shares, &instances, sticky).await.map_err(|error| error.to_string())?;
    Ok(format!("routes {}: {version} {weight}", set.epoch))
}

/// Ends the instances of a version that has no traffic. Its arm goes first.
async fn stop(release: &Release, plan: &Plan, version: &Version) -> Result<String, String> {
    let other = if *version == plan.to { plan.from.as_ref() } else { Some(&plan.to) };
    let instances = release.tools.instances().await?;
    let shares: Vec<_> = other.map(|other| (other, Percent::ALL)).into_iter().collect();
    let set = release.tools.router.set(&shares, &instances, None).await;
    set.map_err(|error| error.to_string())?;
    end(release, version, Role::Production, release.manifest.service.stop).await
}

/// Stops every instance of a version in a role.
pub(super) async fn end(release: &Release, version: &Version, role: Role, grace: Period) -> Result<String, String> {
    let living = release.living(version, role).await?;
    let stops = living.iter().map(|one| release.tools.driver.stop(&one.id, grace));
    let mut said = Vec::new();
    for (instance, exit) in living.iter().zip(join_all(stops).await) {
        let exit = exit.map_err(|error| error.to_string())?;
        said.push(exit.map_or_else(|| format!("{} is gone", instance.id), |exit| format!("{} {exit}", instance.id)));
    }
    Ok(if said.is_empty() { "nothing ran".into() } else { said.join("; ") })
}

async fn clear(
    release: &Release,
    plan: &Plan,
    version: &Version,
    drain: Period,
    grace: Period,
) -> Result<String, String> {
    let instances = release.tools.instances().await?;
    let keeps: Vec<_> = plan.from.iter().map(|from| (from, Percent::ALL)).chain([(version, Percent::NONE)]).collect();
    let routed = release.tools.router.set(&keeps, &instances, None).await;
    routed.map_err(|error| error.to_string())?;
    let plane = release.tools.router.plane();
    let until = tokio::time::Instant::now() + drain.0;
    let half = u64::try_from(drain.0.as_millis() / 2).unwrap_or(u64::MAX).max(1);
    // An edge that knows no such arm has nothing open on it.
    let _ = plane.drain(version.to_string(), half).await;
    while tokio::time::Instant::now() < until {
        if plane.counts().await.is_ok_and(|counts| counts.sum(version.as_str()).2 == 0) {
            break;
        }
        tokio::time::sleep(EVERY).await;
    }
    let ended = end(release, version, Role::Production, grace).await?;
    let shares: Vec<_> = plan.from.iter().map(|from| (from, Percent::ALL)).collect();
    release.tools.router.set(&shares, &instances, None).await.map_err(|error| error.to_string())?;
    Ok(ended)
}

/// What cannot be removed is told, and is no reason to go back.
async fn clean_up(release: &Release, plan: &Plan) -> Result<String, String> {
    backup::remove_copy(release)?;
    if release.request.kind == Kind::Deploy {
        // What is not there needs no removing.
        let _ = std::fs::remove_file(release.folder.join("judge.json"));
    }
    let keep: Vec<Version> = plan.from.iter().chain([&plan.to]).cloned().collect();
    let driver = &release.tools.driver;
    let dead = driver.clean_up().await.map(|removed| format!("{} dead instances removed", removed.len()));
    let old = driver.prune(&keep, ARTIFACTS).await.map(|removed| {
        let removed: Vec<&str> = removed.iter().map(Version::as_str).collect();
        if removed.is_empty() { String::new() } else { format!("; artifacts removed: {}", removed.join(", ")) }
    });
    let told = |error: crate::driver::DriverError| format!("; not removed: {error}");
    Ok(dead.unwrap_or_else(told) + &old.unwrap_or_else(told))
}

/// Instances that can be asked.
pub(super) fn healthy(instances: &[Instance]) -> impl Iterator<Item = &Instance> {
    instances.iter().filter(|one| one.state == State::Healthy)
}
