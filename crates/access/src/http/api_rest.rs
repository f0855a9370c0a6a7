//! `/api/v1/me/sessions…`, `/api/v1/sessions…`, `/api/v1/api-tokens…`, `/api/v1/principals…`, `/api/v1/audit…`

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_audit::read::{self, Filter, Row};
use signalbox_core::id::{PrincipalId, SessionId};
use signalbox_core::page::{Cursor, Limit, Page};
use signalbox_core::time::Micros;
use signalbox_http::caller::{Caller, Permission};
use signalbox_http::extract::Params;
use signalbox_http::reply::{Refusal, Reply};
use signalbox_store::Scope;

use super::answer::refusal;
use super::api_users::List;
use super::input::Input;
use super::parts::reachable;
use super::profile::{end_other_sessions, end_own};
use super::sessions::end_any;
use super::tokens::{find, make};
use crate::principals::{self, Principal};
use crate::reach::Reach;
use crate::sessions::{self, SessionInfo};
use crate::sign_in::{Access, Browser};
use crate::tokens::{self, NewToken, TokenInfo};
use crate::trail::By;

pub(super) async fn own_sessions(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
) -> Reply<Json<List<SessionInfo>>> {
    let Some(user) = caller.user() else { return Ok(Json(List { items: Vec::new() })) };
    let (rules, now) = (access.rules.clone(), access.clock.now());
    let items = access.look(move |conn| sessions::list(conn, Some(user), &rules, now)).await?;
    Ok(Json(List { items }))
}

pub(super) async fn end_own_session(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    Path(id): Path<String>,
) -> Reply<StatusCode> {
    let id: SessionId = id.parse().map_err(|_| Refusal::not_found())?;
    let user = caller.user().ok_or_else(Refusal::not_found)?;
    end_own(&access, &caller, &browser, user, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn end_own_others(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
) -> Reply<Json<Ended>> {
    let ended = if caller.session.is_some() { end_other_sessions(&access, &caller, &browser).await? } else { 0 };
    Ok(Json(Ended { ended }))
}

pub(super) async fn all_sessions(State(access): State<Access>) -> Reply<Json<List<SessionInfo>>> {
    let (rules, now) = (access.rules.clone(), access.clock.now());
    let items = access.look(move |conn| sessions::list(conn, None, &rules, now)).await?;
    Ok(Json(List { items }))
}

pub(super) async fn end_session(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    Path(id): Path<String>,
) -> Reply<StatusCode> {
    end_any(&access, &caller, &browser, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many sessions were ended.
#[derive(Serialize, JsonSchema)]
pub(super) struct Ended {
    ended: u64,
}

/// A token that was made, and its secret, which is shown this once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewApiToken")]
pub(super) struct MadeToken {
    #[serde(flatten)]
    made: TokenInfo,
    /// The secret.
    token: String,
}

/// An API token to be made. Nobody gives more than they have.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ApiTokenWish")]
pub(super) struct TokenCreation {
    name: String,
    scopes: Vec<Permission>,
    principals: Option<Reach>,
    expires_at: Option<Micros>,
}

pub(super) async fn list_tokens(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
) -> Reply<Json<List<TokenInfo>>> {
    let mut items = access.look(tokens::list).await?;
    items.retain(|token| token.reach.is_within(&caller.scope));
    Ok(Json(List { items }))
}

pub(super) async fn get_token(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Reply<Json<TokenInfo>> {
    find(&access, &caller, &id).await.map(Json)
}

pub(super) async fn create_token(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    Input(wanted): Input<TokenCreation>,
) -> Reply<Response> {
    let reach = wanted.principals.unwrap_or(Reach::All);
    let new = NewToken { name: wanted.name, scopes: wanted.scopes, reach, expires_at: wanted.expires_at };
    let (made, secret) = make(&access, &caller, &browser, new).await.map_err(refusal)?;
    Ok((StatusCode::CREATED, Json(MadeToken { made, token: secret.to_string() })).into_response())
}

pub(super) async fn revoke_token(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    Path(id): Path<String>,
) -> Reply<StatusCode> {
    let token = find(&access, &caller, &id).await?;
    let act = access.act(By::caller(&caller, &browser.origin));
    access.change(move |conn| tokens::revoke(conn, &act, token.id).map(Ok)).await.map_err(refusal)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A principal to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewPrincipal")]
pub(super) struct PrincipalCreation {
    name: String,
}

pub(super) async fn list_principals(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
) -> Reply<Json<List<Principal>>> {
    let items = access.look(move |conn| reachable(conn, &caller.scope)).await?;
    Ok(Json(List { items }))
}

pub(super) async fn get_principal(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Reply<Json<Principal>> {
    let id: PrincipalId = id.parse().map_err(|_| Refusal::not_found())?;
    let all = access.look(move |conn| reachable(conn, &caller.scope)).await?;
    all.into_iter().find(|one| one.id == id).map(Json).ok_or_else(Refusal::not_found)
}

pub(super) async fn create_principal(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    Input(wanted): Input<PrincipalCreation>,
) -> Reply<Response> {
    if caller.scope != Scope::all() {
        let detail = "Only who reaches all principals makes new ones.";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail));
    }
    let act = access.act(By::caller(&caller, &browser.origin));
    let made = access.change(move |conn| principals::create(conn, &act, &wanted.name)).await.map_err(refusal)?;
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

/// Which entries of the audit log.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    /// For example `user.created`.
    action: Option<String>,
    /// An id, or the kind of actor.
    actor: Option<String>,
    /// The id of what was changed.
    object: Option<String>,
    /// The request id, or the command.
    correlation: Option<String>,
    /// From then on.
    from: Option<Micros>,
    /// Before then.
    to: Option<Micros>,
    /// `next` of the page before.
    cursor: Option<Cursor>,
    /// How many.
    limit: Option<Limit>,
}

pub(super) async fn audit(State(access): State<Access>, Params(asked): Params<AuditQuery>) -> Reply<Json<Page<Row>>> {
    let (before, limit) = (asked.cursor.map(|cursor| cursor.0), asked.limit.unwrap_or_default().0);
    let filter = Filter {
        action: asked.action,
        actor: asked.actor,
        object: asked.object,
        correlation: asked.correlation,
        from: asked.from,
        to: asked.to,
    };
    let rows = usize::try_from(limit + 1).unwrap_or(1);
    let found = access.look(move |conn| read::page(conn, &filter, before, rows)).await?;
    Ok(Json(Page::cut(found, limit, |row| row.seq)))
}

/// One entry, by its seq.
pub(super) async fn audit_entry(State(access): State<Access>, Path(seq): Path<String>) -> Reply<Json<Row>> {
    let seq: i64 = seq.parse().map_err(|_| Refusal::not_found())?;
    let found = access.look(move |conn| read::page(conn, &Filter::default(), seq.checked_add(1), 1)).await?;
    found.into_iter().find(|row| row.seq == seq).map(Json).ok_or_else(Refusal::not_found)
}
