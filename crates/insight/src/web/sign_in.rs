//! `GET|POST /sign-in`, `POST /sign-out`

use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use signalbox_core::time::DAY;
use signalbox_http::asset;
use signalbox_http::caller::{Credential, Permission};
use signalbox_http::reply::{Refusal, Reply};
use signalbox_http::route::{COOKIE, SIGN_IN};

use super::context::SignInPage;
use super::render;
use crate::api::Insight;

/// How long a sign-in lasts.
const LASTS: i64 = DAY;

#[derive(Debug, Deserialize)]
pub(super) struct ByLink {
    k: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Entered {
    token: String,
}

fn page(error: Option<&str>) -> Reply<Response> {
    render(&SignInPage {
        page_title: "Sign in".into(),
        signed_in: false,
        principal_name: String::new(),
        version: env!("CARGO_PKG_VERSION").into(),
        asset_version: asset::version().into(),
        active: "",
        error: error.map(str::to_owned),
    })
}

pub(super) async fn show(State(insight): State<Insight>, Query(asked): Query<ByLink>) -> Reply<Response> {
    match asked.k.filter(|_| insight.sign_in_by_link) {
        Some(token) => attempt(&insight, token).await,
        None => page(None),
    }
}

pub(super) async fn submit(
    State(insight): State<Insight>,
    headers: HeaderMap,
    Form(entered): Form<Entered>,
) -> Reply<Response> {
    refuse_cross_site(&headers)?;
    attempt(&insight, entered.token.trim().to_owned()).await
}

async fn attempt(insight: &Insight, token: String) -> Reply<Response> {
    let now = insight.clock.now();
    let caller = insight.authenticator.check(Credential::Token(token), now).await?;
    match caller {
        Some(caller) if caller.may(Permission::ReportsRead) => {
            let cookie = insight.authenticator.cookie(caller.token, now.plus(LASTS), now);
            let cookie = format!("{COOKIE}={cookie}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}", LASTS / 1_000_000);
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response())
        }
        Some(_) => {
            Ok((StatusCode::FORBIDDEN, page(Some("This token lacks the scope reports:read. Make one that has it."))?)
                .into_response())
        }
        None => Ok((
            StatusCode::UNAUTHORIZED,
            page(Some("This token is not valid. Check that you copied all of it, or make a new one."))?,
        )
            .into_response()),
    }
}

pub(super) async fn sign_out(headers: HeaderMap) -> Reply<Response> {
    refuse_cross_site(&headers)?;
    let cookie = format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(SIGN_IN)).into_response())
}

/// Browsers say where a form was sent from; another site has no business here.
fn refuse_cross_site(headers: &HeaderMap) -> Reply<()> {
    match headers.get("sec-fetch-site").map(|value| value.as_bytes()) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "cross-site",
            "Not allowed",
            "This form was sent from another site.",
        )),
    }
}
