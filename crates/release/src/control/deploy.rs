//! Planning and beginning a release; the way back; the same again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use signalbox_core::time::SECOND;

use super::controller::{Active, Controller, Frozen, written};
use super::refusal::Refused;
use super::shelf::{Kept, manifest_of, stable};
use crate::executor::{JournalFile, Kind, Release, Request, criteria, look_at_readiness, set_for};
use crate::model::exit::Exit;
use crate::model::machine::Outcome;
use crate::model::manifest::Manifest;
use crate::model::migration::{Reach, reach};
use crate::model::plan::{Diff, Inputs, Lint, Live, Plan, Role, Severity, Traffic, diff, lint, plan};
use crate::model::readiness::{Evidence, Report};
use crate::model::value::Version;

/// So long ago a release went back that who asks for a way back may mean that one.
const JUST_NOW: i64 = 30 * SECOND;

/// What a release is asked for with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// The manifest as it is written.
    pub manifest: String,
    /// How errors call it.
    #[serde(default = "usual_file")]
    pub file: String,
    /// The folder of the manifest, absolute: its commands and paths begin there.
    pub base: PathBuf,
    /// Default: that of the manifest.
    #[serde(default)]
    pub version: Option<Version>,
    /// The plan that was shown, by the first digits of its hash. Another one is refused.
    #[serde(default)]
    pub plan: Option<String>,
    #[serde(default)]
    pub evidence: Evidence,
    /// Requests a second, where what was seen is not to count.
    #[serde(default)]
    pub traffic: Option<f64>,
    /// Who asks.
    #[serde(default)]
    pub by: Option<String>,
}

pub(super) fn usual_file() -> String {
    "release.toml".into()
}

/// What would be done, and whether it may.
#[derive(Debug, Serialize)]
pub struct Made {
    /// None: nothing is to be done.
    pub plan: Option<Plan>,
    pub diff: Diff,
    pub lints: Vec<Lint>,
    pub readiness: Option<Report>,
    /// For people.
    pub text: String,
    pub exit: Exit,
}

impl Controller {
    /// What a release would do. Nothing is changed; commands that look at checks are run.
    pub async fn plan(self: &Arc<Self>, asked: &Deploy, by: &str) -> Result<Made, Refused> {
        let all = self.all()?;
        let request = self.request(asked, by, Kind::Deploy)?;
        let manifest = manifest_of(&request).map_err(|said| bad_manifest(&said))?;
        let (made, live) = self.make(&request, &manifest, &all, asked.traffic).await?;
        let changes = diff(made.as_ref(), &live);
        let Some(made) = made else {
            let text = format!("nothing to do: {} serves everything, as the manifest describes it\n", request.version);
            let exit = Exit::Done;
            return Ok(Made { plan: None, diff: changes, lints: Vec::new(), readiness: None, text, exit });
        };
        let lints = lint(&made, &manifest, self.tools.clock.now());
        let refused = lints.iter().any(|lint| lint.severity == Severity::Refuses);
        let release = self.sketch(request, manifest);
        let report = look_at_readiness(&release, &made).await.map_err(Refused::error)?;
        let mut text = crate::model::plan::text(&made, &changes, &lints);
        text.push_str(&readiness_text(&report));
        let exit = if refused { Exit::Refused } else { changes.exit() };
        Ok(Made { plan: Some(made), diff: changes, lints, readiness: Some(report), text, exit })
    }

    /// Begins a release and says under which id; none where nothing is to be done.
    pub async fn deploy(self: &Arc<Self>, asked: &Deploy, by: &str) -> Result<Option<String>, Refused> {
        let request = self.request(asked, by, Kind::Deploy)?;
        self.begin(request, asked.plan.as_deref(), asked.traffic).await
    }

    /// The same release again.
    pub async fn retry(self: &Arc<Self>, id: &str, by: &str) -> Result<Option<String>, Refused> {
        let kept = self.one(id)?;
        if matches!(kept.ended(), Some((Outcome::Promoted, ..))) {
            return Err(Refused::new(Exit::Refused, format!("{id} was promoted; there is nothing to try again")));
        }
        let request = Request { by: by.to_owned(), at: self.tools.clock.now(), ..kept.request };
        self.begin(request, None, None).await
    }

    /// Back to a version that was promoted once; by default the one before the present one.
    pub async fn go_back(self: &Arc<Self>, to: Option<Version>, by: &str) -> Result<Option<String>, Refused> {
        let all = self.all()?;
        let refuse = |said: String| Refused::new(Exit::Refused, said);
        let present = stable(&all).map(|kept| kept.request.version.clone());
        // Who asks for the way back of a release that had traffic and has just gone back does not mean the version before it.
        let since = self.tools.clock.now().plus(-JUST_NOW);
        let just_now = |kept: &&Kept| matches!(kept.ended(), Some((Outcome::RolledBack, at, _)) if at > since);
        let gone_back = all.last().filter(just_now).filter(|kept| written(kept).routed_back_in_ms.is_some());
        if let (None, Some(kept), Some(present)) = (&to, gone_back, &present) {
            return Err(refuse(format!(
                "{} was rolled back already, and {present} serves; further back by a version's name: signalbox rollback VERSION",
                kept.request.version
            )));
        }
        let target = match &to {
            None => Self::promoted_before(&all),
            Some(version) => all
                .iter()
                .rev()
                .find(|kept| kept.request.version == *version && matches!(kept.ended(), Some((Outcome::Promoted, ..)))),
        };
        let target = target.ok_or_else(|| match &to {
            Some(version) => refuse(format!("{version} was never promoted here")),
            None => refuse(match &present {
                Some(present) => {
                    format!("nothing was promoted before {present}; a version by its name: signalbox rollback VERSION")
                }
                None => "no version was promoted yet".into(),
            }),
        })?;
        if present.as_ref() == Some(&target.request.version) {
            return Err(refuse(format!("{} serves already", target.request.version)));
        }
        self.reachable(target, &all)?;
        let request =
            Request { kind: Kind::Rollback, by: by.to_owned(), at: self.tools.clock.now(), ..target.request.clone() };
        self.begin(request, None, None).await
    }

    /// Code goes back only as long as no contract took away what it needs.
    fn reachable(&self, target: &Kept, all: &[Kept]) -> Result<(), Refused> {
        let service = target.journal.plan().service.clone();
        let applied = crate::executor::applied(&self.services().join(service.as_str())).map_err(Refused::error)?;
        let promoted = |kept: &&Kept| matches!(kept.ended(), Some((Outcome::Promoted, ..)));
        let after = all.iter().filter(promoted).find(|kept| kept.journal.records()[0].at > target.request.at);
        let last_live = after.map_or(target.request.at, |kept| kept.journal.records()[0].at);
        if let Reach::DatabaseOnly { contract, at } = reach(&Default::default(), &applied, last_live) {
            let version = &target.request.version;
            let said = format!(
                "contract {contract:04} ran at {at} and took away what {version} needs; what is left is restoring the database"
            );
            return Err(Refused::new(Exit::Refused, said));
        }
        Ok(())
    }

    fn request(&self, asked: &Deploy, by: &str, kind: Kind) -> Result<Request, Refused> {
        let manifest =
            Manifest::parse(&asked.file, &asked.manifest).map_err(|faults| bad_manifest(&faults.to_string()))?;
        let version = asked.version.clone().or_else(|| manifest.service.version.clone());
        let version = version
            .ok_or_else(|| Refused::error("which version? Name it behind the command, or as version in [service]"))?;
        if !asked.base.is_absolute() {
            return Err(Refused::error("base is the absolute path of the manifest's folder"));
        }
        Ok(Request {
            version,
            kind,
            manifest: asked.manifest.clone(),
            file: asked.file.clone(),
            base: asked.base.clone(),
            by: by.to_owned(),
            at: self.tools.clock.now(),
            evidence: asked.evidence.clone(),
        })
    }

    async fn make(
        &self,
        request: &Request,
        manifest: &Manifest,
        all: &[Kept],
        traffic: Option<f64>,
    ) -> Result<(Option<Plan>, Live), Refused> {
        if let Some(other) = all.last().map(|kept| &kept.journal.plan().service)
            && *other != manifest.service.name
        {
            let said = format!("this controller looks after {other}; start another one for {}", manifest.service.name);
            return Err(Refused::new(Exit::Refused, said));
        }
        let (mut live, _) = self.live(all).await?;
        if request.kind == Kind::Rollback {
            // What one goes away from need not be well.
            live.versions.iter_mut().for_each(|one| one.ready = one.ready.max(1));
        }
        let seen = match traffic {
            Some(requests_per_second) => Some(Traffic { requests_per_second, errors: None, seen_for: None }),
            None => self.traffic().await,
        };
        let sketch = self.sketch(request.clone(), manifest.clone());
        let set = set_for(&sketch).map_err(Refused::error)?;
        let made = plan(Inputs {
            manifest,
            version: &request.version,
            live: &live,
            migrations: set.as_ref(),
            evidence: &request.evidence,
            traffic: seen,
            took: &BTreeMap::new(),
        });
        let made = made.map_err(|refusal| Refused::new(Exit::Refused, refusal.to_string()))?;
        if let Some(made) = &made {
            let judged = criteria(manifest, made).map_err(|said| bad_manifest(&said))?;
            signalbox_canary::judge::Judge::new(judged).map_err(|error| bad_manifest(&error.to_string()))?;
        }
        Ok((made, live))
    }

    /// A release that is only looked at.
    fn sketch(&self, request: Request, manifest: Manifest) -> Release {
        let folder = self.services().join(manifest.service.name.as_str()).join("sketch");
        let id = "a plan".to_owned();
        Release { id, folder, request, manifest, tools: self.tools.clone(), before: None }
    }

    /// A release whose end is written is not in the way: whoever watched it heard of the end a moment earlier.
    pub(super) async fn let_it_end(&self) {
        let mut changes = self.changes.subscribe();
        loop {
            let id = self.state.lock().await.active.as_ref().map(|active| active.id.clone());
            let ends = id.is_some_and(|id| self.one(&id).is_ok_and(|kept| kept.ended().is_some()));
            if !ends || changes.changed().await.is_err() {
                return;
            }
        }
    }

    async fn begin(
        self: &Arc<Self>,
        request: Request,
        shown: Option<&str>,
        traffic: Option<f64>,
    ) -> Result<Option<String>, Refused> {
        let _one_at_a_time = self.beginning.lock().await;
        self.let_it_end().await;
        {
            let state = self.state.lock().await;
            if let Some(Active { id, .. }) = &state.active {
                return Err(Refused::new(
                    Exit::Locked,
                    format!(
                        "release {id} runs, one at a time: wait for its end (signalbox status --watch), or take it back (signalbox release abort)"
                    ),
                ));
            }
            // The way back is always open.
            if let Some(Frozen { by, reason, at }) = state.frozen.as_ref().filter(|_| request.kind == Kind::Deploy) {
                return Err(Refused::new(Exit::Locked, format!("locked by {by} at {at}: {reason}")));
            }
        }
        let all = self.all()?;
        let manifest = manifest_of(&request).map_err(|said| bad_manifest(&said))?;
        let (made, live) = self.make(&request, &manifest, &all, traffic).await?;
        let Some(made) = made else { return Ok(None) };
        let hash = made.hash.to_string();
        if let Some(shown) = shown.filter(|shown| shown.len() < 8 || !hash.starts_with(*shown)) {
            let said = format!("the plan is {} now, and not {shown}: look at it again", made.hash.short());
            return Err(Refused::new(Exit::PlanDrifted, said));
        }
        let lints = lint(&made, &manifest, self.tools.clock.now());
        let refused: Vec<String> = lints
            .iter()
            .filter(|lint| lint.severity == Severity::Refuses && request.kind == Kind::Deploy)
            .map(|lint| format!("{}: {}", lint.code.word(), lint.said))
            .collect();
        if !refused.is_empty() {
            return Err(Refused::new(Exit::Refused, refused.join("; ")));
        }
        if live.versions.iter().any(|one| one.version == request.version && one.role == Role::Canary) {
            tracing::info!(version = %request.version, "what an earlier release left of it is cleared first");
        }
        self.driver.settle(&made.service).map_err(Refused::error)?;
        let (id, folder) = self.shelf().add(&made.service, &request).map_err(Refused::error)?;
        let tools = &self.tools;
        let now = tools.clock.now();
        let journal = JournalFile::begin(&folder, made, &request.by, now, self.lead.epoch(), tools.fail);
        let journal = journal.map_err(Refused::error)?;
        let kept = Kept { id: id.clone(), number: 0, folder, request, journal: journal.journal().clone().into() };
        let release = self.release(&kept, &all).map_err(Refused::error)?;
        self.carry_out(release, journal).await;
        Ok(Some(id))
    }
}

pub(super) fn bad_manifest(said: &str) -> Refused {
    let faults = said.lines().map(str::to_owned).collect();
    Refused { faults, ..Refused::error(said) }
}

fn readiness_text(report: &Report) -> String {
    let mut text = format!(
        "\nreadiness {} of 100 (needs {}), confidence {}: {}\n",
        report.score,
        report.threshold,
        report.confidence,
        if report.ready { "go" } else { "NO-GO" }
    );
    for (component, check) in report.checks().filter(|(_, check)| !check.passes()) {
        let mark = if check.must { "✗" } else { "!" };
        let run = check.run.map_or_else(String::new, |run| format!("   run: {run}"));
        text.push_str(&format!("  {mark} {} ({}): {}{run}\n", component.title(), check.id, check.said));
    }
    text
}
