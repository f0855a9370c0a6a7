//! `/api/v1/me`, `/api/v1/roles`, `/api/v1/users…`

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_core::id::{SessionId, UserId};
use signalbox_http::caller::{Caller, Identity, Permission};
use signalbox_http::reply::{Refusal, Reply};
use signalbox_store::Scope;

use super::answer::refusal;
use super::input::Input;
use super::users::invite;
use crate::email::Email;
use crate::error::AccessError;
use crate::reach::Reach;
use crate::role::{Role, RoleInfo};
use crate::sign_in::{Access, Browser};
use crate::trail::By;
use crate::users::{self, Authority, Change, NewUser, User};

/// A user to be invited.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewUser")]
pub(super) struct Creation {
    email: String,
    #[serde(default)]
    name: String,
    role: Role,
    principals: Option<Reach>,
}

/// What is to be changed; the rest stays.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UserChanges")]
pub(super) struct Changes {
    name: Option<String>,
    role: Option<Role>,
    principals: Option<Reach>,
    disabled: Option<bool>,
}

/// The caller.
#[derive(Serialize, JsonSchema)]
pub(super) struct Me {
    /// `user` or `token`.
    kind: &'static str,
    id: String,
    name: String,
    /// Of a user.
    role: Option<&'static str>,
    permissions: Vec<Permission>,
    /// `all` or `some`.
    principals: &'static str,
    session: Option<SessionId>,
    must_set_up_second_factor: bool,
}

/// Everything of a kind, or what of it the caller may see.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ListOf{T}")]
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
}

/// A user who was invited.
#[derive(Serialize, JsonSchema)]
pub(super) struct Invited {
    user: User,
    /// The path with which the user chooses a password.
    link: String,
}

/// A link with which a user chooses a password.
#[derive(Serialize, JsonSchema)]
pub(super) struct PasswordLink {
    /// A path.
    link: String,
}

/// Who the caller is and what they may do.
pub(super) async fn me(Extension(caller): Extension<Caller>) -> Json<Me> {
    let (kind, id) = match caller.identity {
        Identity::User(id) => ("user", id.to_string()),
        Identity::Token(id) => ("token", id.to_string()),
    };
    Json(Me {
        kind,
        id,
        must_set_up_second_factor: caller.must_enrol(),
        name: caller.name,
        role: caller.role,
        permissions: caller.permissions,
        principals: if caller.scope == Scope::all() { "all" } else { "some" },
        session: caller.session,
    })
}

pub(super) async fn roles() -> Json<List<RoleInfo>> {
    Json(List { items: Role::ALL.map(Role::info).into() })
}

pub(super) async fn list(State(access): State<Access>) -> Reply<Json<List<User>>> {
    let items = access.look(users::list).await?;
    Ok(Json(List { items }))
}

pub(super) async fn create(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    Input(wanted): Input<Creation>,
) -> Reply<Response> {
    let email = Email::parse(&wanted.email).map_err(refusal)?;
    let reach = wanted.principals.unwrap_or(Reach::All);
    let new = NewUser { email, name: wanted.name, role: wanted.role, reach, password: None };
    let (user, link) = invite(&access, &caller, &browser, new).await.map_err(refusal)?;
    Ok((StatusCode::CREATED, Json(Invited { user, link: link.to_string() })).into_response())
}

fn read_id(id: &str) -> Reply<UserId> {
    id.parse().map_err(|_| Refusal::not_found())
}

pub(super) async fn get(State(access): State<Access>, Path(id): Path<String>) -> Reply<Json<User>> {
    let id = read_id(&id)?;
    access.look(move |conn| users::get(conn, id)).await?.map(Json).ok_or_else(Refusal::not_found)
}

pub(super) async fn change(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    Path(id): Path<String>,
    Input(wanted): Input<Changes>,
) -> Reply<Json<User>> {
    let id = read_id(&id)?;
    let change = Change { name: wanted.name, role: wanted.role, reach: wanted.principals, disabled: wanted.disabled };
    let (act, may) = (access.act(By::caller(&caller, &browser.origin)), Authority::of(&caller));
    let changed = access.change(move |conn| users::change(conn, &act, &may, id, &change)).await;
    changed.map(Json).map_err(refusal)
}

pub(super) async fn delete(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    Path(id): Path<String>,
) -> Reply<StatusCode> {
    let id = read_id(&id)?;
    let (act, may) = (access.act(By::caller(&caller, &browser.origin)), Authority::of(&caller));
    access.change(move |conn| users::delete(conn, &act, &may, id)).await.map_err(refusal)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A link with which the user chooses a new password.
pub(super) async fn link(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    Path(id): Path<String>,
) -> Reply<Response> {
    let id = read_id(&id)?;
    let (act, may) = (access.act(By::caller(&caller, &browser.origin)), Authority::of(&caller));
    let made: Result<_, AccessError> = access.change(move |conn| users::password_link(conn, &act, &may, id)).await;
    let path = made.map_err(refusal)?;
    Ok((StatusCode::CREATED, Json(PasswordLink { link: path.to_string() })).into_response())
}
