//! The routing table: every route says who may use it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::MethodRouter;
use signalbox_core::clock::Clock;

use crate::caller::{Authenticator, Credential, Permission};
use crate::reply::Refusal;

/// The name of the sign-in cookie.
pub const COOKIE: &str = "signalbox_session";
/// Where pages send callers who are not signed in.
pub const SIGN_IN: &str = "/sign-in";

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// Callers with the permission; others get problem details.
    Api(Permission),
    /// Callers with the permission; others are sent to sign in.
    Page(Permission),
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub method: Method,
    pub path: String,
    pub access: Access,
}

/// Routes being gathered, and the table of them.
pub struct Routes {
    guard: Guard,
    router: Router,
    table: Vec<Row>,
}

#[derive(Clone)]
struct Guard {
    authenticator: Arc<dyn Authenticator>,
    clock: Arc<dyn Clock>,
}

impl Routes {
    /// No routes yet.
    pub fn new(authenticator: Arc<dyn Authenticator>, clock: Arc<dyn Clock>) -> Self {
        Self { guard: Guard { authenticator, clock }, router: Router::new(), table: Vec::new() }
    }

    /// Adds a route. `handler` is made with `axum::routing::{get, post, …}` for the same method.
    pub fn add(mut self, method: Method, path: &str, access: Access, handler: MethodRouter) -> Self {
        let handler = match access {
            Access::Public => handler,
            Access::Api(_) | Access::Page(_) => handler.layer(from_fn_with_state((self.guard.clone(), access), check)),
        };
        self.router = self.router.route(path, handler);
        self.table.push(Row { method, path: path.to_owned(), access });
        self
    }

    /// The router and its table.
    pub fn finish(self) -> (Router, Vec<Row>) {
        (self.router, self.table)
    }
}

async fn check(State((guard, access)): State<(Guard, Access)>, mut request: Request, next: Next) -> Response {
    let (permission, is_page) = match access {
        Access::Public => return next.run(request).await,
        Access::Api(permission) => (permission, false),
        Access::Page(permission) => (permission, true),
    };
    let caller = match credential(&request) {
        Some(credential) => guard.authenticator.check(credential, guard.clock.now()).await,
        None => Ok(None),
    };
    match caller {
        Ok(Some(caller)) if caller.may(permission) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Ok(Some(_)) => {
            let detail = format!("The API token lacks the scope {permission}.");
            Refusal::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail).into_response()
        }
        Ok(None) if is_page => Redirect::to(SIGN_IN).into_response(),
        Ok(None) => Refusal::unauthenticated().into_response(),
        Err(error) => Refusal::from(error).into_response(),
    }
}

fn credential(request: &Request) -> Option<Credential> {
    if let Some(value) = request.headers().get(header::AUTHORIZATION) {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| Credential::Token(token.trim().to_owned()));
    }
    let cookies = request.headers().get_all(header::COOKIE);
    let mut pairs = cookies.iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
    let session = pairs.find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))?;
    Some(Credential::Cookie(session.to_owned()))
}
