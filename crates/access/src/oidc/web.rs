//! `GET /sign-in/oidc/{provider}`, `GET /sign-in/oidc/{provider}/callback`

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;
use signalbox_http::page::Frame;
use signalbox_http::reply::{Refusal, Reply};
use signalbox_http::route::{Access as Open, Routes};

use super::flow::Answer;
use super::service::{Oidc, OidcError};
use crate::http::{go, render_with, require_secure, safe_next, signed_in_answer};
use crate::sign_in::Browser;
use crate::ticket::{self, Kind};

/// Adds the routes; without providers there is nothing behind them.
pub fn routes(routes: Routes, oidc: &Oidc) -> Routes {
    routes.add(Method::GET, "/sign-in/oidc/{provider}", Open::Public, get(begin).with_state(oidc.clone())).add(
        Method::GET,
        "/sign-in/oidc/{provider}/callback",
        Open::Public,
        get(finish).with_state(oidc.clone()),
    )
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    next: String,
}

#[derive(askama::Template)]
#[template(path = "not_signed_in.html")]
struct NotSignedInPage<'a> {
    frame: Frame,
    message: &'a str,
    reference: &'a str,
}

async fn begin(
    State(oidc): State<Oidc>,
    browser: Browser,
    Path(provider): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Reply<Response> {
    if let Err(text) = require_secure(&browser) {
        return failed(StatusCode::FORBIDDEN, text, &browser);
    }
    match oidc.begin(&provider, safe_next(&wanted.next)).await {
        Ok((address, cookie)) => Ok(with_cookie(go(&address), &cookie)),
        Err(OidcError::NoProvider) => Err(Refusal::not_found()),
        Err(error) => {
            tracing::warn!(%error, provider.id = provider, "a sign-in could not begin");
            let text = "This way of signing in is not available at the moment. Try again, or choose another one.";
            failed(StatusCode::SERVICE_UNAVAILABLE, text, &browser)
        }
    }
}

async fn finish(
    State(oidc): State<Oidc>,
    browser: Browser,
    Path(provider): Path<String>,
    headers: HeaderMap,
    answer: Result<Query<Answer>, QueryRejection>,
) -> Reply<Response> {
    // What is not readable (a parameter twice, for example) is no answer to anything.
    let answer = answer.map(|Query(answer)| answer).unwrap_or_default();
    let answered = match oidc.finish(&provider, &headers, &answer, &browser).await {
        Ok(done) => signed_in_answer(&done.signed_in, &done.next),
        Err(OidcError::NoProvider) => return Err(Refusal::not_found()),
        Err(_) => {
            let text = "Begin again on the sign-in page. If it goes on, ask an admin of this installation and name the \
                reference below.";
            failed(StatusCode::FORBIDDEN, text, &browser)?
        }
    };
    Ok(with_cookie(answered, &ticket::clear(Kind::Oidc)))
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(mut value) = HeaderValue::from_str(cookie) {
        value.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

fn failed(status: StatusCode, message: &str, browser: &Browser) -> Reply<Response> {
    let frame = Frame::new("Not signed in", "", None);
    render_with(status, &NotSignedInPage { frame, message, reference: &browser.origin.request_id })
}
