//! `GET /profile`, `GET|POST /profile/security…`: what everybody may do with their own account.

use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use signalbox_core::id::{SessionId, UserId};
use signalbox_http::caller::Caller;
use signalbox_http::page::Frame;
use signalbox_http::reply::{Refusal, Reply};
use zeroize::Zeroizing;

use super::answer::*;
use super::input::{Asked, Fields};
use super::parts::{SessionRow, session_row};
use crate::email::Email;
use crate::error::AccessError;
use crate::password::check_strength;
use crate::sessions::{self, Started};
use crate::sign_in::{Access, Browser};
use crate::trail::{By, Deed, note};
use crate::users::{self, User};
use crate::{recovery, role::Role};

pub(super) const SECURITY: &str = "/profile/security";

#[derive(askama::Template)]
#[template(path = "profile.html")]
struct ProfilePage {
    frame: Frame,
    user: User,
    permissions: Vec<&'static str>,
}

#[derive(askama::Template)]
#[template(path = "security.html")]
pub(super) struct SecurityPage {
    pub(super) frame: Frame,
    user: User,
    must_enrol: bool,
    codes_left: i64,
    sessions: Vec<SessionRow>,
    pub(super) error: String,
    current_error: String,
    password_error: String,
    again_error: String,
}

/// The user behind a page that only users reach.
pub(super) fn own(caller: &Caller) -> Reply<(UserId, SessionId)> {
    caller.user().zip(caller.session).ok_or_else(Refusal::unauthenticated)
}

pub(super) async fn show(State(access): State<Access>, Extension(caller): Extension<Caller>) -> Reply<Response> {
    let (id, _) = own(&caller)?;
    let user = access.look(move |conn| users::get(conn, id)).await?.ok_or_else(Refusal::unauthenticated)?;
    let permissions = user.role.permissions().iter().map(|permission| permission.word()).collect();
    render(&ProfilePage { frame: Frame::new("Your profile", "", Some(&caller)), user, permissions })
}

/// The page of password, second factor and sessions.
pub(super) async fn security_page(access: &Access, caller: &Caller) -> Reply<SecurityPage> {
    let (id, session) = own(caller)?;
    let (rules, now) = (access.rules.clone(), access.clock.now());
    let found = access
        .look(move |conn| {
            let Some(user) = users::get(conn, id)? else { return Ok(None) };
            Ok(Some((user, recovery::left(conn, id)?, sessions::list(conn, Some(id), &rules, now)?)))
        })
        .await?;
    let (user, codes_left, sessions) = found.ok_or_else(Refusal::unauthenticated)?;
    Ok(SecurityPage {
        frame: Frame::new("Password and second factor", "", Some(caller)),
        must_enrol: caller.must_enrol(),
        codes_left,
        sessions: sessions.into_iter().map(|one| session_row(one, Some(session))).collect(),
        user,
        error: String::new(),
        current_error: String::new(),
        password_error: String::new(),
        again_error: String::new(),
    })
}

pub(super) async fn security(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Asked>,
) -> Reply<Response> {
    let mut page = security_page(&access, &caller).await?;
    let done = match asked.done.as_str() {
        "password" => "The password is changed; other sessions have ended.",
        "off" => "The second factor is off.",
        "session" => "The session has ended.",
        "others" => "All other sessions have ended.",
        _ => "",
    };
    if !done.is_empty() {
        page.frame = page.frame.done(done);
    }
    render(&page)
}

/// Checks the password of somebody who is signed in already, with the same brake as at sign-in.
pub(crate) async fn confirm_password(
    access: &Access,
    browser: &Browser,
    user: UserId,
    password: &str,
) -> Reply<Result<(), (StatusCode, String, Option<u32>)>> {
    let sql = "SELECT password, email FROM user_account WHERE id = $1";
    let found =
        access.look(move |conn| conn.first(sql, &[user.0.into()], |row| Ok((row.opt_text(0)?, row.text(1)?)))).await?;
    // Somebody who signs in elsewhere has no password here to confirm.
    let Some((Some(hash), email)) = found else { return Ok(Ok(())) };
    let client = browser.origin.client;
    if let Err(wait) = access.brake.attempt(&email, client, true, access.clock.now()).await? {
        let text = format!("Too many attempts. Try again in {} seconds.", wait.retry_after_s);
        return Ok(Err((StatusCode::TOO_MANY_REQUESTS, text, Some(wait.retry_after_s))));
    }
    match access.passwords.verify(Zeroizing::new(password.to_owned()), Some(hash)).await {
        Ok(verified) if verified.good => {
            access.brake.passed(&email, client).await?;
            Ok(Ok(()))
        }
        Ok(_) => Ok(Err((StatusCode::UNPROCESSABLE_ENTITY, "This is not your present password.".into(), None))),
        Err(error) => {
            let (status, _, text) = explain(error)?;
            Ok(Err((status, text, Some(5))))
        }
    }
}

pub(super) async fn change_password(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    fields: Fields,
) -> Reply<Response> {
    let (id, session) = own(&caller)?;
    let mut page = security_page(&access, &caller).await?;
    let password = Zeroizing::new(fields.get("password").to_owned());
    let email = Email::parse(&page.user.email).map_err(refusal)?;
    if let Err(error) = check_strength(&password, &email) {
        page.password_error = error.to_string();
        return render_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    if fields.get("again") != *password {
        page.again_error = "The two passwords differ. Type the same one twice.".into();
        return render_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    if let Err((status, text, wait)) = confirm_password(&access, &browser, id, fields.get("current")).await? {
        page.current_error = text;
        return Ok(retry_after(render_with(status, &page)?, wait));
    }
    let act = access.act(By::caller(&caller, &browser.origin));
    let changed = match access.passwords.hash(password).await {
        Ok(hash) => {
            access
                .change(move |conn| {
                    let started = sessions::rotate(conn, session, false, &act)?;
                    users::set_password(conn, &act, id, &hash, Some(session.0))?;
                    Ok(started)
                })
                .await
        }
        Err(error) => Err(error),
    };
    match changed {
        Ok(started) => Ok(with_session(go("/profile/security?done=password"), &started)),
        Err(error) => {
            let (status, _, text) = explain(error)?;
            page.error = text;
            render_with(status, &page)
        }
    }
}

pub(super) async fn end_session(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    Path(id): Path<String>,
) -> Reply<Response> {
    let (user, own_session) = own(&caller)?;
    let id: SessionId = id.parse().map_err(|_| Refusal::not_found())?;
    end_own(&access, &caller, &browser, user, id).await?;
    if id == own_session {
        return Ok(without_session(go(signalbox_http::route::SIGN_IN)));
    }
    Ok(go("/profile/security?done=session"))
}

/// Ends one of the caller's own sessions.
pub(crate) async fn end_own(
    access: &Access,
    caller: &Caller,
    browser: &Browser,
    user: UserId,
    id: SessionId,
) -> Reply<()> {
    let act = access.act(By::caller(caller, &browser.origin));
    access
        .change(move |conn| {
            if !sessions::end(conn, id, Some(user))? {
                return Ok(Err(AccessError::NotFound));
            }
            note(conn, &act, Deed { action: "session.revoked", object: &id.to_string(), ..Deed::default() })?;
            Ok(Ok(()))
        })
        .await
        .map_err(refusal)
}

pub(super) async fn end_others(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
) -> Reply<Response> {
    end_other_sessions(&access, &caller, &browser).await?;
    Ok(go("/profile/security?done=others"))
}

/// Ends all sessions of the caller but the present one; how many they were.
pub(crate) async fn end_other_sessions(access: &Access, caller: &Caller, browser: &Browser) -> Reply<u64> {
    let (user, session) = own(caller)?;
    let act = access.act(By::caller(caller, &browser.origin));
    access
        .change(move |conn| {
            let ended = sessions::end_all(conn, user, Some(session.0))?;
            note(
                conn,
                &act,
                Deed {
                    action: "session.others_revoked",
                    object: &user.to_string(),
                    after: Some(serde_json::json!({ "ended": ended })),
                    ..Deed::default()
                },
            )?;
            Ok(Ok(ended))
        })
        .await
        .map_err(refusal)
}

/// A page, with the session's new secret.
pub(super) fn page_with_session(page: Response, started: &Started) -> Response {
    with_session(page, started)
}

/// Whether the role of `user` asks for a second factor.
pub(super) fn is_required(access: &Access, role: Role) -> bool {
    access.rules.second_factor.contains(&role)
}
