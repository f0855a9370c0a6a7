//! `POST /profile/security/app…`, `…/codes`: the authenticator app and the recovery codes.

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::Response;
use qrcodegen::{QrCode, QrCodeEcc};
use signalbox_http::caller::Caller;
use signalbox_http::page::Frame;
use signalbox_http::reply::{Refusal, Reply};

use super::answer::*;
use super::input::Fields;
use super::profile::{SECURITY, confirm_password, is_required, own, page_with_session, security_page};
use crate::error::AccessError;
use crate::second_factor;
use crate::sessions;
use crate::sign_in::{Access, Browser};
use crate::trail::By;
use crate::users;

#[derive(askama::Template)]
#[template(path = "app.html")]
struct AppPage {
    frame: Frame,
    /// One path of an SVG whose side is `side`.
    qr: String,
    side: i32,
    /// In groups of four.
    secret: String,
    error: String,
}

#[derive(askama::Template)]
#[template(path = "codes.html")]
struct CodesPage {
    frame: Frame,
    codes: Vec<String>,
}

pub(super) async fn begin(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    fields: Fields,
) -> Reply<Response> {
    let (user, _) = own(&caller)?;
    if let Err((status, text, wait)) = confirm_password(&access, &browser, user, fields.get("current")).await? {
        let mut page = security_page(&access, &caller).await?;
        page.error = text;
        return Ok(retry_after(render_with(status, &page)?, wait));
    }
    app_page(&access, &caller, StatusCode::OK, String::new()).await
}

async fn app_page(access: &Access, caller: &Caller, status: StatusCode, error: String) -> Reply<Response> {
    let (user, _) = own(caller)?;
    let (ring, email, now) = ((access.ring)(), caller.name.clone(), access.clock.now());
    let enrolment =
        access.change(move |conn| second_factor::begin(conn, &ring, user, &email, now)).await.map_err(refusal)?;
    let code = QrCode::encode_text(&enrolment.uri, QrCodeEcc::Medium)
        .map_err(|_| Refusal::bad_request("the address is too long for a QR code"))?;
    let size = code.size();
    let mut path = String::new();
    for y in 0..size {
        for x in (0..size).filter(|x| code.get_module(*x, y)) {
            path.push_str(&format!("M{} {}h1v1h-1z", x + 4, y + 4));
        }
    }
    let letters: Vec<char> = enrolment.secret.chars().collect();
    let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
    let frame = Frame::new("Authenticator app", "", Some(caller));
    render_with(status, &AppPage { frame, qr: path, side: size + 8, secret: groups.join(" "), error })
}

pub(super) async fn confirm(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    fields: Fields,
) -> Reply<Response> {
    let (user, session) = own(&caller)?;
    let act = access.act(By::caller(&caller, &browser.origin));
    let (ring, code) = ((access.ring)(), fields.get("code").to_owned());
    let confirmed = access
        .change(move |conn| {
            let codes = match second_factor::confirm(conn, &act, &ring, user, &code)? {
                Ok(codes) => codes,
                Err(error) => return Ok(Err(error)),
            };
            Ok(sessions::rotate(conn, session, true, &act)?.map(|started| (codes, started)))
        })
        .await;
    match confirmed {
        Ok((codes, started)) => Ok(page_with_session(codes_page(&caller, codes)?, &started)),
        Err(AccessError::Invalid { detail, .. }) => {
            app_page(&access, &caller, StatusCode::UNPROCESSABLE_ENTITY, detail).await
        }
        Err(error) => Err(refusal(error)),
    }
}

fn codes_page(caller: &Caller, codes: Vec<String>) -> Reply<Response> {
    render(&CodesPage { frame: Frame::new("Recovery codes", "", Some(caller)), codes })
}

pub(super) async fn renew(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    fields: Fields,
) -> Reply<Response> {
    let (user, _) = own(&caller)?;
    let mut page = security_page(&access, &caller).await?;
    if let Err((status, text, wait)) = confirm_password(&access, &browser, user, fields.get("current")).await? {
        page.error = text;
        return Ok(retry_after(render_with(status, &page)?, wait));
    }
    let act = access.act(By::caller(&caller, &browser.origin));
    let codes = access
        .change(move |conn| {
            if !second_factor::has_app(conn, user)? {
                return Ok(Err(AccessError::NotFound));
            }
            second_factor::renew_codes(conn, &act, user)
        })
        .await
        .map_err(refusal)?;
    codes_page(&caller, codes)
}

pub(super) async fn disable(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    fields: Fields,
) -> Reply<Response> {
    let (user, session) = own(&caller)?;
    let mut page = security_page(&access, &caller).await?;
    if let Err((status, text, wait)) = confirm_password(&access, &browser, user, fields.get("current")).await? {
        page.error = text;
        return Ok(retry_after(render_with(status, &page)?, wait));
    }
    let act = access.act(By::caller(&caller, &browser.origin));
    let found = access.look(move |conn| users::get(conn, user)).await?.ok_or_else(Refusal::unauthenticated)?;
    if is_required(&access, found.role) {
        page.error = format!("Your role ({}) needs a second factor. Set up another app instead.", found.role);
        return render_with(StatusCode::FORBIDDEN, &page);
    }
    let started = access
        .change(move |conn| {
            let started = sessions::rotate(conn, session, false, &act)?;
            second_factor::disable(conn, &act, user)?;
            Ok(started)
        })
        .await
        .map_err(refusal)?;
    Ok(page_with_session(go(&format!("{SECURITY}?done=off")), &started))
}
