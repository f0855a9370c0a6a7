//! The routing table: every route says who may use it.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::MethodRouter;
use signalbox_core::clock::Clock;

use crate::caller::{Authenticator, Caller, Credential, Denied, Identity, Permission};
use crate::openapi::{Described, Operation, Rule, Rules, enforce};
use crate::reply::Refusal;
use crate::shell::Origin;
use crate::standing::Standing;
use crate::{page, problem_page};

/// The name of the session cookie. Its prefix makes browsers insist on `Secure`, `Path=/` and no `Domain`.
pub const COOKIE: &str = "__Host-signalbox";
/// Where pages send callers who are not signed in.
pub const SIGN_IN: &str = "/sign-in";
/// Where pages send users whose role needs a second factor that they have not set up.
pub const SECURITY: &str = "/profile/security";

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// Callers with the permission; others get problem details.
    Api(Permission),
    /// Callers with the permission; others are sent to sign in.
    Page(Permission),
    /// Everybody who has signed in; others get problem details.
    SignedIn,
    /// Users who have signed in; others are sent to sign in.
    SignedInPage,
}

impl Access {
    /// The permission that it asks for.
    pub fn permission(self) -> Option<Permission> {
        match self {
            Access::Api(permission) | Access::Page(permission) => Some(permission),
            Access::Public | Access::SignedIn | Access::SignedInPage => None,
        }
    }

    /// Whether people see it, and not programs.
    pub fn is_page(self) -> bool {
        matches!(self, Access::Page(_) | Access::SignedInPage)
    }
}

/// For example `api events:read`, `page signed-in` or `public`.
impl std::fmt::Display for Access {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Access::Public => out.write_str("public"),
            Access::Api(permission) => write!(out, "api {permission}"),
            Access::Page(permission) => write!(out, "page {permission}"),
            Access::SignedIn => out.write_str("api signed-in"),
            Access::SignedInPage => out.write_str("page signed-in"),
        }
    }
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
    described: Vec<Described>,
    rules: Rules,
}

#[derive(Clone)]
struct Guard {
    authenticator: Arc<dyn Authenticator>,
    clock: Arc<dyn Clock>,
    entrance: Entrance,
}

/// How people come in.
#[derive(Clone)]
pub struct Entrance {
    /// The cookie that says who they are.
    pub cookie: &'static str,
    /// Where pages send those who are not signed in, and those who came with this request.
    pub sign_in: Arc<dyn Fn(&Request) -> String + Send + Sync>,
}

impl Default for Entrance {
    fn default() -> Self {
        Self { cookie: COOKIE, sign_in: Arc::new(|request| with_way_back(SIGN_IN, request)) }
    }
}

impl Routes {
    /// No routes yet.
    pub fn new(authenticator: Arc<dyn Authenticator>, clock: Arc<dyn Clock>) -> Self {
        Self {
            guard: Guard { authenticator, clock, entrance: Entrance::default() },
            router: Router::new(),
            table: Vec::new(),
            described: Vec::new(),
            rules: Rules::default(),
        }
    }

    /// Lets people come in another way; before any route is added.
    pub fn through(mut self, entrance: Entrance) -> Self {
        self.guard.entrance = entrance;
        self
    }

    /// Adds a route. `handler` is made with `axum::routing::{get, post, …}` for the same method.
    pub fn add(mut self, method: Method, path: &str, access: Access, handler: MethodRouter) -> Self {
        let handler = handler.layer(from_fn_with_state(Arc::clone(&self.rules), enforce));
        let handler = match (access, method.is_safe()) {
            (Access::Public, true) => handler,
            _ => handler.layer(from_fn_with_state((self.guard.clone(), access), check)),
        };
        self.router = self.router.route(path, handler);
        self.table.push(Row { method, path: path.to_owned(), access });
        self
    }

    /// Says what a route does, takes and answers.
    pub fn describe(mut self, method: Method, path: &str, operation: Operation) -> Self {
        self.described.push(Described { method, path: path.to_owned(), operation });
        self
    }

    /// The routes so far.
    pub fn table(&self) -> &[Row] {
        &self.table
    }

    /// What was said about them.
    pub fn described(&self) -> &[Described] {
        &self.described
    }

    /// The router and its table.
    pub fn finish(self) -> (Router, Vec<Row>) {
        self.rules.get_or_init(|| Rule::of(&self.described));
        (self.router, self.table)
    }
}

async fn check(State((guard, access)): State<(Guard, Access)>, mut request: Request, next: Next) -> Response {
    let now = guard.clock.now();
    let credential = credential_in(&request, guard.entrance.cookie);
    let origin = request.extensions().get::<Origin>().cloned();
    if !request.method().is_safe() && is_cross_site(request.headers(), credential.as_ref()) {
        guard.authenticator.refused(Denied::CrossSite, origin.as_ref(), request.uri().path(), now);
        return cross_site().into_response();
    }
    if access == Access::Public {
        return next.run(request).await;
    }
    let caller = match credential.clone() {
        Some(credential) => guard.authenticator.check(credential, origin.as_ref(), now).await,
        None => Ok(None),
    };
    let caller = match caller {
        Ok(Some(caller)) => caller,
        Ok(None) if matches!(credential, Some(Credential::Token(_))) => {
            guard.authenticator.refused(Denied::Token, origin.as_ref(), request.uri().path(), now);
            return Refusal::unauthenticated().into_response();
        }
        Ok(None) if access.is_page() => return Redirect::to(&(guard.entrance.sign_in)(&request)).into_response(),
        Ok(None) => return Refusal::unauthenticated().into_response(),
        Err(error) => return Refusal::from(error).into_response(),
    };
    let granted = match access {
        Access::SignedInPage => caller.user().is_some(),
        _ => access.permission().is_none_or(|permission| caller.may(permission)),
    };
    if granted {
        request.extensions_mut().insert(caller);
        if let (Some(credential), Some(permission)) = (credential, access.permission()) {
            let Guard { authenticator, clock, .. } = guard;
            request.extensions_mut().insert(Standing { authenticator, clock, credential, permission });
        }
        return next.run(request).await;
    }
    if access.is_page() && caller.must_enrol() {
        return Redirect::to(SECURITY).into_response();
    }
    // A person whose role sees no reports begins at the first page that it does see.
    let starts = access.is_page() && request.uri().path() == "/" && problem_page::is_wanted(request.headers(), "/");
    if let Some(place) = starts.then(|| page::first_place(&caller)).flatten() {
        return Redirect::to(place).into_response();
    }
    guard.authenticator.refused(Denied::Right(&caller), origin.as_ref(), request.uri().path(), now);
    forbidden(&caller, access).into_response()
}

fn forbidden(caller: &Caller, access: Access) -> Refusal {
    let detail = match (caller.identity, access.permission()) {
        (Identity::Token(_), Some(permission)) => format!("The API token lacks the scope {permission}."),
        (Identity::Token(_), None) => "This is for people who sign in, not for API tokens.".to_owned(),
        (Identity::User(_), _) if caller.must_enrol() => {
            format!("Your role needs a second factor. Set one up at {SECURITY}, then sign in again.")
        }
        (Identity::User(_), Some(permission)) => {
            format!("Your role lacks the permission {permission}. An owner or admin can change your role.")
        }
        (Identity::User(_), None) => "Your role does not allow this.".to_owned(),
    };
    Refusal::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail)
}

/// The answer to what another site caused.
pub fn cross_site() -> Refusal {
    let detail = "This request was sent from another site. Open the page here and try again.";
    Refusal::new(StatusCode::FORBIDDEN, "cross-site", "Not allowed", detail)
}

/// Whether another site caused a request. Browsers say so in Sec-Fetch-Site; older ones send at least Origin.
/// Without either it is a program: with the cookie of a session it has no business, with a token or nothing it has.
pub fn is_cross_site(headers: &HeaderMap, credential: Option<&Credential>) -> bool {
    if matches!(credential, Some(Credential::Token(_))) {
        return false;
    }
    if let Some(site) = headers.get("sec-fetch-site") {
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    match headers.get(header::ORIGIN) {
        Some(origin) => {
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
            let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
            !origin.is_some_and(|(_, origin)| host.is_some_and(|host| origin.eq_ignore_ascii_case(host)))
        }
        None => credential.is_some(),
    }
}

/// The page at `path`, for example to sign in, with the way back to a page that was asked for.
pub fn with_way_back(path: &str, request: &Request) -> String {
    let wanted = request.uri().path_and_query().map_or("/", |wanted| wanted.as_str());
    if request.method() != Method::GET || wanted == "/" || wanted.len() > 512 {
        return path.to_owned();
    }
    let mut place = format!("{path}?next=");
    for byte in wanted.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => place.push(byte as char),
            _ => {
                // Writing into a string cannot fail.
                let _ = write!(place, "%{byte:02X}");
            }
        }
    }
    place
}

/// What a request says of its sender.
pub fn credential(request: &Request) -> Option<Credential> {
    credential_in(request, COOKIE)
}

fn credential_in(request: &Request, cookie: &str) -> Option<Credential> {
    if let Some(value) = request.headers().get(header::AUTHORIZATION) {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| Credential::Token(token.trim().to_owned()));
    }
    cookie_of(request.headers(), cookie).map(|session| Credential::Session(session.to_owned()))
}

/// The value of the session cookie.
pub fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    cookie_of(headers, COOKIE)
}

/// The value of a cookie.
pub fn cookie_of<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let cookies = headers.get_all(header::COOKIE);
    let mut pairs = cookies.iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}
