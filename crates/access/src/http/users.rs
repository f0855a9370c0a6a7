//! `GET /users`, `GET /users/new`, `POST /users`, `GET|POST /users/{id}…`

use axum::extract::{Extension, Path, Query, State};
use axum::response::Response;
use signalbox_core::id::UserId;
use signalbox_http::caller::{Caller, Permission};
use signalbox_http::page::Frame;
use signalbox_http::reply::{Refusal, Reply};

use super::answer::*;
use super::confirm::ConfirmPage;
use super::input::{Asked, Fields};
use super::listing::{Column, Line, Listing, Wanted};
use super::parts::{Choice, Moment, choices, chosen_reach, moment, reach_words, reachable};
use crate::email::Email;
use crate::error::AccessError;
use crate::principals::Principal;
use crate::reach::Reach;
use crate::role::Role;
use crate::sign_in::{Access, Browser};
use crate::trail::By;
use crate::users::{self, Authority, Change, NewUser, User};
use crate::{passkeys, second_factor};

struct Row {
    id: UserId,
    email: String,
    name: String,
    role: Role,
    principals: String,
    mark: &'static str,
    state: &'static str,
    signed_in: Option<Moment>,
}

#[derive(askama::Template)]
#[template(path = "users.html")]
struct UsersPage {
    frame: Frame,
    may_write: bool,
    list: Listing<Row>,
}

const COLUMNS: &[Column] = &[
    Column { word: "email", title: "User", class: "" },
    Column { word: "role", title: "Role", class: "" },
    Column { word: "principals", title: "Principals", class: "" },
    Column { word: "state", title: "State", class: "" },
    Column { word: "signed_in", title: "Last sign-in", class: "n" },
];

impl Line for Row {
    fn id(&self) -> String {
        self.id.to_string()
    }

    fn cells(&self) -> Vec<String> {
        let email = if self.name == self.email { self.email.clone() } else { format!("{} {}", self.email, self.name) };
        let signed_in = self.signed_in.as_ref().map_or(String::new(), |at| at.iso.clone());
        vec![email, self.role.to_string(), self.principals.clone(), self.state.to_owned(), signed_in]
    }
}

struct RoleChoice {
    word: &'static str,
    summary: &'static str,
    chosen: bool,
}

#[derive(askama::Template)]
#[template(path = "user_new.html")]
struct NewPage {
    frame: Frame,
    error: String,
    email: String,
    email_error: String,
    name: String,
    name_error: String,
    roles: Vec<RoleChoice>,
    all: bool,
    principals: Vec<Choice>,
}

#[derive(askama::Template)]
#[template(path = "user.html")]
struct UserPage {
    frame: Frame,
    may_write: bool,
    is_self: bool,
    user: User,
    row: Row,
    error: String,
    name_error: String,
    roles: Vec<RoleChoice>,
    all: bool,
    principals: Vec<Choice>,
}

#[derive(askama::Template)]
#[template(path = "user_link.html")]
struct LinkPage {
    frame: Frame,
    id: UserId,
    email: String,
    path: String,
}

fn row(user: &User, principals: &[Principal]) -> Row {
    let (mark, state) = match user {
        user if user.disabled => ("warn", "disabled"),
        user if user.second_factor => ("ok", "second factor"),
        user if user.has_password => ("ok", "active"),
        _ => ("none", "invited"),
    };
    Row {
        id: user.id,
        email: user.email.clone(),
        name: user.name.clone(),
        role: user.role,
        principals: reach_words(principals, &user.reach),
        mark,
        state,
        signed_in: user.signed_in_at.map(moment),
    }
}

fn role_choices(caller: &Caller, chosen: Role) -> Vec<RoleChoice> {
    Role::ALL
        .into_iter()
        .filter(|role| *role != Role::Owner || caller.role == Some(Role::Owner.word()) || chosen == Role::Owner)
        .map(|role| RoleChoice { word: role.word(), summary: role.summary(), chosen: role == chosen })
        .collect()
}

pub(super) async fn list(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    Query(wanted): Query<Wanted>,
) -> Reply<Response> {
    let mut frame = Frame::new("Users", "users", Some(&caller));
    if wanted.done == "deleted" {
        frame = frame.done("The user is removed.");
    }
    let list = wanted.page("/users", COLUMNS, rows(&access, &caller).await?);
    render(&UsersPage { frame, may_write: caller.may(Permission::UsersWrite), list })
}

pub(super) async fn csv(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    Query(wanted): Query<Wanted>,
) -> Reply<Response> {
    Ok(wanted.csv("users", COLUMNS, rows(&access, &caller).await?))
}

async fn rows(access: &Access, caller: &Caller) -> Reply<Vec<Row>> {
    let scope = caller.scope.clone();
    let (all, principals) = access.look(move |conn| Ok((users::list(conn)?, reachable(conn, &scope)?))).await?;
    Ok(all.iter().map(|user| row(user, &principals)).collect())
}

async fn new_page(access: &Access, caller: &Caller) -> Reply<NewPage> {
    let scope = caller.scope.clone();
    let principals = access.look(move |conn| reachable(conn, &scope)).await?;
    Ok(NewPage {
        frame: Frame::new("Add a user", "users", Some(caller)),
        error: String::new(),
        email: String::new(),
        email_error: String::new(),
        name: String::new(),
        name_error: String::new(),
        roles: role_choices(caller, Role::Viewer),
        all: true,
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
    let role: Role = fields.get("role").parse().map_err(|error: String| Refusal::bad_request(error))?;
    let reach = chosen_reach(fields.get("reach") != "some", fields.all("principals"));
    let made = match Email::parse(fields.get("email")) {
        Ok(email) => {
            let new =
                NewUser { email, name: fields.get("name").to_owned(), role, reach: reach.clone(), password: None };
            invite(&access, &caller, &browser, new).await
        }
        Err(error) => Err(error),
    };
    match made {
        Ok((user, path)) => link_page(&caller, user, &path),
        Err(error) => {
            let mut page = new_page(&access, &caller).await?;
            let (status, field, text) = explain(error)?;
            match field {
                "email" => page.email_error = text,
                "name" => page.name_error = text,
                _ => page.error = text,
            }
            page.email = fields.get("email").to_owned();
            page.name = fields.get("name").to_owned();
            page.roles = role_choices(&caller, role);
            page.all = reach == Reach::All;
            render_with(status, &page)
        }
    }
}

/// Makes a user and the link with which they choose a password.
pub(crate) async fn invite(
    access: &Access,
    caller: &Caller,
    browser: &Browser,
    new: NewUser,
) -> Result<(User, String), AccessError> {
    let (act, may) = (access.act(By::caller(caller, &browser.origin)), Authority::of(caller));
    access
        .change(move |conn| {
            let user = match users::create(conn, &act, &may, &new)? {
                Ok(user) => user,
                Err(error) => return Ok(Err(error)),
            };
            Ok(users::password_link(conn, &act, &may, user.id)?.map(|path| (user, path.to_string())))
        })
        .await
}

fn link_page(caller: &Caller, user: User, path: &str) -> Reply<Response> {
    let frame = Frame::new("Send this link", "users", Some(caller));
    render(&LinkPage { frame, id: user.id, email: user.email, path: path.to_owned() })
}

async fn user_page(access: &Access, caller: &Caller, id: &str) -> Reply<UserPage> {
    let id: UserId = id.parse().map_err(|_| Refusal::not_found())?;
    let scope = caller.scope.clone();
    let (user, principals) = access.look(move |conn| Ok((users::get(conn, id)?, reachable(conn, &scope)?))).await?;
    let user = user.ok_or_else(Refusal::not_found)?;
    Ok(UserPage {
        frame: Frame::new(user.email.clone(), "users", Some(caller)),
        may_write: caller.may(Permission::UsersWrite),
        is_self: caller.user() == Some(id),
        row: row(&user, &principals),
        error: String::new(),
        name_error: String::new(),
        roles: role_choices(caller, user.role),
        all: user.reach == Reach::All,
        principals: choices(&principals, &user.reach),
        user,
    })
}

pub(super) async fn show(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Reply<Response> {
    let mut page = user_page(&access, &caller, &id).await?;
    let done = match asked.done.as_str() {
        "changed" => "Saved.",
        "disabled" => "The user is disabled and signed out everywhere.",
        "enabled" => "The user can sign in again.",
        "second-factor" => "The second factor is off.",
        _ => "",
    };
    if !done.is_empty() {
        page.frame = page.frame.done(done);
    }
    render(&page)
}

pub(super) async fn change(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    Path(id): Path<String>,
    fields: Fields,
) -> Reply<Response> {
    let role: Role = fields.get("role").parse().map_err(|error: String| Refusal::bad_request(error))?;
    let change = Change {
        name: Some(fields.get("name").to_owned()),
        role: Some(role),
        reach: Some(chosen_reach(fields.get("reach") != "some", fields.all("principals"))),
        disabled: None,
    };
    apply(&access, &caller, &browser, &id, change, "changed").await
}

async fn apply(
    access: &Access,
    caller: &Caller,
    browser: &Browser,
    id: &str,
    change: Change,
    done: &str,
) -> Reply<Response> {
    let user: UserId = id.parse().map_err(|_| Refusal::not_found())?;
    let (act, may) = (access.act(By::caller(caller, &browser.origin)), Authority::of(caller));
    match access.change(move |conn| users::change(conn, &act, &may, user, &change)).await {
        Ok(_) => Ok(go(&format!("/users/{user}?done={done}"))),
        Err(error) => {
            let (status, field, text) = explain(error)?;
            let mut page = user_page(access, caller, id).await?;
            match field {
                "name" => page.name_error = text,
                _ => page.error = text,
            }
            render_with(status, &page)
        }
    }
}

pub(super) async fn disable(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    Path(id): Path<String>,
) -> Reply<Response> {
    let change = Change { disabled: Some(true), ..Change::default() };
    apply(&access, &caller, &browser, &id, change, "disabled").await
}

pub(super) async fn enable(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    Path(id): Path<String>,
) -> Reply<Response> {
    let change = Change { disabled: Some(false), ..Change::default() };
    apply(&access, &caller, &browser, &id, change, "enabled").await
}

pub(super) async fn make_link(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    Path(id): Path<String>,
) -> Reply<Response> {
    let page = user_page(&access, &caller, &id).await?;
    let (act, may) = (access.act(By::caller(&caller, &browser.origin)), Authority::of(&caller));
    let user = page.user.id;
    match access.change(move |conn| users::password_link(conn, &act, &may, user)).await {
        Ok(path) => link_page(&caller, page.user, &path),
        Err(error) => user_error(page, error),
    }
}

fn user_error(mut page: UserPage, error: AccessError) -> Reply<Response> {
    let (status, _, text) = explain(error)?;
    page.error = text;
    render_with(status, &page)
}

pub(super) async fn second_factor_off(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    Path(id): Path<String>,
) -> Reply<Response> {
    let page = user_page(&access, &caller, &id).await?;
    let (act, may) = (access.act(By::caller(&caller, &browser.origin)), Authority::of(&caller));
    let user = page.user.id;
    let off = access
        .change(move |conn| {
            if let Err(error) = users::may_change(conn, &may, user)? {
                return Ok(Err(error));
            }
            // Who has lost the device has lost its passkeys too.
            passkeys::remove_all(conn, &act, user)?;
            second_factor::disable(conn, &act, user).map(Ok)
        })
        .await;
    match off {
        Ok(_) => Ok(go(&format!("/users/{user}?done=second-factor"))),
        Err(error) => user_error(page, error),
    }
}

pub(super) async fn ask_delete(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Reply<Response> {
    let page = user_page(&access, &caller, &id).await?;
    render(&ConfirmPage {
        frame: Frame::new("Remove this user?", "users", Some(&caller)),
        text: format!("{} is signed out everywhere, and the API tokens that they made end.", page.user.email),
        action: format!("/users/{}/delete", page.user.id),
        word: "Remove the user",
        back: format!("/users/{}", page.user.id),
    })
}

pub(super) async fn delete(
    State(access): State<Access>,
    Extension(caller): Extension<Caller>,
    browser: Browser,
    Path(id): Path<String>,
) -> Reply<Response> {
    let page = user_page(&access, &caller, &id).await?;
    let (act, may) = (access.act(By::caller(&caller, &browser.origin)), Authority::of(&caller));
    let user = page.user.id;
    match access.change(move |conn| users::delete(conn, &act, &may, user)).await {
        Ok(()) => Ok(go("/users?done=deleted")),
        Err(error) => user_error(page, error),
    }
}
