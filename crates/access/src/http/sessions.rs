//! `GET /sessions`, `POST /sessions/{id}/end`: who is signed in.

use axum::extract::{Extension, Path, Query, State};
use axum::response::Response;
use signalbox_core::id::SessionId;
use signalbox_http::caller::{Caller, Permission};
use signalbox_http::page::Frame;
use signalbox_http::reply::{Refusal, Reply};

use super::answer::*;
use super::listing::{Column, Line, Listing, Wanted};
use super::parts::{SessionRow, session_row};
use crate::error::AccessError;
use crate::sessions;
use crate::sign_in::{Access, Browser};
use crate::trail::{By, Deed, note};

#[derive(askama::Template)]
#[template(path = "sessions.html")]
struct SessionsPage {
    frame: Frame,
    may_write: bool,
    list: Listing<SessionRow>,
}

const COLUMNS: &[Column] = &[
    Column { word: "user", title: "User", class: "" },
    Column { word: "device", title: "Device", class: "" },
    Column { word: "address", title: "Address", class: "" },
    Column { word: "method", title: "Signed in by", class: "" },
    Column { word: "seen", title: "Last seen", class: "n" },
    Column { word: "since", title: "Since", class: "n" },
];

impl Line for SessionRow {
    fn id(&self) -> String {
        self.id.to_string()
    }

    fn cells(&self) -> Vec<String> {
        let method = format!("{}{}", self.method, if self.second_factor { ", second factor" } else { "" });
        let (seen, since) = (self.seen.iso.clone(), self.since.iso.clone());
        vec![self.email.clone(), self.device.clone(), self.address.clone(), method, seen, since]
    }
}

pub(super) async fn list(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    Query(wanted): Query<Wanted>,
) -> Reply<Response> {
    let mut frame = Frame::new("Sessions", "sessions", Some(&caller));
    if wanted.done == "ended" {
        frame = frame.done("The session has ended.");
    }
    let list = wanted.page("/sessions", COLUMNS, rows(&access, &caller).await?);
    render(&SessionsPage { frame, may_write: caller.may(Permission::SessionsWrite), list })
}

pub(super) async fn csv(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    Query(wanted): Query<Wanted>,
) -> Reply<Response> {
    Ok(wanted.csv("sessions", COLUMNS, rows(&access, &caller).await?))
}

async fn rows(access: &Access, caller: &Caller) -> Reply<Vec<SessionRow>> {
    let (rules, now) = (access.rules.clone(), access.clock.now());
    let all = access.look(move |conn| sessions::list(conn, None, &rules, now)).await?;
    Ok(all.into_iter().map(|one| session_row(one, caller.session)).collect())
}

pub(super) async fn end(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    Path(id): Path<String>,
) -> Reply<Response> {
    end_any(&access, &caller, &browser, &id).await?;
    Ok(go("/sessions?done=ended"))
}

/// Ends anybody's session. Only an owner ends the sessions of owners.
pub(crate) async fn end_any(access: &Access, caller: &Caller, browser: &Browser, id: &str) -> Reply<()> {
    let id: SessionId = id.parse().map_err(|_| Refusal::not_found())?;
    let act = access.act(By::caller(caller, &browser.origin));
    let may = crate::users::Authority::of(caller);
    access
        .change(move |conn| {
            let sql = "SELECT user_id FROM user_session WHERE id = $1";
            let Some(user) = conn.first(sql, &[id.0.into()], |row| row.int(0))? else {
                return Ok(Err(AccessError::NotFound));
            };
            if let Err(error) = crate::users::may_change(conn, &may, signalbox_core::id::UserId(user))? {
                return Ok(Err(error));
            }
            if !sessions::end(conn, id, None)? {
                return Ok(Err(AccessError::NotFound));
            }
            note(conn, &act, Deed { action: "session.revoked", object: &id.to_string(), ..Deed::default() })?;
            Ok(Ok(()))
        })
        .await
        .map_err(refusal)
}
