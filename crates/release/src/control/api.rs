//! The HTTP interface: reading. What changes something is in `api_verbs`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use signalbox_http::assertion::COOKIE;
use signalbox_http::caller::{Credential, Permission};
use signalbox_http::reply::{Refusal, Reply};
use signalbox_http::room::Room;
use signalbox_http::route::{cookie_of, cross_site, is_cross_site};

use super::api_verbs as verbs;
use super::controller::{Controller, written};
use super::live::Overview;
use super::reports::Format;
use crate::driver::Role;
use crate::executor::{Status, words};
use crate::model::document;
use crate::model::machine::Record;
use crate::model::value::Version;
use crate::web::Door;

/// Who asks, once it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker(pub String);

/// Somebody who has signed in, and answers for what they do themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person(pub String);

/// What handlers know.
#[derive(Clone)]
pub(super) struct House {
    pub controller: Arc<Controller>,
    door: Arc<Door>,
}

/// A plan may run commands that look at checks, and a manifest is longer than a usual body.
fn room() -> Room {
    Room { body_bytes: 1 << 20, time: std::time::Duration::from_secs(600) }
}

/// Every route below `/api/v1/releases`. A request needs the token, or the cookie of somebody who has the permission, or
/// comes with an [`Asker`], as over the Unix socket.
pub fn router(controller: Arc<Controller>, door: Arc<Door>) -> Router {
    let house = House { controller, door };
    let base = "/api/v1/releases";
    let wide = Router::new()
        .route(base, room().give(get(list).post(verbs::deploy).with_state(house.clone())))
        .route(&format!("{base}/plan"), room().give(post(verbs::plan).with_state(house.clone())))
        .route(&format!("{base}/checklist"), room().give(post(verbs::checklist).with_state(house.clone())));
    Router::new()
        .route(&format!("{base}/overview"), get(overview))
        .route(&format!("{base}/rollback"), post(verbs::go_back))
        .route(&format!("{base}/lock"), put(verbs::lock).delete(verbs::unlock))
        .route(&format!("{base}/logs"), get(logs))
        .route(&format!("{base}/{{id}}"), get(one))
        .route(&format!("{base}/{{id}}/journal"), get(journal))
        .route(&format!("{base}/{{id}}/watch"), get(watch))
        .route(&format!("{base}/{{id}}/report"), get(report))
        .route(&format!("{base}/{{id}}/promote"), post(verbs::promote))
        .route(&format!("{base}/{{id}}/pause"), post(verbs::pause))
        .route(&format!("{base}/{{id}}/resume"), post(verbs::resume))
        .route(&format!("{base}/{{id}}/rollback"), post(verbs::roll_back))
        .route(&format!("{base}/{{id}}/retry"), post(verbs::retry))
        .route(&format!("{base}/{{id}}/sign"), post(verbs::sign))
        .with_state(house.clone())
        .merge(wide)
        .layer(from_fn_with_state(house, check))
}

/// Whoever has neither the token nor the socket nor a cookie gets no further.
async fn check(State(house): State<House>, mut request: Request, next: Next) -> Response {
    if request.extensions().get::<Asker>().is_none() {
        let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let cookie = cookie_of(request.headers(), COOKIE).filter(|_| given.is_none()).map(str::to_owned);
        let asked = match (given.and_then(|value| value.strip_prefix("Bearer ")), cookie) {
            (Some(token), _) if house.door.is_token(token) => Ok((Asker("token".into()), None)),
            (None, Some(cookie)) => {
                by_cookie(&house.door, &request, cookie).map(|(asker, person)| (asker, Some(person)))
            }
            _ => Err(unauthenticated()),
        };
        match asked {
            Ok((asker, person)) => {
                request.extensions_mut().insert(asker);
                request.extensions_mut().insert(person);
            }
            Err(refusal) => return refusal.into_response(),
        }
    } else {
        request.extensions_mut().insert(None::<Person>);
    }
    next.run(request).await
}

/// Browsers send cookies by themselves, also where another site asks through them.
fn by_cookie(door: &Door, request: &Request, cookie: String) -> Reply<(Asker, Person)> {
    let caller = door.caller(&cookie).ok_or_else(unauthenticated)?;
    if !request.method().is_safe() && is_cross_site(request.headers(), Some(&Credential::Session(cookie))) {
        return Err(cross_site());
    }
    let path = request.uri().path();
    let wanted = match request.method().is_safe() {
        true => Permission::ReleasesRead,
        false if path.ends_with("/promote") || path.ends_with("/sign") => Permission::ReleasesApprove,
        false => Permission::ReleasesWrite,
    };
    if !caller.may(wanted) {
        let detail = format!("Your role lacks the permission {wanted}. An owner or admin can change your role.");
        return Err(Refusal::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail));
    }
    Ok((Asker(caller.name.clone()), Person(caller.name)))
}

fn unauthenticated() -> Refusal {
    let detail = "Send the token of DATA/control/token as `Authorization: Bearer …`, or use the Unix socket beside it.";
    Refusal::new(StatusCode::UNAUTHORIZED, "unauthenticated", "The token is needed", detail)
}

async fn list(State(house): State<House>) -> Reply<Json<Value>> {
    let mut releases: Vec<Status> = house.controller.all()?.iter().map(written).collect();
    releases.reverse();
    Ok(Json(json!({"releases": releases})))
}

async fn overview(State(house): State<House>) -> Reply<Json<Overview>> {
    Ok(Json(house.controller.overview().await?))
}

async fn one(State(house): State<House>, Path(id): Path<String>) -> Reply<Json<Status>> {
    Ok(Json(house.controller.status(&id).await?))
}

async fn journal(State(house): State<House>, Path(id): Path<String>) -> Reply<Response> {
    let kept = house.controller.one(&id)?;
    let lines: String = kept.journal.records().iter().map(Record::line).collect();
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    kind: document::Kind,
    #[serde(default = "usual_format")]
    format: Format,
}

fn usual_format() -> Format {
    Format::Markdown
}

/// A document as text.
async fn report(State(house): State<House>, Path(id): Path<String>, Query(wanted): Query<Wanted>) -> Reply<Response> {
    let made = house.controller.report(&id, wanted.kind)?;
    let (text, kind) = match wanted.format {
        Format::Markdown => (document::markdown(&made), "text/markdown; charset=utf-8"),
        Format::Html => (document::html(&made), "text/html; charset=utf-8"),
        Format::Json => return Ok(Json(made).into_response()),
    };
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    version: Option<Version>,
    #[serde(default = "usual_bytes")]
    bytes: usize,
}

fn usual_bytes() -> usize {
    64 << 10
}

async fn logs(State(house): State<House>, Query(which): Query<Which>) -> Reply<Json<Value>> {
    let driver = &house.controller.tools.driver;
    let instances = driver.list().await.map_err(super::Refused::error)?;
    let wanted = instances.iter().filter(|one| which.version.as_ref().is_none_or(|version| *version == one.version));
    let mut told = Vec::new();
    for instance in wanted {
        let text = driver.logs(&instance.id, which.bytes.min(1 << 20)).await.map_err(super::Refused::error)?;
        let staging = instance.role == Role::Staging;
        told.push(json!({
            "instance": instance.id, "version": instance.version, "staging": staging, "state": instance.state, "text": text,
        }));
    }
    Ok(Json(json!({"instances": told})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    /// Records up to this one are known.
    #[serde(default)]
    after: u64,
}

/// What a watcher has been told.
struct Watcher {
    house: House,
    id: String,
    seen: u64,
    changes: tokio::sync::watch::Receiver<u64>,
    last: String,
    over: bool,
}

/// Lines of JSON: records as they are written, and the status whenever it changed, until the release has ended.
async fn watch(State(house): State<House>, Path(id): Path<String>, Query(after): Query<After>) -> Reply<Response> {
    let id = house.controller.one(&id)?.id;
    let changes = house.controller.changes.subscribe();
    let watcher = Watcher { house, id, seen: after.after, changes, last: String::new(), over: false };
    let lines = stream::unfold(watcher, |mut watcher| async move {
        let text = watcher.next().await?;
        Some((Ok::<_, std::convert::Infallible>(text), watcher))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

impl Watcher {
    async fn next(&mut self) -> Option<String> {
        loop {
            if self.over {
                return None;
            }
            self.changes.mark_unchanged();
            // The status first: what it speaks of is in the journal by then.
            let status = self.house.controller.status(&self.id).await.ok()?;
            let kept = self.house.controller.one(&self.id).ok()?;
            let mut text = String::new();
            for record in kept.journal.records().iter().filter(|record| record.seq > self.seen) {
                let said = words::of(&record.event, kept.journal.plan());
                let line =
                    json!({"kind": "record", "at": record.at, "seq": record.seq, "said": said, "record": record});
                text.push_str(&format!("{line}\n"));
            }
            self.seen = self.seen.max(kept.journal.records().len() as u64);
            let mut told = serde_json::to_value(&status).ok()?;
            // That time goes on is no news.
            told["at"] = Value::Null;
            let told = told.to_string();
            if told != self.last || !text.is_empty() {
                let mut line = serde_json::to_value(&status).ok()?;
                line["kind"] = "status".into();
                text.push_str(&format!("{line}\n"));
                self.last = told;
            }
            self.over = kept.ended().is_some();
            if !text.is_empty() {
                return Some(text);
            }
            if !self.over {
                self.changes.changed().await.ok()?;
            }
        }
    }
}
