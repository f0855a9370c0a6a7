//! What the buttons do: forms, each of which comes back to its page.

use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use signalbox_http::caller::Caller;
use signalbox_http::reply::{Refusal, Reply};

use super::fields::Fields;
use super::{House, release, releases};
use crate::control::{AskChecklist, Frozen, Refused};
use crate::executor::Status;
use crate::model::exit::Exit;
use crate::model::machine::Verb;

/// The longest reason, and the longest note.
const WORDS: usize = 500;

type Caught = Extension<Caller>;

fn back(id: &str, done: &str) -> Response {
    Redirect::to(&format!("/ops/releases/{id}?done={done}")).into_response()
}

async fn told(house: &House, caller: &Caller, id: &str, done: &str, went: Result<Status, Refused>) -> Reply<Response> {
    match went {
        Ok(status) => Ok(back(&status.id, done)),
        Err(refused) => release::refused(house, caller, id, refused).await,
    }
}

fn reason(fields: &Fields) -> Result<String, Refused> {
    let reason = fields.text("reason", WORDS);
    if reason.is_empty() { Err(Refused::new(Exit::Refused, "Say why: the journal keeps it.")) } else { Ok(reason) }
}

pub(super) async fn pause(
    State(house): State<House>,
    Extension(caller): Caught,
    Path(id): Path<String>,
    fields: Fields,
) -> Reply<Response> {
    let went = match reason(&fields) {
        Ok(reason) => house.controller.verb(&id, Verb::Pause { reason }, caller.name.clone()).await,
        Err(refused) => Err(refused),
    };
    told(&house, &caller, &id, "pause", went).await
}

pub(super) async fn resume(
    State(house): State<House>,
    Extension(caller): Caught,
    Path(id): Path<String>,
) -> Reply<Response> {
    let went = house.controller.verb(&id, Verb::Resume, caller.name.clone()).await;
    told(&house, &caller, &id, "resume", went).await
}

pub(super) async fn roll_back(
    State(house): State<House>,
    Extension(caller): Caught,
    Path(id): Path<String>,
    fields: Fields,
) -> Reply<Response> {
    let went = match reason(&fields) {
        Ok(reason) => {
            let reason = format!("asked by {}: {reason}", caller.name);
            house.controller.verb(&id, Verb::RollBack { reason }, caller.name.clone()).await
        }
        Err(refused) => Err(refused),
    };
    told(&house, &caller, &id, "rollback", went).await
}

pub(super) async fn promote(
    State(house): State<House>,
    Extension(caller): Caught,
    Path(id): Path<String>,
    fields: Fields,
) -> Reply<Response> {
    let went = match reason(&fields) {
        Ok(reason) => house.controller.promote_as(&id, &caller.name, reason, fields.get("all") == "1").await,
        Err(refused) => Err(refused),
    };
    told(&house, &caller, &id, "promote", went).await
}

pub(super) async fn sign(
    State(house): State<House>,
    Extension(caller): Caught,
    Path(id): Path<String>,
    fields: Fields,
) -> Reply<Response> {
    let went = match fields.get("role").parse() {
        Ok(role) => house.controller.sign_as(&id, role, &caller.name).await,
        Err(_) => return Err(Refusal::bad_request("Sign for one of the roles of the page.")),
    };
    told(&house, &caller, &id, "sign", went).await
}

pub(super) async fn retry(
    State(house): State<House>,
    Extension(caller): Caught,
    Path(id): Path<String>,
) -> Reply<Response> {
    let kept = house.controller.one(&id)?;
    match house.controller.retry(&kept.id, &caller.name).await {
        Ok(begun) => Ok(back(&begun.unwrap_or(kept.id), "retry")),
        Err(refused) => release::refused(&house, &caller, &id, refused).await,
    }
}

pub(super) async fn tick(
    State(house): State<House>,
    Extension(caller): Caught,
    Path(id): Path<String>,
    fields: Fields,
) -> Reply<Response> {
    let kept = house.controller.one(&id)?;
    let asked = AskChecklist {
        manifest: kept.request.manifest.clone(),
        file: kept.request.file.clone(),
        version: Some(kept.request.version.clone()),
        done: Some(fields.get("what").to_owned()),
        note: Some(fields.text("note", WORDS)).filter(|note| !note.is_empty()),
        by: None,
    };
    match house.controller.checklist(&asked, &caller.name).await {
        Ok(_) => Ok(back(&kept.id, "tick")),
        Err(refused) => release::refused(&house, &caller, &id, refused).await,
    }
}

pub(super) async fn lock(State(house): State<House>, Extension(caller): Caught, fields: Fields) -> Reply<Response> {
    let went = match reason(&fields) {
        Ok(reason) => {
            let frozen = Frozen { by: caller.name.clone(), reason, at: house.door.now() };
            house.controller.freeze(Some(frozen)).await
        }
        Err(refused) => Err(refused),
    };
    releases::told(&house, &caller, "lock", went).await
}

pub(super) async fn unlock(State(house): State<House>, Extension(caller): Caught) -> Reply<Response> {
    let went = house.controller.freeze(None).await;
    releases::told(&house, &caller, "unlock", went).await
}

/// Back to the version before the present one, as a release of its own.
pub(super) async fn go_back(State(house): State<House>, Extension(caller): Caught, fields: Fields) -> Reply<Response> {
    let version = fields.get("to").parse().map_err(|_| Refusal::bad_request("That is no version."))?;
    match house.controller.go_back(Some(version), &caller.name).await {
        Ok(Some(id)) => Ok(back(&id, "rollback")),
        Ok(None) => releases::told(&house, &caller, "", Ok(())).await,
        Err(refused) => releases::told(&house, &caller, "", Err(refused)).await,
    }
}
