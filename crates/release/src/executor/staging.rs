//! The new version beside production, before anybody sees it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::release::Release;
use super::{act, commands, load, measured, probe};
use crate::driver::{Launch, Role, until_well};
use crate::model::plan::SuiteKind;
use crate::model::readiness::Tests;
use crate::model::value::Version;

/// Starts it where it does not run, and waits until it is well.
pub(super) async fn start(release: &Release, version: &Version) -> Result<String, String> {
    let staging = release.manifest.staging.as_ref().ok_or("the manifest has no [staging]")?;
    let driver = &*release.tools.driver;
    let told = |error: crate::driver::DriverError| error.to_string();
    let id = match release.living(version, Role::Staging).await?.into_iter().next() {
        Some(running) => running.id,
        None => {
            let data = release.copy();
            std::fs::create_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
            let base = release.request.base.clone();
            let mut launch = Launch::staging(&release.manifest.service, version, staging.sandbox, base, data);
            if let Some(fetched) = act::fetch(release, &release.manifest, version).await? {
                launch = launch.of(fetched);
            }
            driver.start(&launch).await.map_err(told)?.id
        }
    };
    let deadline = Instant::now() + release.manifest.service.health.startup.0;
    let health = until_well(driver, &id, deadline).await.map_err(told)?;
    if health.is_well() {
        return Ok(format!("{id} is {health}"));
    }
    let logs = driver.logs(&id, 600).await.ok().flatten().unwrap_or_default();
    let last: Vec<&str> = logs.lines().rev().take(3).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    Err(format!("{id} did not become well in staging: {health}; it said: {}", last.join(" / ")))
}

/// Where it is reached.
pub(super) async fn address(release: &Release) -> Result<SocketAddr, String> {
    let living = release.living(&release.request.version, Role::Staging).await?;
    act::healthy(&living).next().map(|one| one.address).ok_or_else(|| "staging does not run".into())
}

/// Runs the commands of a suite; each must end with 0.
pub(super) async fn suite(release: &Release, suite: SuiteKind) -> Result<String, String> {
    let staging = release.manifest.staging.as_ref().ok_or("the manifest has no [staging]")?;
    let suites = match suite {
        SuiteKind::Smoke => &staging.smoke,
        SuiteKind::Accessibility => &staging.accessibility,
        SuiteKind::WebVitals => &staging.web_vitals,
    };
    let port = address(release).await?.port();
    let mut log = String::new();
    let mut wrong = Vec::new();
    for command in suites {
        let words = release.words(command, port, &release.copy());
        let went = commands::run(&words, &release.request.base, &[]).await;
        let (mark, said) = match &went {
            Ok(said) => ("passed", said),
            Err(said) => ("FAILED", said),
        };
        log.push_str(&format!("{mark}: {}\n{said}\n\n", words.join(" ")));
        wrong.extend(went.err());
    }
    let file = format!("{}.log", suite.title().replace(' ', "-"));
    let kept = crate::disk::store(&release.folder.join(&file), log.as_bytes());
    let kept = kept.map_or_else(|error| format!("{file}: {error}"), |()| format!("output in {file}"));
    let passed = suites.len() - wrong.len();
    if suite == SuiteKind::Smoke {
        let tests = Tests { passed: passed as u64, failed: wrong.len() as u64 };
        measured::note(release, |measured, source| measured.smoke(tests, source));
    }
    match wrong.is_empty() {
        true => Ok(format!("{passed} of {} passed, {kept}", suites.len())),
        false => Err(format!("{passed} of {} passed, {kept}; {}", suites.len(), wrong.join("; "))),
    }
}

/// Loads it, and says how the version before bore its load.
pub(super) async fn load(release: &Release, per_second: u64, lasting: Duration) -> Result<String, String> {
    let path = release.manifest.service.health.path.to_string();
    let borne = load::run(address(release).await?, &path, per_second, lasting).await;
    measured::note(release, |measured, source| measured.load(borne.test, source));
    let before = measured::load_before(release);
    let before = before.map_or_else(String::new, |(version, test)| format!("; {version}: {}", load::words(&test)));
    match borne.wrong {
        None => Ok(format!("{}{before}", borne.said)),
        Some(wrong) => Err(format!("{}{before}: {wrong}", borne.said)),
    }
}

/// Asks it for content.
pub(super) async fn probe(release: &Release) -> Result<String, String> {
    let staging = release.manifest.staging.as_ref().ok_or("the manifest has no [staging]")?;
    let asked = probe::all(&staging.probes, &[address(release).await?]).await?;
    // Without commands the probes are the smoke suite.
    if staging.smoke.is_empty() {
        let tests = Tests { passed: asked as u64, failed: 0 };
        measured::note(release, |measured, source| measured.smoke(tests, source));
    }
    Ok(format!("{asked} of {asked} answers are right"))
}

/// Ends it and removes its copy.
pub(super) async fn stop(release: &Release) -> Result<String, String> {
    let ended = act::end(release, &release.request.version, Role::Staging, release.manifest.service.stop).await?;
    super::backup::remove_copy(release)?;
    Ok(ended)
}
