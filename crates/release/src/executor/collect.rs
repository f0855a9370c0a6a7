//! What the controller sees by itself, without a command of the manifest. What cannot be seen is no evidence, and the log says
//! why; nothing here passes because nobody looked.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use signalbox_core::setting::Period;
use signalbox_core::time::Micros;
use tokio::process::Command;

use super::release::Release;
use super::{own_store, prometheus, secrets};
use crate::model::manifest::Source;
use crate::model::plan::Plan;
use crate::model::readiness::{Evidence, Fact, SourceOfFact};

/// Git answers at once, or its repository is broken.
const GIT_WITHIN: Duration = Duration::from_secs(10);

/// Fills in what nobody handed in.
pub(super) async fn fill(release: &Release, plan: &Plan, evidence: &mut Evidence) -> Result<(), String> {
    let now = release.tools.clock.now();
    git(release, evidence, now).await;
    changelog(release, evidence, now);
    leaks(release, evidence, now).await?;
    store(release, evidence, now).await;
    metrics(release, plan, evidence, now).await;
    Ok(())
}

fn fact<T>(value: T, command: &str, reference: impl Into<String>, at: Micros) -> Fact<T> {
    Fact { value, source: SourceOfFact { command: command.into(), reference: reference.into(), at } }
}

async fn asked_of_git(folder: &Path, words: &[&str]) -> Result<String, String> {
    let mut command = Command::new("git");
    // A question takes no lock of whoever works there.
    command.args(["--no-optional-locks", "-C"]).arg(folder).args(words).kill_on_drop(true);
    let output = tokio::time::timeout(GIT_WITHIN, command.output()).await;
    let output = output.map_err(|_| "it does not answer".to_owned())?.map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The folder of the manifest, where it is in a repository.
async fn git(release: &Release, evidence: &mut Evidence, now: Micros) {
    let folder = &release.request.base;
    let commit = match asked_of_git(folder, &["rev-parse", "--short=12", "HEAD"]).await {
        Ok(commit) => format!("commit {}", commit.trim()),
        Err(why) => {
            tracing::debug!(why, "git says nothing of {}", folder.display());
            return;
        }
    };
    if evidence.git.changed_files.is_none()
        && let Ok(status) = asked_of_git(folder, &["status", "--porcelain", "--", "."]).await
    {
        let changed = status.lines().count() as u64;
        evidence.git.changed_files = Some(fact(changed, "git status --porcelain .", commit.clone(), now));
    }
    if evidence.git.tag.is_none()
        && let Ok(tags) = asked_of_git(folder, &["tag", "--points-at", "HEAD"]).await
    {
        let version = release.request.version.as_str();
        let own = |tag: &&str| *tag == version || tag.strip_prefix('v') == Some(version);
        let tag = tags.lines().find(own).or_else(|| tags.lines().next()).map(str::to_owned);
        evidence.git.tag = Some(fact(tag, "git tag --points-at HEAD", commit, now));
    }
}

/// `CHANGELOG.md` beside the manifest; without one there is nothing to look at.
fn changelog(release: &Release, evidence: &mut Evidence, now: Micros) {
    let path = release.path("CHANGELOG.md");
    let Ok(text) = std::fs::read_to_string(&path) else { return };
    let line = names(&text, release.request.version.as_str());
    let reference = line.map_or_else(|| path.display().to_string(), |line| format!("{}:{line}", path.display()));
    if evidence.documentation.in_changelog.is_none() {
        let command = format!("grep -n '^#.*{}' CHANGELOG.md", release.request.version);
        evidence.documentation.in_changelog = Some(fact(line.is_some(), &command, reference, now));
    }
}

/// The line of the heading that has this version as a word of its own.
fn names(text: &str, version: &str) -> Option<usize> {
    let part = |one: char| one.is_ascii_alphanumeric() || matches!(one, '.' | '-' | '+' | '_');
    let is_own = |word: &str| word == version || word.strip_prefix('v') == Some(version);
    let found = text.lines().position(|line| line.starts_with('#') && line.split(|one| !part(one)).any(is_own));
    found.map(|line| line + 1)
}

/// The artifact, and without one what git knows of the manifest's folder.
async fn leaks(release: &Release, evidence: &mut Evidence, now: Micros) -> Result<(), String> {
    if evidence.security.leaked_secrets.is_some() {
        return Ok(());
    }
    let manifest = &release.manifest;
    let place = release.placeholders(manifest.service.ports.first, &release.tools.data);
    let mut roots: Vec<PathBuf> =
        manifest.service.artifact.iter().map(|artifact| release.path(&artifact.path.fill(&place))).collect();
    // Only what is committed is anybody's source: beside it lie databases and downloads.
    let listed = asked_of_git(&release.request.base, &["ls-files", "-z", "--", "."]).await.unwrap_or_default();
    roots.extend(listed.split('\0').filter(|name| !name.is_empty()).map(|name| release.request.base.join(name)));
    if roots.is_empty() {
        return Ok(());
    }
    let files = roots.len();
    let found = tokio::task::spawn_blocking(move || secrets::scan(&roots)).await;
    let found = found.map_err(|error| error.to_string())??;
    let looked = match manifest.service.artifact {
        Some(_) if files > 1 => format!("the artifact and {} files of the repository", files - 1),
        Some(_) => "the artifact".into(),
        None => format!("{files} files of the repository"),
    };
    let reference = match found.first() {
        None => looked,
        Some(first) => format!("{first}; looked at {looked}"),
    };
    evidence.security.leaked_secrets =
        Some(fact(found.len() as u64, "the scan that docs/releases.md describes", reference, now));
    Ok(())
}

/// The store of Signalbox itself.
async fn store(release: &Release, evidence: &mut Evidence, now: Micros) {
    if !release.manifest.keeps_own_store() || evidence.database.answered_in.is_some() {
        return;
    }
    match own_store::is_there(release) {
        Ok(there) => evidence.database.is_there = Some(fact(there, "ls keys", release.id.clone(), now)),
        Err(why) => return tracing::warn!(why, "the store cannot be asked"),
    }
    let begun = Instant::now();
    match own_store::ask(release).await {
        Ok(_) => {
            let took = Period(begun.elapsed());
            evidence.database.answered_in = Some(fact(took, "signalbox migrate --plan", release.id.clone(), now));
        }
        Err(why) => tracing::warn!(why, "the store does not answer"),
    }
}

/// Every metric of the manifest is asked for of the version that serves.
async fn metrics(release: &Release, plan: &Plan, evidence: &mut Evidence, now: Micros) {
    let Some(from) = plan.from.as_ref().filter(|_| evidence.monitoring.metrics_without_data.is_none()) else { return };
    let counted = release.tools.router.plane().counts().await;
    let counted = counted.is_ok_and(|counts| counts.sum(from.as_str()).0 > 0);
    let mut silent = Vec::new();
    for metric in &release.manifest.canary.metrics {
        let why = match (&metric.source, &release.tools.prometheus) {
            (Source::Query(_), None) => Some("no Prometheus is named".to_owned()),
            (Source::Query(query), Some(base)) => {
                let query = prometheus::for_version(query, from.as_str());
                prometheus::query(base, &query).await.err()
            }
            (Source::Business(_), _) => Some("nothing measures it yet".into()),
            _ if counted => None,
            _ => Some("the edge counted no request".into()),
        };
        silent.extend(why.map(|why| format!("{}: {why}", metric.name)));
    }
    let source = fact(silent, "signalbox release status", format!("metrics of {from}"), now);
    evidence.monitoring.metrics_without_data = Some(source);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changelog_names_a_version_in_a_heading_and_as_a_whole() {
        let text = "# Changes\n\nUntil 1.5.0 it was slow.\n\n## [1.4.0] - 2026-01-02\n## v1.5.1-rc.1\n";
        assert_eq!(names(text, "1.4.0"), Some(5));
        assert_eq!(names(text, "1.5.1-rc.1"), Some(6));
        for absent in ["1.5.0", "1.4", "4.0", "1.5.1", "1.4.00"] {
            assert_eq!(names(text, absent), None, "{absent}");
        }
    }
}
