//! `GET /ops/releases/{id}`: one release, live while it runs.

use std::time::Duration;

use askama::Template;
use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use signalbox_http::caller::{Caller, Permission};
use signalbox_http::page::{Frame, Toast, address};
use signalbox_http::reply::Reply;
use tokio::time::{Instant, timeout_at};

use super::journal::{self, Choice, Line};
use super::metric::{self, MetricShown};
use super::phases::{PhaseShown, phases};
use super::shown::{self, Badge, Moment, badge, bytes, lasting, moment};
use super::weights::{Weights, weights};
use super::{House, frame, render};
use crate::control::{Kept, Refused, began_by};
use crate::driver::{Instance, State as InstanceState};
use crate::executor::{Kind, Status, VersionStatus, criteria, last_said, metrics, signed, ticked};
use crate::model::machine::{Outcome, State as ReleaseState};
use crate::model::manifest::Manifest;
use crate::model::readiness::{ItemState, SignOffState, checklist_states, sign_offs};
use crate::model::value::Percent;

/// A look of the executor takes less.
const CATCH_UP: Duration = Duration::from_secs(1);

/// A page, whole.
#[derive(Template)]
#[template(path = "ops_release.html")]
struct ReleasePage<'r> {
    frame: Frame,
    body: &'r Body,
    /// Where updates come from; nothing where there will be none.
    live: String,
}

/// Its live parts alone, each with its name.
#[derive(Template)]
#[template(path = "ops_parts.html")]
pub(super) struct Parts<'r> {
    pub body: &'r Body,
}

/// What is shown of a release.
pub(super) struct Body {
    pub id: String,
    pub service: String,
    pub course: String,
    pub to: String,
    pub from: String,
    pub by: String,
    pub plan: String,
    pub begun: Moment,
    pub state: Badge,
    pub why: String,
    /// `step 3 of 6 of the canary`.
    pub canary: String,
    /// Of a hold: since when, and until when at least.
    pub hold: Option<(Moment, Moment)>,
    pub took: String,
    pub back_in: String,
    pub phases: Vec<PhaseShown>,
    pub weights: Weights,
    pub versions: Vec<VersionShown>,
    pub instances: Vec<InstanceShown>,
    pub metrics: Vec<MetricShown>,
    /// Why there are none.
    pub metrics_said: String,
    pub signatures: Vec<Signature>,
    pub items: Vec<Item>,
    pub choices: Vec<Choice>,
    pub lines: Vec<Line>,
    pub acts: Acts,
    pub is_over: bool,
}

pub(super) struct VersionShown {
    pub version: String,
    pub place: &'static str,
    pub weight: String,
    pub observed: String,
    pub in_flight: u64,
    pub ready: String,
}

pub(super) struct InstanceShown {
    pub id: String,
    pub state: Badge,
    pub said: String,
    pub restarts: u64,
    pub memory: String,
    pub is_staging: bool,
}

pub(super) struct Signature {
    pub role: String,
    pub state: Badge,
    pub may_sign: bool,
}

pub(super) struct Item {
    pub what: String,
    pub when: String,
    pub state: Badge,
    pub said: String,
    pub may_tick: bool,
}

/// What this caller can do now.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Acts {
    pub promote: bool,
    pub pause: bool,
    pub resume: bool,
    pub roll_back: bool,
    pub retry: bool,
    /// Why something that one expects is missing.
    pub said: String,
}

impl Acts {
    pub(super) fn any(&self) -> bool {
        self.promote || self.pause || self.resume || self.roll_back || self.retry
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    pub journal: String,
    pub done: String,
}

/// What may be told of a form that was sent.
const DONE: [(&str, &str); 7] = [
    ("promote", "It goes on without waiting for the verdict"),
    ("pause", "It stays at its weight until somebody resumes"),
    ("resume", "It goes on"),
    ("rollback", "It goes back"),
    ("retry", "It has begun again"),
    ("sign", "Signed"),
    ("tick", "Ticked"),
];

pub(super) async fn page(
    State(house): State<House>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Reply<Response> {
    let done = DONE.iter().find(|(word, _)| *word == asked.done).map(|(_, text)| *text);
    let toast = done.map(|text| Toast { mark: "ok", text: text.to_owned() });
    show(&house, &caller, &id, &asked, toast).await
}

/// The page after something that could not be done.
pub(super) async fn refused(house: &House, caller: &Caller, id: &str, refused: Refused) -> Reply<Response> {
    if refused.missing {
        return Err(refused.into());
    }
    let toast = Toast { mark: "warn", text: refused.said };
    let page = show(house, caller, id, &Asked::default(), Some(toast)).await?;
    Ok((StatusCode::CONFLICT, page).into_response())
}

async fn show(house: &House, caller: &Caller, id: &str, asked: &Asked, toast: Option<Toast>) -> Reply<Response> {
    let body = body(house, caller, id, asked).await?;
    let mut frame = frame(format!("{} {}", body.service, body.course), Some(caller));
    frame.toast = toast;
    let live = address(&format!("/ops/releases/{}/live", body.id), &[("journal", clean(&asked.journal))]);
    let live = if body.is_over { String::new() } else { live };
    render(&ReleasePage { frame, body: &body, live })
}

fn clean(word: &str) -> &str {
    journal::CHOICES.iter().find(|(known, _)| *known == word).map_or("", |(known, _)| known)
}

/// Everything of a release, for this caller.
pub(super) async fn body(house: &House, caller: &Caller, id: &str, asked: &Asked) -> Result<Body, Refused> {
    let controller = &house.controller;
    let (status, kept) = caught_up(house, id).await?;
    let ended = kept.ended();
    let manifest = kept.manifest().map_err(Refused::error)?;
    let now = controller.tools().clock.now();
    let plan = kept.journal.plan();
    let instances = if ended.is_some() { Vec::new() } else { controller.tools().instances().await.unwrap_or_default() };
    let last = ended.map_or(now, |(_, at, _)| at);
    let (metrics, metrics_said) = judged(&status, &kept, &manifest);
    Ok(Body {
        id: kept.id.clone(),
        service: status.service.to_string(),
        course: shown::course(&status),
        to: status.to.to_string(),
        from: status.from.as_ref().map(ToString::to_string).unwrap_or_default(),
        by: status.by.clone(),
        plan: plan.hash.short().to_string(),
        begun: moment(status.begun),
        state: shown::state(&status.state),
        why: shown::why(&status),
        canary: status
            .canary_step
            .filter(|_| ended.is_none())
            .map(|(step, of)| format!("step {step} of {of} of the canary"))
            .unwrap_or_default(),
        hold: match &status.state {
            ReleaseState::Holding { since, until, .. } => Some((moment(*since), moment(*until))),
            _ => None,
        },
        took: lasting(last.0 - status.begun.0),
        back_in: status.routed_back_in_ms.map(|ms| lasting(ms * 1000)).unwrap_or_default(),
        phases: phases(&kept.journal, ended.is_some()),
        weights: weights(&kept.journal, &status, now),
        versions: versions(&status),
        instances: instances.iter().filter(|one| one.state != InstanceState::Stopped).map(instance).collect(),
        metrics,
        metrics_said,
        signatures: signatures(&kept, &manifest, caller, now),
        items: items(&kept, &manifest, caller)?,
        choices: journal::choices(&kept.id, &asked.journal),
        lines: journal::lines(&kept.journal, &asked.journal),
        acts: acts(caller, &status, &kept),
        is_over: ended.is_some(),
    })
}

/// What is seen, once it knows of everything that is written: whoever pressed a button sees what came of it.
async fn caught_up(house: &House, id: &str) -> Result<(Status, Kept), Refused> {
    let mut changes = house.controller.changes();
    let latest = Instant::now() + CATCH_UP;
    loop {
        changes.mark_unchanged();
        let status = house.controller.status(id).await?;
        let kept = house.controller.one(id)?;
        let knows = status.records >= kept.journal.records().len() as u64;
        // After that time it is shown as it is.
        if knows || !matches!(timeout_at(latest, changes.changed()).await, Ok(Ok(()))) {
            return Ok((status, kept));
        }
    }
}

fn judged(status: &Status, kept: &Kept, manifest: &Manifest) -> (Vec<MetricShown>, String) {
    let nobody = |said: &str| (Vec::new(), said.to_owned());
    if kept.request.kind == Kind::Rollback {
        return nobody("A way back is judged by nobody: it waits for no verdict.");
    }
    let known = if status.metrics.is_empty() {
        let said = criteria(manifest, kept.journal.plan()).and_then(|criteria| last_said(&kept.folder, criteria));
        match said {
            Ok(said) => metrics(&said),
            Err(why) => return (Vec::new(), why),
        }
    } else {
        status.metrics.clone()
    };
    if known.is_empty() {
        return nobody("The manifest names no metric and no limit.");
    }
    (known.iter().enumerate().map(|(place, one)| metric::metric(place, one)).collect(), String::new())
}

fn versions(status: &Status) -> Vec<VersionShown> {
    let shown = |one: &VersionStatus| VersionShown {
        version: one.version.to_string(),
        place: match () {
            () if one.version == status.to => "new",
            () if Some(&one.version) == status.from.as_ref() => "old",
            () => "left over",
        },
        weight: one.weight.to_string(),
        observed: one.observed.map_or_else(|| "–".into(), |share| format!("{share} %")),
        in_flight: one.in_flight,
        ready: format!("{} of {}", one.ready, one.running),
    };
    // What is gone and was gone before is no news.
    let gone = |one: &&VersionStatus| one.running == 0 && one.weight == Percent::NONE && one.in_flight == 0;
    let part = |one: &&VersionStatus| one.version == status.to || Some(&one.version) == status.from.as_ref();
    status.versions.iter().filter(|one| part(one) || !gone(one)).map(shown).collect()
}

pub(super) fn instance(one: &Instance) -> InstanceShown {
    let memory = one.memory_bytes.map_or_else(|| "–".to_owned(), bytes);
    let limit = one.memory_limit_bytes.filter(|limit| *limit > 0).map(|limit| format!(" of {}", bytes(limit)));
    let exit = one.last_exit.as_ref().map(|exit| format!("; last {exit}")).unwrap_or_default();
    InstanceShown {
        id: one.id.to_string(),
        state: shown::instance(one.state),
        said: format!("{}{exit}", one.said),
        restarts: one.restarts,
        memory: memory + &limit.unwrap_or_default(),
        is_staging: one.role == crate::driver::Role::Staging,
    }
}

fn signatures(kept: &Kept, manifest: &Manifest, caller: &Caller, now: signalbox_core::time::Micros) -> Vec<Signature> {
    let states = sign_offs(&manifest.approvals, &signed(&kept.journal), kept.journal.plan().hash, now);
    let may = kept.ended().is_none() && caller.may(Permission::ReleasesApprove) && !began_by(kept, &caller.name);
    let one = |(role, state): (crate::model::value::Name, SignOffState)| Signature {
        role: role.to_string(),
        may_sign: may && !state.is_signed(),
        state: badge(if state.is_signed() { "ok" } else { "proxy" }, state.words()),
    };
    states.into_iter().map(one).collect()
}

fn items(kept: &Kept, manifest: &Manifest, caller: &Caller) -> Result<Vec<Item>, Refused> {
    let done = ticked(kept.service_folder(), &kept.request.version).map_err(Refused::error)?;
    let now = kept.ended().map_or(signalbox_core::time::Micros(i64::MAX), |(_, at, _)| at);
    let states = checklist_states(&manifest.checklist, &done, kept.request.at, now);
    let one = |state: crate::model::readiness::ChecklistState| {
        let (shown, said) = match &state.state {
            ItemState::Done { who, note, .. } if note.is_empty() => (badge("ok", "done"), format!("by {who}")),
            ItemState::Done { who, note, .. } => (badge("ok", "done"), format!("by {who}: {note}")),
            ItemState::Waiting | ItemState::Due if state.offset.is_before() => {
                (badge("proxy", "due"), "it stands in the way".to_owned())
            }
            ItemState::Waiting | ItemState::Due => (badge("none", "afterwards"), String::new()),
        };
        let open = !matches!(state.state, ItemState::Done { .. });
        Item {
            what: state.what.clone(),
            when: state.offset.to_string(),
            state: shown,
            said,
            may_tick: open && caller.may(Permission::ReleasesWrite),
        }
    };
    Ok(states.into_iter().map(one).collect())
}

fn acts(caller: &Caller, status: &Status, kept: &Kept) -> Acts {
    let (writes, approves) = (caller.may(Permission::ReleasesWrite), caller.may(Permission::ReleasesApprove));
    let own = began_by(kept, &caller.name);
    let holding = matches!(status.state, ReleaseState::Holding { .. });
    let paused = matches!(status.state, ReleaseState::Paused { .. });
    let back = matches!(status.state, ReleaseState::RollingBack { .. });
    let runs = kept.ended().is_none();
    let said = match () {
        () if !writes && !approves => "You may look, and change nothing: your role lacks releases:write.".to_owned(),
        () if runs && holding && approves && own => {
            "You began it: somebody else has to promote it without a verdict, or sign for it.".to_owned()
        }
        () => String::new(),
    };
    Acts {
        promote: runs && holding && approves && !own,
        pause: runs && writes && !paused && !back,
        resume: runs && writes && paused,
        roll_back: runs && writes && !back,
        retry: !runs
            && writes
            && kept.request.kind == Kind::Deploy
            && matches!(kept.ended(), Some((Outcome::RolledBack, ..))),
        said,
    }
}
