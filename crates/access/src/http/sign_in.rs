//! `GET|POST /sign-in`, `GET|POST /sign-in/second-factor`, `GET /sign-in/link`, `POST /sign-out`

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use signalbox_http::caller::Credential;
use signalbox_http::page::Frame;
use signalbox_http::reply::Reply;
use signalbox_http::route::SIGN_IN;
use signalbox_store::StoreError;
use zeroize::Zeroizing;

use super::answer::*;
use super::input::Fields;
use crate::error::AccessError;
use crate::links::{self, Purpose};
use crate::oidc::Button;
use crate::sign_in::{Access, Browser, Refused, SignedIn};
use crate::trail::By;
use crate::{second_factor, sessions};

const SECOND_FACTOR: &str = "/sign-in/second-factor";

#[derive(askama::Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    error: String,
    email: String,
    next: String,
    /// Addresses and names of providers.
    providers: Vec<(String, String)>,
    passkeys: bool,
}

#[derive(askama::Template)]
#[template(path = "second_factor.html")]
struct SecondFactorPage {
    frame: Frame,
    error: String,
    next: String,
    /// Whether there is an app, or a recovery code, to type a code from.
    codes: bool,
    passkeys: bool,
}

#[derive(askama::Template)]
#[template(path = "link_ended.html")]
pub(super) struct LinkEndedPage {
    pub(super) frame: Frame,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    next: String,
    #[serde(default)]
    k: String,
}

fn sign_in_page(access: &Access, error: String, email: &str, next: &str) -> SignInPage {
    let button = |button: &Button| (with_next(&format!("/sign-in/oidc/{}", button.id), next), button.name.clone());
    SignInPage {
        frame: Frame::new("Sign in", "", None),
        error,
        email: email.into(),
        next: safe_next(next).into(),
        providers: access.ways.providers.iter().map(button).collect(),
        passkeys: access.ways.passkeys,
    }
}

fn with_next(path: &str, next: &str) -> String {
    match safe_next(next) {
        "/" => path.to_owned(),
        next => {
            let encoded: String = next
                .bytes()
                .map(|byte| match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => (byte as char).to_string(),
                    _ => format!("%{byte:02X}"),
                })
                .collect();
            format!("{path}?next={encoded}")
        }
    }
}

pub(super) async fn show(
    State(access): State<Access>,
    browser: Browser,
    Query(asked): Query<Asked>,
) -> Reply<Response> {
    if let Some(cookie) = &browser.cookie
        && access.sessions.check(cookie, access.clock.now()).await?.is_some()
    {
        return Ok(go(safe_next(&asked.next)));
    }
    let error = require_secure(&browser).err().unwrap_or_default();
    render(&sign_in_page(&access, error.into(), "", &asked.next))
}

pub(super) async fn submit(State(access): State<Access>, browser: Browser, fields: Fields) -> Reply<Response> {
    let (email, next) = (fields.get("email"), fields.get("next"));
    if let Err(text) = require_secure(&browser) {
        return render_with(StatusCode::FORBIDDEN, &sign_in_page(&access, text.into(), email, next));
    }
    let password = Zeroizing::new(fields.get("password").to_owned());
    match access.by_password(&browser, email, password).await {
        Ok(signed_in) => Ok(signed_in_answer(&signed_in, next)),
        Err(refused) => {
            let (status, text, wait) = explain_refused(refused)?;
            let wrong = "The e-mail address or the password is not right.";
            let text = if text.is_empty() { wrong.to_owned() } else { text };
            Ok(retry_after(render_with(status, &sign_in_page(&access, text, email, next))?, wait))
        }
    }
}

/// The answer to a sign-in of any kind that has come this far.
pub fn signed_in_answer(signed_in: &SignedIn, next: &str) -> Response {
    match signed_in {
        SignedIn::Whole(started) => with_session(go(safe_next(next)), started),
        SignedIn::Pending(started) => with_session(go(&with_next(SECOND_FACTOR, next)), started),
    }
}

async fn second_factor_page(
    access: &Access,
    cookie: String,
    error: String,
    next: &str,
) -> Result<Option<SecondFactorPage>, StoreError> {
    let now = access.clock.now();
    let pending = access.look(move |conn| match sessions::pending(conn, &cookie, now)? {
        Some((user, _)) => Ok(Some(second_factor::has_app(conn, user)?)),
        None => Ok(None),
    });
    Ok(pending.await?.map(|codes| SecondFactorPage {
        frame: Frame::new("Second factor", "", None),
        error,
        next: safe_next(next).into(),
        codes,
        passkeys: access.ways.passkeys,
    }))
}

pub(super) async fn show_second_factor(
    State(access): State<Access>,
    browser: Browser,
    Query(asked): Query<Asked>,
) -> Reply<Response> {
    let Some(cookie) = browser.cookie else { return Ok(go(SIGN_IN)) };
    match second_factor_page(&access, cookie, String::new(), &asked.next).await? {
        Some(page) => render(&page),
        None => Ok(go(&with_next(SIGN_IN, &asked.next))),
    }
}

pub(super) async fn submit_second_factor(
    State(access): State<Access>,
    browser: Browser,
    fields: Fields,
) -> Reply<Response> {
    let next = fields.get("next");
    match access.by_second_factor(&browser, fields.get("code")).await {
        Ok((started, _)) => Ok(with_session(go(safe_next(next)), &started)),
        // The ten minutes are over, or the user is gone.
        Err(Refused::Failed(AccessError::NotFound)) => Ok(without_session(go(&with_next(SIGN_IN, next)))),
        Err(refused) => {
            let (status, text, wait) = explain_refused(refused)?;
            let wrong = "This code is not right, or it was used. Wait for the next one, or use a recovery code.";
            let text = if text.is_empty() { wrong.to_owned() } else { text };
            let cookie = browser.cookie.unwrap_or_default();
            match second_factor_page(&access, cookie, text, next).await? {
                Some(page) => Ok(retry_after(render_with(status, &page)?, wait)),
                None => Ok(without_session(go(&with_next(SIGN_IN, next)))),
            }
        }
    }
}

/// Signs in by a one-time link, as the demo prints one.
pub(super) async fn by_link(
    State(access): State<Access>,
    browser: Browser,
    Query(asked): Query<Asked>,
) -> Reply<Response> {
    if let Err(text) = require_secure(&browser) {
        return render_with(StatusCode::FORBIDDEN, &sign_in_page(&access, text.into(), "", ""));
    }
    let now = access.clock.now();
    let ended = || render_with(StatusCode::GONE, &LinkEndedPage { frame: Frame::new("This link has ended", "", None) });
    if access.brake.attempt_source(browser.origin.client, now).is_err() {
        return ended();
    }
    let taken = access
        .change(move |conn| {
            let link = links::find(conn, &asked.k, now)?.filter(|link| link.purpose == Purpose::SignIn);
            let Some(user) = link.and_then(|link| link.user) else { return Ok(Ok(None)) };
            if links::take(conn, &asked.k, now)?.is_none() {
                return Ok(Ok(None));
            }
            Ok(Ok(crate::users::get(conn, user)?))
        })
        .await
        .map_err(refusal)?;
    let Some(user) = taken else { return ended() };
    match access.finish(&browser, user.id, &user.email, "link", false).await {
        Ok(signed_in) => Ok(signed_in_answer(&signed_in, "/")),
        Err(Refused::Failed(error)) => Err(refusal(error)),
        Err(_) => ended(),
    }
}

pub(super) async fn sign_out(State(access): State<Access>, browser: Browser) -> Reply<Response> {
    let by = match &browser.cookie {
        Some(cookie) => {
            use signalbox_http::caller::Authenticator as _;
            let caller =
                access.check(Credential::Session(cookie.clone()), Some(&browser.origin), access.clock.now()).await?;
            caller.map(|caller| By::caller(&caller, &browser.origin))
        }
        None => None,
    };
    if let Some(by) = by {
        access.sign_out(&browser, by).await.map_err(refusal)?;
    }
    Ok(without_session(go(SIGN_IN)))
}
