//! `GET|POST /set-up`: the first owner, an invitation, a new password. A link opens it once.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use signalbox_core::id::UserId;
use signalbox_http::page::Frame;
use signalbox_http::reply::Reply;
use zeroize::Zeroizing;

use super::answer::*;
use super::input::Fields;
use super::sign_in::{LinkEndedPage, signed_in_answer};
use crate::email::Email;
use crate::error::AccessError;
use crate::links::{self, Link, Purpose};
use crate::password::check_strength;
use crate::reach::Reach;
use crate::role::Role;
use crate::sign_in::{Access, Browser, Refused};
use crate::trail::By;
use crate::users::{self, Authority, NewUser};

#[derive(askama::Template)]
#[template(path = "set_up.html")]
struct SetUpPage {
    frame: Frame,
    /// Whether this makes the first owner.
    first: bool,
    secret: String,
    email: String,
    error: String,
    email_error: String,
    password_error: String,
    again_error: String,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    k: String,
}

fn page(link: Link, secret: &str, email: &str) -> SetUpPage {
    let first = link.purpose == Purpose::SetUp;
    let title = if first { "Set up Signalbox" } else { "Choose a password" };
    SetUpPage {
        frame: Frame::new(title, "", None),
        first,
        secret: secret.into(),
        email: email.into(),
        error: String::new(),
        email_error: String::new(),
        password_error: String::new(),
        again_error: String::new(),
    }
}

fn ended() -> Reply<Response> {
    render_with(StatusCode::GONE, &LinkEndedPage { frame: Frame::new("This link has ended", "", None) })
}

/// The link behind `secret` and the address of its user.
async fn find(access: &Access, browser: &Browser, secret: &str) -> Reply<Option<(Link, String)>> {
    let (now, secret) = (access.clock.now(), secret.to_owned());
    let found = access
        .look(move |conn| {
            let link = links::find(conn, &secret, now)?.filter(|link| link.purpose != Purpose::SignIn);
            Ok(match link {
                Some(Link { user: Some(user), purpose }) => users::get(conn, user)?
                    .filter(|user| !user.disabled)
                    .map(|user| (Link { user: Some(user.id), purpose }, user.email)),
                // The first owner is made once.
                Some(link) if !users::any(conn)? => Some((link, String::new())),
                _ => None,
            })
        })
        .await?;
    if found.is_none() && access.brake.attempt_source(browser.origin.client, now).is_err() {
        tracing::debug!("many wrong links from one source");
    }
    Ok(found)
}

pub(super) async fn show(
    State(access): State<Access>,
    browser: Browser,
    Query(asked): Query<Asked>,
) -> Reply<Response> {
    let Some((link, email)) = find(&access, &browser, &asked.k).await? else { return ended() };
    let mut page = page(link, &asked.k, &email);
    page.error = require_secure(&browser).err().unwrap_or_default().into();
    render(&page)
}

pub(super) async fn submit(State(access): State<Access>, browser: Browser, fields: Fields) -> Reply<Response> {
    let secret = fields.get("k").to_owned();
    let Some((link, email)) = find(&access, &browser, &secret).await? else { return ended() };
    let typed = if link.purpose == Purpose::SetUp { fields.get("email") } else { &email };
    let mut page = page(link, &secret, typed);
    if let Err(text) = require_secure(&browser) {
        page.error = text.into();
        return render_with(StatusCode::FORBIDDEN, &page);
    }
    let password = Zeroizing::new(fields.get("password").to_owned());
    let email = match Email::parse(typed) {
        Ok(email) => email,
        Err(error) => {
            page.email_error = error.to_string();
            return render_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    };
    if let Err(error) = check_strength(&password, &email) {
        page.password_error = error.to_string();
        return render_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    if fields.get("again") != *password {
        page.again_error = "The two passwords differ. Type the same one twice.".into();
        return render_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let user = match access.passwords.hash(password).await {
        Ok(hash) => accept(&access, &browser, &secret, link, email.clone(), hash).await,
        Err(error) => Err(error),
    };
    match user {
        Ok(id) => match access.finish(&browser, id, email.as_str(), "link", false).await {
            Ok(signed_in) => Ok(signed_in_answer(&signed_in, "/")),
            Err(Refused::Failed(error)) => Err(refusal(error)),
            Err(_) => ended(),
        },
        Err(AccessError::NotFound) => ended(),
        Err(error) => {
            let (status, _, text) = explain(error)?;
            page.error = text;
            render_with(status, &page)
        }
    }
}

/// Uses the link up and does what it is for.
async fn accept(
    access: &Access,
    browser: &Browser,
    secret: &str,
    link: Link,
    email: Email,
    hash: String,
) -> Result<UserId, AccessError> {
    let by = match link.user {
        Some(user) => By::user(user.0, email.as_str(), &browser.origin),
        None => By::anonymous(&browser.origin, email.as_str()),
    };
    let (act, secret) = (access.act(by), secret.to_owned());
    access
        .change(move |conn| {
            if links::take(conn, &secret, act.now)? != Some(link) {
                return Ok(Err(AccessError::NotFound));
            }
            match link.user {
                Some(user) => users::set_password(conn, &act, user, &hash, None).map(|()| Ok(user)),
                None => {
                    let new = NewUser {
                        email,
                        name: String::new(),
                        role: Role::Owner,
                        reach: Reach::All,
                        password: Some(hash),
                    };
                    Ok(users::create(conn, &act, &Authority::root(), &new)?.map(|user| user.id))
                }
            }
        })
        .await
}
