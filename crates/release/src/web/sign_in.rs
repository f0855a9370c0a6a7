//! `GET|POST /ops/sign-in`, `POST /ops/sign-out`: for whoever has the controller's token.

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use signalbox_core::time::SECOND;
use signalbox_http::assertion::{COOKIE, From, cookie, no_cookie};
use signalbox_http::page::Frame;
use signalbox_http::reply::Reply;
use signalbox_http::route::cookie_of;
use signalbox_http::shell::Origin;

use super::door::{LASTS, SIGN_IN};
use super::fields::Fields;
use super::{House, frame, render};

#[derive(askama::Template)]
#[template(path = "ops_sign_in.html")]
struct SignInPage {
    frame: Frame,
    error: String,
    name: String,
    next: String,
    /// Where the token is.
    token_file: String,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    next: String,
}

/// One of our own pages, whatever was asked for.
fn safe_next(wanted: &str) -> &str {
    let ours = (wanted == "/ops" || wanted.starts_with("/ops/")) && wanted.len() <= 512;
    let plain = wanted.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if ours && plain && !wanted.starts_with("/ops/sign-") { wanted } else { "/ops/releases" }
}

fn page(house: &House, is_near: bool, error: &str, name: &str, next: &str) -> SignInPage {
    SignInPage {
        frame: frame("Sign in", None),
        error: error.to_owned(),
        name: name.to_owned(),
        next: safe_next(next).to_owned(),
        // Where files are is nobody's business who is not on this machine.
        token_file: if is_near { house.controller.token_file().display().to_string() } else { String::new() },
    }
}

pub(super) async fn show(
    State(house): State<House>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    asked: Query<Asked>,
) -> Reply<Response> {
    if cookie_of(&headers, COOKIE).and_then(|text| house.door.caller(text)).is_some() {
        return Ok(Redirect::to(safe_next(&asked.next)).into_response());
    }
    render(&page(&house, origin.client.is_loopback(), "", "", &asked.next))
}

pub(super) async fn submit(
    State(house): State<House>,
    Extension(origin): Extension<Origin>,
    fields: Fields,
) -> Reply<Response> {
    let (name, next) = (fields.text("name", 60), fields.get("next"));
    let refuse = |status: StatusCode, error: &str| {
        let page = render(&page(&house, origin.client.is_loopback(), error, &name, next))?;
        Ok((status, page).into_response())
    };
    if !origin.secure {
        return refuse(
            StatusCode::FORBIDDEN,
            "The token may not go over a connection that others can read. Use https://.",
        );
    }
    if let Err(seconds) = house.door.may_try(origin.client) {
        let mut answer =
            refuse(StatusCode::TOO_MANY_REQUESTS, &format!("Too many wrong tokens; try again in {seconds} s."))?;
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        return Ok(answer);
    }
    if name.is_empty() {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, "Say what you are called; the journal will have it.");
    }
    if !house.door.is_token(fields.get("token")) {
        house.door.was_wrong(origin.client);
        return refuse(StatusCode::FORBIDDEN, "This is not the token of this controller.");
    }
    house.door.was_right(origin.client);
    tracing::info!(user.name = name, client = %origin.client, "signed in with the token of the controller");
    let cookie = cookie(&house.door.admit(&name), LASTS / SECOND, From::Here);
    Ok(with_cookie(Redirect::to(safe_next(next)).into_response(), &cookie))
}

pub(super) async fn sign_out() -> Response {
    with_cookie(Redirect::to(SIGN_IN).into_response(), &no_cookie())
}

fn with_cookie(mut answer: Response, cookie: &str) -> Response {
    if let Ok(mut value) = HeaderValue::from_str(cookie) {
        value.set_sensitive(true);
        answer.headers_mut().append(header::SET_COOKIE, value);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_on_stays_among_our_pages() {
        for good in ["/ops", "/ops/releases", "/ops/releases/shop-1?journal=people"] {
            assert_eq!(safe_next(good), good);
        }
        for bad in ["", "/", "//ops", "/opsx", "https://example.org/ops/", "/ops/\\x", "/ops/a b", "/ops/sign-out"] {
            assert_eq!(safe_next(bad), "/ops/releases", "{bad}");
        }
    }
}
