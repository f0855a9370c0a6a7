//! `GET|POST /profile/passkeys`, `POST /profile/passkeys/{options,{id}/rename,{id}/remove}`,
//! `POST /sign-in/passkey`, `POST /sign-in/passkey/options`

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use signalbox_core::id::{PasskeyId, UserId};
use signalbox_http::caller::Caller;
use signalbox_http::page::Frame;
use signalbox_http::reply::{Refusal, Reply};
use signalbox_http::route::{Access as Open, Routes};

use super::ceremony::{Assertion, Registration};
use super::keys::{self, Passkey};
use super::service::{PasskeyError, Passkeys};
use crate::error::AccessError;
use crate::http::{
    Fields, Input, Moment, confirm_password, go, moment, refusal, render_with, retry_after, safe_next, with_session,
};
use crate::sign_in::{Browser, Refused, SignedIn};
use crate::ticket::{self, Kind};
use crate::trail::By;
use crate::users;

const PAGE: &str = "/profile/passkeys";

/// Adds the routes.
pub fn routes(routes: Routes, passkeys: &Passkeys) -> Routes {
    let state = || passkeys.clone();
    routes
        .add(Method::GET, PAGE, Open::SignedInPage, get(show).with_state(state()))
        .add(Method::POST, PAGE, Open::SignedIn, post(add).with_state(state()))
        .add(Method::POST, "/profile/passkeys/options", Open::SignedIn, post(begin_adding).with_state(state()))
        .add(Method::POST, "/profile/passkeys/{id}/rename", Open::SignedInPage, post(rename).with_state(state()))
        .add(Method::POST, "/profile/passkeys/{id}/remove", Open::SignedInPage, post(remove).with_state(state()))
        .add(Method::POST, "/sign-in/passkey/options", Open::Public, post(begin_sign_in).with_state(state()))
        .add(Method::POST, "/sign-in/passkey", Open::Public, post(sign_in).with_state(state()))
}

#[derive(askama::Template)]
#[template(path = "passkeys.html")]
struct PasskeysPage {
    frame: Frame,
    possible: bool,
    has_password: bool,
    rows: Vec<Row>,
    error: String,
}

/// A passkey as a row of the table.
struct Row {
    id: PasskeyId,
    name: String,
    synced: bool,
    added: Moment,
    used: Option<Moment>,
}

/// Who adds a way to sign in shows the password again: a session may have been stolen.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Begin {
    current: String,
}

fn row(passkey: Passkey) -> Row {
    let Passkey { id, name, synced, created_at, used_at } = passkey;
    Row { id, name, synced, added: moment(created_at), used: used_at.map(moment) }
}

fn user(caller: &Caller) -> Reply<UserId> {
    let detail = "This is for people who sign in, not for API tokens.";
    caller.user().ok_or_else(|| Refusal::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail))
}

async fn page(passkeys: &Passkeys, caller: &Caller, status: StatusCode, error: String) -> Reply<Response> {
    let id = user(caller)?;
    let rows = passkeys.list(id).await.map_err(refusal)?.into_iter().map(row).collect();
    let found = passkeys.access.look(move |conn| users::get(conn, id)).await?;
    let has_password = found.is_some_and(|user| user.has_password);
    let frame = Frame::new("Passkeys", "", Some(caller));
    render_with(status, &PasskeysPage { frame, possible: passkeys.are_possible(), has_password, rows, error })
}

async fn show(State(passkeys): State<Passkeys>, Extension(caller): Extension<Caller>) -> Reply<Response> {
    page(&passkeys, &caller, StatusCode::OK, String::new()).await
}

async fn begin_adding(
    State(passkeys): State<Passkeys>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    Input(begin): Input<Begin>,
) -> Reply<Response> {
    let id = user(&caller)?;
    if let Err((status, text, wait)) = confirm_password(&passkeys.access, &browser, id, &begin.current).await? {
        let refusal = Refusal::new(status, "password-needed", "The password is not right", text);
        return Ok(retry_after(refusal.into_response(), wait));
    }
    let (options, cookie) = passkeys.begin_registration(id, &caller).await.map_err(explain)?;
    Ok(with_cookie(Json(options).into_response(), &cookie))
}

async fn add(
    State(passkeys): State<Passkeys>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    headers: HeaderMap,
    Input(answer): Input<Registration>,
) -> Reply<Response> {
    let by = By::caller(&caller, &browser.origin);
    let added = passkeys.finish_registration(user(&caller)?, &headers, answer, by).await.map_err(explain)?;
    Ok(with_cookie((StatusCode::CREATED, Json(added)).into_response(), &ticket::clear(Kind::NewPasskey)))
}

async fn rename(
    State(passkeys): State<Passkeys>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    browser: Browser,
    fields: Fields,
) -> Reply<Response> {
    let (user, id, act) = (user(&caller)?, passkey(&id)?, passkeys.access.act(By::caller(&caller, &browser.origin)));
    let name = fields.get("name").to_owned();
    let changed = passkeys.access.change(move |conn| keys::rename(conn, &act, user, id, &name)).await;
    match changed {
        Err(AccessError::Invalid { detail, .. }) => {
            page(&passkeys, &caller, StatusCode::UNPROCESSABLE_ENTITY, detail).await
        }
        changed => changed.map(|()| go(PAGE)).map_err(refusal),
    }
}

async fn remove(
    State(passkeys): State<Passkeys>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    browser: Browser,
) -> Reply<Response> {
    let (user, id, act) = (user(&caller)?, passkey(&id)?, passkeys.access.act(By::caller(&caller, &browser.origin)));
    passkeys.access.change(move |conn| keys::remove(conn, &act, user, id)).await.map_err(refusal)?;
    Ok(go(PAGE))
}

async fn begin_sign_in(State(passkeys): State<Passkeys>, browser: Browser) -> Reply<Response> {
    let (options, cookie) = passkeys.begin_sign_in(&browser).await.map_err(explain)?;
    Ok(with_cookie(Json(options).into_response(), &cookie))
}

async fn sign_in(
    State(passkeys): State<Passkeys>,
    browser: Browser,
    headers: HeaderMap,
    Input(answer): Input<Assertion>,
) -> Reply<Response> {
    let clear = ticket::clear(Kind::Passkey);
    match passkeys.finish_sign_in(&headers, &answer, &browser).await {
        Ok(SignedIn::Whole(started) | SignedIn::Pending(started)) => {
            let next: Value = json!({ "next": safe_next(&answer.next) });
            Ok(with_cookie(with_session(Json(next).into_response(), &started), &clear))
        }
        Err(error) => Ok(with_cookie(explain(error).into_response(), &clear)),
    }
}

fn passkey(id: &str) -> Reply<PasskeyId> {
    id.parse().map_err(|_| Refusal::not_found())
}

/// The same words for everything that is wrong with an answer.
fn explain(error: PasskeyError) -> Refusal {
    match error {
        PasskeyError::Off => Refusal::new(
            StatusCode::CONFLICT,
            "passkeys-off",
            "Passkeys are not available",
            "This installation has no public address with https yet (server.public_url).",
        ),
        PasskeyError::SignIn(Refused::TooSoon(wait)) => {
            let detail = format!("Try again in {} s.", wait.retry_after_s);
            let mut refusal =
                Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many attempts", detail);
            refusal.0.retry_after = Some(wait.retry_after_s);
            refusal
        }
        PasskeyError::Ceremony(_) | PasskeyError::SignIn(Refused::Wrong) => Refusal::new(
            StatusCode::FORBIDDEN,
            "passkey-refused",
            "The passkey was not accepted",
            "Try again; if it goes on, use another way of signing in and register the passkey anew.",
        ),
        PasskeyError::SignIn(Refused::Failed(error)) | PasskeyError::Failed(error) => refusal(error),
    }
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(mut value) = HeaderValue::from_str(cookie) {
        value.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}
