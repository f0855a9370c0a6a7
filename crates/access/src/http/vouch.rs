//! `GET /session/assertion`: says to the controller who is signed in, and goes back to its pages.

use axum::extract::{Extension, Query, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use serde::Deserialize;
use signalbox_core::time::SECOND;
use signalbox_http::assertion::{Assertion, From, LASTS, cookie};
use signalbox_http::caller::Caller;
use signalbox_http::reply::{Refusal, Reply};

use super::answer::{go, safe_next};
use crate::sign_in::Access;

const PAGES: &str = "/ops/releases";

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    next: String,
}

pub(super) async fn vouch(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Asked>,
) -> Reply<Response> {
    let now = access.clock.now();
    let said = Assertion::of(&caller, now).ok_or_else(Refusal::unauthenticated)?;
    let cookie = cookie(&said.sign(&(access.ring)(), now), LASTS / SECOND, From::Links);
    // Nowhere but to the pages that read it: anywhere else it would be of no use.
    let next = safe_next(&asked.next);
    let mut answer = go(if next == "/ops" || next.starts_with("/ops/") { next } else { PAGES });
    if let Ok(mut value) = HeaderValue::from_str(&cookie) {
        value.set_sensitive(true);
        answer.headers_mut().append(header::SET_COOKIE, value);
    }
    Ok(answer)
}
