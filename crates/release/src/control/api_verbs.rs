//! The HTTP interface: what changes something.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json;
use signalbox_http::reply::{Refusal, Reply};

use super::api::{Asker, House, Person};
use super::checklist::{AskChecklist, Checklist};
use super::controller::Frozen;
use super::deploy::{Deploy, Made};
use super::shelf::Kept;
use crate::executor::Status;
use crate::model::machine::{Outcome, Verb};
use crate::model::value::{Name, Version};

/// What comes with a verb.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Said {
    /// Who asks; it is noted beside what is known of the caller.
    by: Option<String>,
    reason: Option<String>,
    approver: Option<String>,
    /// Of `promote`: every verdict from now on.
    all: bool,
    /// Of `sign`.
    role: Option<Name>,
    /// Of `rollback` without a running release.
    to: Option<Version>,
}

/// JSON, or a problem that says what is wrong with it.
type Body<T> = Result<Json<T>, axum::extract::rejection::JsonRejection>;

fn read<T>(body: Body<T>) -> Reply<T> {
    body.map(|Json(value)| value).map_err(|rejection| Refusal::bad_request(rejection.body_text()))
}

fn who(asker: &Asker, by: Option<&String>) -> String {
    let by = by.map(|by| by.trim()).filter(|by| !by.is_empty() && by.len() <= 100);
    by.map_or_else(|| asker.0.clone(), |by| format!("{by} ({})", asker.0))
}

pub(super) async fn plan(
    State(house): State<House>,
    Extension(asker): Extension<Asker>,
    body: Body<Deploy>,
) -> Reply<Json<Made>> {
    let asked = read(body)?;
    let by = who(&asker, asked.by.as_ref());
    Ok(Json(house.controller.plan(&asked, &by).await?))
}

pub(super) async fn checklist(
    State(house): State<House>,
    Extension(asker): Extension<Asker>,
    body: Body<AskChecklist>,
) -> Reply<Json<Checklist>> {
    let asked = read(body)?;
    let by = who(&asker, asked.by.as_ref());
    Ok(Json(house.controller.checklist(&asked, &by).await?))
}

pub(super) async fn deploy(
    State(house): State<House>,
    Extension(asker): Extension<Asker>,
    body: Body<Deploy>,
) -> Reply<Response> {
    let asked = read(body)?;
    let by = who(&asker, asked.by.as_ref());
    Ok(begun(house.controller.deploy(&asked, &by).await?))
}

pub(super) async fn retry(
    State(house): State<House>,
    Extension(asker): Extension<Asker>,
    Path(id): Path<String>,
    body: Body<Said>,
) -> Reply<Response> {
    let said = read(body)?;
    let id = house.controller.one(&id)?.id;
    Ok(begun(house.controller.retry(&id, &who(&asker, said.by.as_ref())).await?))
}

/// The way back: of the release that runs, else to a version that was promoted before.
pub(super) async fn go_back(
    State(house): State<House>,
    Extension(asker): Extension<Asker>,
    body: Body<Said>,
) -> Reply<Response> {
    let said = read(body)?;
    let by = who(&asker, said.by.as_ref());
    let comes_from = |id: &String| house.controller.one(id).is_ok_and(|kept| kept.journal.plan().from == said.to);
    let running = house.controller.running().await;
    if let Some(id) = running.filter(|id| said.to.is_none() || comes_from(id)) {
        let reason = said.reason.unwrap_or_else(|| format!("asked by {by}"));
        let told = house.controller.verb(&id, Verb::RollBack { reason }, by.clone()).await;
        // It may have come to its end meanwhile: what was promoted is taken back as any other.
        let promoted = |kept: Kept| matches!(kept.ended(), Some((Outcome::Promoted, ..)));
        match told {
            Err(_) if house.controller.one(&id).is_ok_and(promoted) => (),
            told => return Ok(begun(told.map(|_| Some(id))?)),
        }
    }
    Ok(begun(house.controller.go_back(said.to, &by).await?))
}

fn begun(id: Option<String>) -> Response {
    let status = if id.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
    (status, Json(json!({"id": id}))).into_response()
}

pub(super) async fn promote(
    State(house): State<House>,
    Extension(asker): Extension<Asker>,
    Extension(person): Extension<Option<Person>>,
    Path(id): Path<String>,
    body: Body<Said>,
) -> Reply<Json<Status>> {
    let said = read(body)?;
    if let Some(Person(name)) = person {
        let reason = said.reason.unwrap_or_default();
        return Ok(Json(house.controller.promote_as(&id, &name, reason, said.all).await?));
    }
    let by = said.by.clone().unwrap_or_else(|| asker.0.clone());
    let (approver, reason) = (said.approver.unwrap_or_default(), said.reason.unwrap_or_default());
    let verb = Verb::Promote { all: said.all, approver, reason };
    Ok(Json(house.controller.verb(&id, verb, by).await?))
}

pub(super) async fn pause(
    State(house): State<House>,
    Extension(asker): Extension<Asker>,
    Path(id): Path<String>,
    body: Body<Said>,
) -> Reply<Json<Status>> {
    let said = read(body)?;
    let reason = said.reason.unwrap_or_else(|| "asked".into());
    Ok(Json(house.controller.verb(&id, Verb::Pause { reason }, who(&asker, said.by.as_ref())).await?))
}

pub(super) async fn resume(
    State(house): State<House>,
    Extension(asker): Extension<Asker>,
    Path(id): Path<String>,
    body: Body<Said>,
) -> Reply<Json<Status>> {
    let said = read(body)?;
    Ok(Json(house.controller.verb(&id, Verb::Resume, who(&asker, said.by.as_ref())).await?))
}

pub(super) async fn roll_back(
    State(house): State<House>,
    Extension(asker): Extension<Asker>,
    Path(id): Path<String>,
    body: Body<Said>,
) -> Reply<Json<Status>> {
    let said = read(body)?;
    let by = who(&asker, said.by.as_ref());
    let reason = said.reason.unwrap_or_else(|| format!("asked by {by}"));
    Ok(Json(house.controller.verb(&id, Verb::RollBack { reason }, by).await?))
}

pub(super) async fn sign(
    State(house): State<House>,
    Extension(asker): Extension<Asker>,
    Extension(person): Extension<Option<Person>>,
    Path(id): Path<String>,
    body: Body<Said>,
) -> Reply<Json<Status>> {
    let said = read(body)?;
    let role =
        said.role.clone().ok_or_else(|| Refusal::bad_request("role is missing: for which role is it signed?"))?;
    if let Some(Person(name)) = person {
        return Ok(Json(house.controller.sign_as(&id, role, &name).await?));
    }
    Ok(Json(house.controller.sign(&id, role, who(&asker, said.by.as_ref())).await?))
}

pub(super) async fn lock(
    State(house): State<House>,
    Extension(asker): Extension<Asker>,
    body: Body<Said>,
) -> Reply<StatusCode> {
    let said = read(body)?;
    let by = who(&asker, said.by.as_ref());
    let reason = said.reason.unwrap_or_else(|| "no reason was given".into());
    house.controller.freeze(Some(Frozen { by, reason, at: house.controller.now() })).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn unlock(State(house): State<House>) -> Reply<StatusCode> {
    house.controller.freeze(None).await?;
    Ok(StatusCode::NO_CONTENT)
}
