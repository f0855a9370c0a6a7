//! The routes of access, and who may use each.

use axum::http::Method;
use axum::routing::{MethodRouter, delete, get, patch, post};
use signalbox_http::assertion;
use signalbox_http::caller::Permission::*;
use signalbox_http::route::{Access as Open, Routes};

use super::{
    api_rest, api_users, app_codes, audit, describe, profile, sessions, set_up, sign_in, tokens, users, vouch,
};
use crate::sign_in::Access;

/// Adds pages and API.
pub fn routes(routes: Routes, access: &Access) -> Routes {
    describe::describe(api(pages(routes, access), access))
}

/// What people open.
fn pages(routes: Routes, access: &Access) -> Routes {
    let with = |handler: MethodRouter<Access>| handler.with_state(access.clone());
    routes
        .add(Method::GET, "/sign-in", Open::Public, with(get(sign_in::show)))
        .add(Method::POST, "/sign-in", Open::Public, with(post(sign_in::submit)))
        .add(Method::GET, "/sign-in/second-factor", Open::Public, with(get(sign_in::show_second_factor)))
        .add(Method::POST, "/sign-in/second-factor", Open::Public, with(post(sign_in::submit_second_factor)))
        .add(Method::GET, "/sign-in/link", Open::Public, with(get(sign_in::by_link)))
        .add(Method::POST, "/sign-out", Open::Public, with(post(sign_in::sign_out)))
        .add(Method::GET, "/set-up", Open::Public, with(get(set_up::show)))
        .add(Method::POST, "/set-up", Open::Public, with(post(set_up::submit)))
        .add(Method::GET, assertion::PLACE, Open::SignedInPage, with(get(vouch::vouch)))
        .add(Method::GET, "/profile", Open::SignedInPage, with(get(profile::show)))
        .add(Method::GET, "/profile/security", Open::SignedInPage, with(get(profile::security)))
        .add(Method::POST, "/profile/security/password", Open::SignedInPage, with(post(profile::change_password)))
        .add(Method::POST, "/profile/security/app", Open::SignedInPage, with(post(app_codes::begin)))
        .add(Method::POST, "/profile/security/app/confirm", Open::SignedInPage, with(post(app_codes::confirm)))
        .add(Method::POST, "/profile/security/app/off", Open::SignedInPage, with(post(app_codes::disable)))
        .add(Method::POST, "/profile/security/codes", Open::SignedInPage, with(post(app_codes::renew)))
        .add(Method::POST, "/profile/sessions/{id}/end", Open::SignedInPage, with(post(profile::end_session)))
        .add(Method::POST, "/profile/sessions/end-others", Open::SignedInPage, with(post(profile::end_others)))
        .add(Method::GET, "/users", Open::Page(UsersRead), with(get(users::list)))
        .add(Method::GET, "/users.csv", Open::Page(UsersRead), with(get(users::csv)))
        .add(Method::POST, "/users", Open::Page(UsersWrite), with(post(users::create)))
        .add(Method::GET, "/users/new", Open::Page(UsersWrite), with(get(users::show_new)))
        .add(Method::GET, "/users/{id}", Open::Page(UsersRead), with(get(users::show)))
        .add(Method::POST, "/users/{id}", Open::Page(UsersWrite), with(post(users::change)))
        .add(Method::POST, "/users/{id}/link", Open::Page(UsersWrite), with(post(users::make_link)))
        .add(
            Method::POST,
            "/users/{id}/second-factor-off",
            Open::Page(UsersWrite),
            with(post(users::second_factor_off)),
        )
        .add(Method::POST, "/users/{id}/disable", Open::Page(UsersWrite), with(post(users::disable)))
        .add(Method::POST, "/users/{id}/enable", Open::Page(UsersWrite), with(post(users::enable)))
        .add(Method::GET, "/users/{id}/delete", Open::Page(UsersWrite), with(get(users::ask_delete)))
        .add(Method::POST, "/users/{id}/delete", Open::Page(UsersWrite), with(post(users::delete)))
        .add(Method::GET, "/tokens", Open::Page(TokensRead), with(get(tokens::list)))
        .add(Method::GET, "/tokens.csv", Open::Page(TokensRead), with(get(tokens::csv)))
        .add(Method::POST, "/tokens", Open::Page(TokensWrite), with(post(tokens::create)))
        .add(Method::GET, "/tokens/new", Open::Page(TokensWrite), with(get(tokens::show_new)))
        .add(Method::GET, "/tokens/{id}/revoke", Open::Page(TokensWrite), with(get(tokens::ask_revoke)))
        .add(Method::POST, "/tokens/{id}/revoke", Open::Page(TokensWrite), with(post(tokens::revoke)))
        .add(Method::GET, "/sessions", Open::Page(SessionsRead), with(get(sessions::list)))
        .add(Method::GET, "/sessions.csv", Open::Page(SessionsRead), with(get(sessions::csv)))
        .add(Method::POST, "/sessions/{id}/end", Open::Page(SessionsWrite), with(post(sessions::end)))
        .add(Method::GET, "/audit", Open::Page(AuditRead), with(get(audit::list)))
        .add(Method::GET, "/audit.csv", Open::Page(AuditRead), with(get(audit::csv)))
        .add(Method::GET, "/audit/{seq}", Open::Page(AuditRead), with(get(audit::entry)))
}

/// What programs use.
fn api(routes: Routes, access: &Access) -> Routes {
    let with = |handler: MethodRouter<Access>| handler.with_state(access.clone());
    routes
        .add(Method::GET, "/api/v1/me", Open::SignedIn, with(get(api_users::me)))
        .add(Method::GET, "/api/v1/roles", Open::SignedIn, with(get(api_users::roles)))
        .add(Method::GET, "/api/v1/users", Open::Api(UsersRead), with(get(api_users::list)))
        .add(Method::POST, "/api/v1/users", Open::Api(UsersWrite), with(post(api_users::create)))
        .add(Method::GET, "/api/v1/users/{id}", Open::Api(UsersRead), with(get(api_users::get)))
        .add(Method::PATCH, "/api/v1/users/{id}", Open::Api(UsersWrite), with(patch(api_users::change)))
        .add(Method::DELETE, "/api/v1/users/{id}", Open::Api(UsersWrite), with(delete(api_users::delete)))
        .add(Method::POST, "/api/v1/users/{id}/link", Open::Api(UsersWrite), with(post(api_users::link)))
        .add(Method::GET, "/api/v1/me/sessions", Open::SignedIn, with(get(api_rest::own_sessions)))
        .add(Method::DELETE, "/api/v1/me/sessions", Open::SignedIn, with(delete(api_rest::end_own_others)))
        .add(Method::DELETE, "/api/v1/me/sessions/{id}", Open::SignedIn, with(delete(api_rest::end_own_session)))
        .add(Method::GET, "/api/v1/sessions", Open::Api(SessionsRead), with(get(api_rest::all_sessions)))
        .add(Method::DELETE, "/api/v1/sessions/{id}", Open::Api(SessionsWrite), with(delete(api_rest::end_session)))
        .add(Method::GET, "/api/v1/api-tokens", Open::Api(TokensRead), with(get(api_rest::list_tokens)))
        .add(Method::POST, "/api/v1/api-tokens", Open::Api(TokensWrite), with(post(api_rest::create_token)))
        .add(Method::GET, "/api/v1/api-tokens/{id}", Open::Api(TokensRead), with(get(api_rest::get_token)))
        .add(Method::DELETE, "/api/v1/api-tokens/{id}", Open::Api(TokensWrite), with(delete(api_rest::revoke_token)))
        .add(Method::GET, "/api/v1/principals", Open::Api(PrincipalsRead), with(get(api_rest::list_principals)))
        .add(Method::POST, "/api/v1/principals", Open::Api(PrincipalsWrite), with(post(api_rest::create_principal)))
        .add(Method::GET, "/api/v1/principals/{id}", Open::Api(PrincipalsRead), with(get(api_rest::get_principal)))
        .add(Method::GET, "/api/v1/audit", Open::Api(AuditRead), with(get(api_rest::audit)))
        .add(Method::GET, "/api/v1/audit/{seq}", Open::Api(AuditRead), with(get(api_rest::audit_entry)))
}
