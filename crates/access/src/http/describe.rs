//! What access's API operations say about themselves.

use axum::http::Method;
use serde_json::{Value, json};
use signalbox_audit::read::Row;
use signalbox_core::id::{PrincipalId, SessionId, TokenId, UserId};
use signalbox_core::page::Page;
use signalbox_http::openapi::{Answer, Failure, Operation, Tag};
use signalbox_http::route::Routes;

use super::api_rest::{AuditQuery, Ended, MadeToken, PrincipalCreation, TokenCreation};
use super::api_users::{Changes, Creation, Invited, List, Me, PasswordLink};
use crate::principals::Principal;
use crate::role::RoleInfo;
use crate::sessions::SessionInfo;
use crate::tokens::TokenInfo;
use crate::users::User;

const ME: Tag = Tag { name: "Me", about: "The caller, whoever it is." };
const USERS: Tag = Tag { name: "Users", about: "Who signs in, with which role, for which principals." };
const SESSIONS: Tag = Tag { name: "Sessions", about: "Who is signed in." };
const TOKENS: Tag = Tag { name: "API tokens", about: "How programs sign in." };
const PRINCIPALS: Tag = Tag { name: "Principals", about: "The brands or clients on whose behalf one speaks." };
const AUDIT: Tag = Tag { name: "Audit", about: "What was changed, by whom, and what concerns security." };

/// Adds the descriptions.
pub(super) fn describe(routes: Routes) -> Routes {
    let routes = describe_users(routes);
    describe_rest(routes)
}

fn describe_users(routes: Routes) -> Routes {
    let changes = |operation: Operation| operation.fails(Failure::Invalid).fails(Failure::Conflict);
    let one = "/api/v1/users/{id}";
    routes
        .describe(Method::GET, "/api/v1/me", Operation::new(ME, "getMe", "Who the caller is and what they may do").answers_json::<Me>("The caller.", me()))
        .describe(
            Method::GET,
            "/api/v1/roles",
            Operation::new(USERS, "listRoles", "The roles, and what each allows").answers_json::<List<RoleInfo>>(
                "Every role.",
                json!({"items": [{"name": "viewer", "summary": "Reads reports.", "permissions": ["reports:read"]}]}),
            ),
        )
        .describe(
            Method::GET,
            "/api/v1/users",
            Operation::new(USERS, "listUsers", "All users").answers_json::<List<User>>("The users.", json!({"items": [user()]})),
        )
        .describe(
            Method::POST,
            "/api/v1/users",
            changes(Operation::new(USERS, "createUser", "Invite a user"))
                .about("The answer has a link with which the user chooses a password. Nobody gives more than they have.")
                .takes::<Creation>(json!({"email": "ben@example.org", "name": "Ben", "role": "viewer", "principals": "all"}))
                .answers(Answer::json::<Invited>(201, "The user was made.", json!({"user": user(), "link": "/set-up?code=…"}))),
        )
        .describe(
            Method::GET,
            one,
            Operation::new(USERS, "getUser", "One user").path::<UserId>("id", "The user.").answers_json::<User>("The user.", user()),
        )
        .describe(
            Method::PATCH,
            one,
            changes(Operation::new(USERS, "changeUser", "Change a user"))
                .about("Fields that are left out stay. A user who is disabled is signed out at once. There is always an owner.")
                .path::<UserId>("id", "The user.")
                .takes::<Changes>(json!({"role": "analyst"}))
                .answers_json::<User>("The user as it is now.", user()),
        )
        .describe(
            Method::DELETE,
            one,
            changes(Operation::new(USERS, "deleteUser", "Delete a user"))
                .about("Sessions of the user end at once. There is always an owner.")
                .path::<UserId>("id", "The user.")
                .answers(Answer::empty(204, "The user is gone.")),
        )
        .describe(
            Method::POST,
            "/api/v1/users/{id}/link",
            changes(Operation::new(USERS, "createPasswordLink", "Make a link with which a user chooses a new password"))
                .path::<UserId>("id", "The user.")
                .answers(Answer::json::<PasswordLink>(201, "The link.", json!({"link": "/set-up?code=…"}))),
        )
}

fn describe_rest(routes: Routes) -> Routes {
    let sessions = json!({"items": [session()]});
    let ended = "The session is over.";
    routes
        .describe(
            Method::GET,
            "/api/v1/me/sessions",
            Operation::new(ME, "listOwnSessions", "The caller's sessions")
                .about("An API token has none.")
                .answers_json::<List<SessionInfo>>("The sessions.", sessions.clone()),
        )
        .describe(
            Method::DELETE,
            "/api/v1/me/sessions",
            Operation::new(ME, "endOtherSessions", "End the caller's sessions but this one")
                .answers_json::<Ended>("How many were ended.", json!({"ended": 2})),
        )
        .describe(
            Method::DELETE,
            "/api/v1/me/sessions/{id}",
            Operation::new(ME, "endOwnSession", "End one of the caller's sessions")
                .path::<SessionId>("id", "The session.")
                .answers(Answer::empty(204, ended)),
        )
        .describe(
            Method::GET,
            "/api/v1/sessions",
            Operation::new(SESSIONS, "listSessions", "Everybody's sessions")
                .answers_json::<List<SessionInfo>>("The sessions.", sessions),
        )
        .describe(
            Method::DELETE,
            "/api/v1/sessions/{id}",
            Operation::new(SESSIONS, "endSession", "End a session")
                .path::<SessionId>("id", "The session.")
                .answers(Answer::empty(204, ended)),
        )
        .describe(
            Method::GET,
            "/api/v1/api-tokens",
            Operation::new(TOKENS, "listApiTokens", "The API tokens within the caller's reach")
                .answers_json::<List<TokenInfo>>("The tokens, without their secrets.", json!({"items": [token()]})),
        )
        .describe(
            Method::POST,
            "/api/v1/api-tokens",
            Operation::new(TOKENS, "createApiToken", "Make an API token")
                .about("The secret is in this answer and never shown again. Nobody gives more than they have.")
                .takes::<TokenCreation>(json!({"name": "mailer", "scopes": ["events:write"], "principals": "all"}))
                .answers(Answer::json::<MadeToken>(201, "The token was made.", made_token()))
                .fails(Failure::Invalid),
        )
        .describe(
            Method::GET,
            "/api/v1/api-tokens/{id}",
            Operation::new(TOKENS, "getApiToken", "One API token")
                .path::<TokenId>("id", "The token.")
                .answers_json::<TokenInfo>("The token, without its secret.", token()),
        )
        .describe(
            Method::DELETE,
            "/api/v1/api-tokens/{id}",
            Operation::new(TOKENS, "revokeApiToken", "Revoke an API token")
                .path::<TokenId>("id", "The token.")
                .answers(Answer::empty(204, "The token is good no more.")),
        )
        .describe(
            Method::GET,
            "/api/v1/principals",
            Operation::new(PRINCIPALS, "listPrincipals", "The principals that the caller reaches")
                .answers_json::<List<Principal>>("The principals.", json!({"items": [principal()]})),
        )
        .describe(
            Method::POST,
            "/api/v1/principals",
            Operation::new(PRINCIPALS, "createPrincipal", "Make a principal")
                .about("For callers who reach all principals.")
                .takes::<PrincipalCreation>(json!({"name": "north"}))
                .answers(Answer::json::<Principal>(201, "The principal was made.", principal()))
                .fails(Failure::Invalid),
        )
        .describe(
            Method::GET,
            "/api/v1/principals/{id}",
            Operation::new(PRINCIPALS, "getPrincipal", "One principal")
                .path::<PrincipalId>("id", "The principal.")
                .answers_json::<Principal>("The principal.", principal()),
        )
        .describe(
            Method::GET,
            "/api/v1/audit",
            Operation::new(AUDIT, "listAuditEntries", "Entries of the audit log, newest first")
                .query::<AuditQuery>()
                .answers_json::<Page<Row>>("A page, newest first.", json!({"items": [entry()], "next": null})),
        )
        .describe(
            Method::GET,
            "/api/v1/audit/{seq}",
            Operation::new(AUDIT, "getAuditEntry", "One entry of the audit log")
                .path::<i64>("seq", "The entry's place in the log.")
                .answers_json::<Row>("The entry.", entry()),
        )
}

fn me() -> Value {
    json!({
        "kind": "token", "id": "tok_06xnypve40000", "name": "mailer", "role": null, "permissions": ["events:write"],
        "principals": "all", "session": null, "must_set_up_second_factor": false,
    })
}

fn user() -> Value {
    json!({
        "id": "usr_06xnypve40001", "email": "ben@example.org", "name": "Ben", "role": "viewer", "principals": "all",
        "disabled": false, "second_factor": false, "has_password": false,
        "created_at": "2026-11-20T18:00:00.000000Z", "signed_in_at": null,
    })
}

fn session() -> Value {
    json!({
        "id": "ses_06xnypve40002", "user": "usr_06xnypve40001", "email": "ben@example.org", "method": "password",
        "second_factor": true, "created_at": "2026-11-20T18:00:00.000000Z", "seen_at": "2026-11-20T18:05:00.000000Z",
        "expires_at": "2026-11-21T18:00:00.000000Z", "address": "192.0.2.7", "device": "Firefox on Linux",
    })
}

fn token() -> Value {
    json!({
        "id": "tok_06xnypve40000", "name": "mailer", "scopes": ["events:write"], "principals": "all", "made_by": null,
        "created_at": "2026-11-20T18:00:00.000000Z", "expires_at": null, "revoked_at": null, "used_at": null,
    })
}

fn made_token() -> Value {
    let mut made = token();
    made["token"] = json!("sbx_…");
    made
}

fn principal() -> Value {
    json!({"id": "pri_06xnypve40003", "name": "north", "created_at": "2026-11-20T18:00:00.000000Z"})
}

fn entry() -> Value {
    json!({
        "seq": 7, "id": "aud_06xnypve40004", "at": "2026-11-20T18:00:00.000000Z", "actor": "usr_06xnypve40001",
        "actor_name": "Ben", "address": "192.0.2.7", "action": "principal.created", "object": "pri_06xnypve40003",
        "correlation": "req_06xnypve40005", "before": null, "after": {"name": "north"}, "hash": "9f86d081884c7d65",
    })
}
