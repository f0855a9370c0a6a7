//! `GET /tokens`, `GET /tokens/new`, `POST /tokens`, `GET|POST /tokens/{id}/revoke`

use axum::extract::{Extension, Path, Query, State};
use axum::response::Response;
use signalbox_core::id::TokenId;
use signalbox_core::setting::Period;
use signalbox_core::time::Micros;
use signalbox_http::caller::{Caller, Permission};
use signalbox_http::page::Frame;
use signalbox_http::reply::{Refusal, Reply};
use zeroize::Zeroizing;

use super::answer::*;
use super::confirm::ConfirmPage;
use super::input::Fields;
use super::listing::{Column, Line, Listing, Wanted};
use super::parts::{Choice, Moment, choices, chosen_reach, moment, reach_words, reachable};
use crate::error::AccessError;
use crate::reach::Reach;
use crate::sign_in::{Access, Browser};
use crate::tokens::{self, NewToken, TokenInfo};
use crate::trail::By;

struct Row {
    id: TokenId,
    name: String,
    scopes: String,
    principals: String,
    mark: &'static str,
    state: &'static str,
    ends: Option<Moment>,
    used: Option<Moment>,
    active: bool,
}

#[derive(askama::Template)]
#[template(path = "tokens.html")]
struct TokensPage {
    frame: Frame,
    may_write: bool,
    list: Listing<Row>,
}

const COLUMNS: &[Column] = &[
    Column { word: "name", title: "Token", class: "" },
    Column { word: "scopes", title: "Scopes", class: "" },
    Column { word: "principals", title: "Principals", class: "" },
    Column { word: "state", title: "State", class: "" },
    Column { word: "used", title: "Last use", class: "n" },
];

impl Line for Row {
    fn id(&self) -> String {
        self.id.to_string()
    }

    fn cells(&self) -> Vec<String> {
        let used = self.used.as_ref().map_or(String::new(), |at| at.iso.clone());
        vec![self.name.clone(), self.scopes.clone(), self.principals.clone(), self.state.to_owned(), used]
    }
}

struct ScopeChoice {
    word: &'static str,
    chosen: bool,
}

#[derive(askama::Template)]
#[template(path = "token_new.html")]
struct NewPage {
    frame: Frame,
    error: String,
    name: String,
    name_error: String,
    scopes_error: String,
    scopes: Vec<ScopeChoice>,
    all: bool,
    reaches_all: bool,
    principals: Vec<Choice>,
}

#[derive(askama::Template)]
#[template(path = "token_made.html")]
struct MadePage {
    frame: Frame,
    name: String,
    secret: Zeroizing<String>,
}

pub(super) async fn list(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    Query(wanted): Query<Wanted>,
) -> Reply<Response> {
    let mut frame = Frame::new("API tokens", "tokens", Some(&caller));
    if wanted.done == "revoked" {
        frame = frame.done("The token has ended.");
    }
    let list = wanted.page("/tokens", COLUMNS, rows(&access, &caller).await?);
    render(&TokensPage { frame, may_write: caller.may(Permission::TokensWrite), list })
}

pub(super) async fn csv(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    Query(wanted): Query<Wanted>,
) -> Reply<Response> {
    Ok(wanted.csv("tokens", COLUMNS, rows(&access, &caller).await?))
}

/// The tokens that the caller reaches: those in use first, then the newest.
async fn rows(access: &Access, caller: &Caller) -> Reply<Vec<Row>> {
    let (scope, now) = (caller.scope.clone(), access.clock.now());
    let (all, principals) = access.look(move |conn| Ok((tokens::list(conn)?, reachable(conn, &scope)?))).await?;
    let mut rows: Vec<Row> = all
        .iter()
        .filter(|token| token.reach.is_within(&caller.scope))
        .map(|token| row(token, reach_words(&principals, &token.reach), now))
        .collect();
    rows.sort_by_key(|row| (!row.active, std::cmp::Reverse(row.id)));
    Ok(rows)
}

fn row(token: &TokenInfo, principals: String, now: Micros) -> Row {
    let (mark, state) = match token {
        token if token.revoked_at.is_some() => ("none", "revoked"),
        token if !token.is_active(now) => ("none", "expired"),
        _ => ("ok", "active"),
    };
    Row {
        id: token.id,
        name: token.name.clone(),
        scopes: token.scopes.iter().map(|scope| scope.word()).collect::<Vec<_>>().join(", "),
        principals,
        mark,
        state,
        ends: token.revoked_at.or(token.expires_at).map(moment),
        used: token.used_at.map(moment),
        active: token.is_active(now),
    }
}

async fn new_page(access: &Access, caller: &Caller) -> Reply<NewPage> {
    let scope = caller.scope.clone();
    let principals = access.look(move |conn| reachable(conn, &scope)).await?;
    let reaches_all = Reach::All.is_within(&caller.scope);
    Ok(NewPage {
        frame: Frame::new("Make an API token", "tokens", Some(caller)),
        error: String::new(),
        name: String::new(),
        name_error: String::new(),
        scopes_error: String::new(),
        scopes: caller.permissions.iter().map(|scope| ScopeChoice { word: scope.word(), chosen: false }).collect(),
        all: reaches_all,
        reaches_all,
        principals: choices(&principals, &Reach::All),
    })
}

pub(super) async fn show_new(State(access): State<Access>, Extension(caller): Extension<Caller>) -> Reply<Response> {
    render(&new_page(&access, &caller).await?)
}

pub(super) async fn create(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    fields: Fields,
) -> Reply<Response> {
    let scopes: Vec<Permission> = fields.all("scopes").filter_map(|word| word.parse().ok()).collect();
    let reach = chosen_reach(fields.get("reach") != "some", fields.all("principals"));
    let expires_at = match fields.get("expires") {
        "" | "never" => None,
        text => {
            let period: Period = text.parse().map_err(Refusal::bad_request)?;
            Some(access.clock.now().plus(i64::try_from(period.0.as_micros()).unwrap_or(i64::MAX)))
        }
    };
    let new =
        NewToken { name: fields.get("name").to_owned(), scopes: scopes.clone(), reach: reach.clone(), expires_at };
    match make(&access, &caller, &browser, new).await {
        Ok((made, secret)) => {
            let frame = Frame::new("Keep this token", "tokens", Some(&caller));
            render(&MadePage { frame, name: made.name, secret })
        }
        Err(error) => {
            let mut page = new_page(&access, &caller).await?;
            let (status, field, text) = explain(error)?;
            match field {
                "name" => page.name_error = text,
                "scopes" => page.scopes_error = text,
                _ => page.error = text,
            }
            page.name = fields.get("name").to_owned();
            page.all = reach == Reach::All;
            for scope in &mut page.scopes {
                scope.chosen = scopes.iter().any(|chosen| chosen.word() == scope.word);
            }
            render_with(status, &page)
        }
    }
}

/// Makes a token for the caller.
pub(crate) async fn make(
    access: &Access,
    caller: &Caller,
    browser: &Browser,
    new: NewToken,
) -> Result<(TokenInfo, Zeroizing<String>), AccessError> {
    let (act, maker) = (access.act(By::caller(caller, &browser.origin)), caller.clone());
    access.change(move |conn| tokens::create(conn, &act, Some(&maker), &new)).await
}

/// A token that the caller reaches.
pub(crate) async fn find(access: &Access, caller: &Caller, id: &str) -> Reply<TokenInfo> {
    let id: TokenId = id.parse().map_err(|_| Refusal::not_found())?;
    let found = access.look(move |conn| tokens::get(conn, id)).await?;
    found.filter(|token| token.reach.is_within(&caller.scope)).ok_or_else(Refusal::not_found)
}

pub(super) async fn ask_revoke(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Reply<Response> {
    let token = find(&access, &caller, &id).await?;
    render(&ConfirmPage {
        frame: Frame::new("End this token?", "tokens", Some(&caller)),
        text: format!("Programs that use {} are refused within a second.", token.name),
        action: format!("/tokens/{}/revoke", token.id),
        word: "End the token",
        back: "/tokens".into(),
    })
}

pub(super) async fn revoke(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    Path(id): Path<String>,
) -> Reply<Response> {
    let token = find(&access, &caller, &id).await?;
    let act = access.act(By::caller(&caller, &browser.origin));
    access.change(move |conn| tokens::revoke(conn, &act, token.id).map(Ok)).await.map_err(refusal)?;
    Ok(go("/tokens?done=revoked"))
}
