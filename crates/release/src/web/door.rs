//! Who comes to the pages: with an assertion of the process where people sign in, or with the controller's token.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use sha2::{Digest as _, Sha256};
use signalbox_core::clock::Clock;
use signalbox_core::time::{HOUR, MINUTE, Micros, SECOND};
use signalbox_crypto::keyring::Keyring;
use signalbox_http::assertion::{Assertion, COOKIE, PLACE};
use signalbox_http::caller::{Authenticator, Caller, Checked, Credential, Denied, Permission};
use signalbox_http::route::{Entrance, cookie_of, with_way_back};
use signalbox_http::shell::Origin;

/// Where whoever has the controller's token comes in.
pub(super) const SIGN_IN: &str = "/ops/sign-in";
/// How long that lasts.
pub(super) const LASTS: i64 = 12 * HOUR;
/// An assertion that ends sooner is renewed by the next page.
const RENEW: i64 = 5 * MINUTE;
/// So many wrong tokens of a source are answered at once, then each waits.
const FREE: u32 = 5;
/// The longest wait.
const MOST_WAIT: i64 = 5 * MINUTE;
/// Sources that are remembered.
const MOST_SOURCES: usize = 10_000;

/// The permissions of whoever has the token.
const ALL: [Permission; 3] = [Permission::ReleasesRead, Permission::ReleasesWrite, Permission::ReleasesApprove];

/// Keys, and words of roles.
pub struct Rings {
    /// Of the controller alone.
    pub own: Keyring,
    /// Of the installation, as it is now; none where there is no installation.
    pub installation: Box<dyn Fn() -> Option<Arc<Keyring>> + Send + Sync>,
    /// A role as it is shown, where there is such a one.
    pub role: fn(&str) -> Option<&'static str>,
}

/// Lets people in.
pub struct Door {
    rings: Rings,
    /// SHA-256 of the token.
    token: [u8; 32],
    clock: Arc<dyn Clock>,
    /// Wrong tokens by source: how many, and until when it waits.
    wrong: Mutex<HashMap<IpAddr, (u32, Micros)>>,
}

impl Door {
    pub fn new(rings: Rings, token: &str, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { rings, token: Sha256::digest(token.as_bytes()).into(), clock, wrong: Mutex::default() })
    }

    pub(super) fn now(&self) -> Micros {
        self.clock.now()
    }

    /// Whether it is the controller's token.
    pub(crate) fn is_token(&self, given: &str) -> bool {
        // Digests: how long a comparison takes says nothing of the token.
        let digest: [u8; 32] = Sha256::digest(given.trim().as_bytes()).into();
        digest == self.token
    }

    /// Who a cookie speaks of, by its signature alone.
    fn read(&self, text: &str, now: Micros) -> Option<Assertion> {
        if let Some(own) = Assertion::read(&self.rings.own, text, now) {
            return (own.user.is_none() && own.mark == self.mark()).then_some(own);
        }
        let ring = (self.rings.installation)()?;
        Assertion::read(&ring, text, now).filter(|said| said.user.is_some())
    }

    /// The caller behind a cookie.
    pub(crate) fn caller(&self, text: &str) -> Option<Caller> {
        let now = self.now();
        let said = self.read(text, now).filter(|said| now < said.expires)?;
        let role = if said.user.is_some() { (self.rings.role)(&said.role) } else { Some("has the controller's token") };
        Some(said.caller(role))
    }

    /// When the session of a request ends, where it can be renewed.
    pub(super) fn renewed_by(&self, request: &axum::http::HeaderMap) -> Option<Micros> {
        let now = self.now();
        let said = self.read(cookie_of(request, COOKIE)?, now)?;
        said.user.is_some().then(|| said.expires.plus(-RENEW))
    }

    /// The cookie for somebody who has shown the token and is called so.
    pub(super) fn admit(&self, name: &str) -> String {
        let now = self.now();
        let said = Assertion {
            user: None,
            name: name.to_owned(),
            role: String::new(),
            permissions: ALL.to_vec(),
            expires: now.plus(LASTS),
            mark: self.mark(),
        };
        said.sign(&self.rings.own, now)
    }

    /// A new token ends every session that the old one began.
    fn mark(&self) -> String {
        self.token[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether a token of this source is looked at; else how many seconds later.
    pub(super) fn may_try(&self, source: IpAddr) -> Result<(), u32> {
        let (now, wrong) = (self.now(), self.wrong.lock().unwrap_or_else(PoisonError::into_inner));
        match wrong.get(&source) {
            Some((_, until)) if now < *until => {
                Err(u32::try_from((until.0 - now.0 + SECOND - 1) / SECOND).unwrap_or(u32::MAX))
            }
            _ => Ok(()),
        }
    }

    /// Notes a wrong one.
    pub(super) fn was_wrong(&self, source: IpAddr) {
        let now = self.now();
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.len() >= MOST_SOURCES {
            wrong.retain(|_, (_, until)| now < *until);
        }
        let (count, until) = wrong.entry(source).or_insert((0, now));
        *count = count.saturating_add(1);
        let beyond = count.saturating_sub(FREE).min(20);
        let wait = if beyond == 0 { 0 } else { (SECOND << beyond).min(MOST_WAIT) };
        *until = now.plus(wait);
        tracing::warn!(source = %source, wrong = *count, "a wrong token of the controller");
    }

    pub(super) fn was_right(&self, source: IpAddr) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).remove(&source);
    }

    /// Where people come in.
    pub(super) fn entrance(self: &Arc<Self>) -> Entrance {
        let door = Arc::clone(self);
        Entrance { cookie: COOKIE, sign_in: Arc::new(move |request| door.way_in(request)) }
    }

    /// Through the edge there are people who sign in; directly there is the token. A cookie of which nothing is true does
    /// not become better by fetching it again.
    fn way_in(&self, request: &Request) -> String {
        let given = cookie_of(request.headers(), COOKIE).filter(|text| !text.is_empty());
        let strange = given.is_some_and(|text| self.read(text, self.now()).is_none());
        let through_the_edge = request.headers().contains_key("x-forwarded-for");
        if through_the_edge && !strange && (self.rings.installation)().is_some() {
            return with_way_back(PLACE, request);
        }
        with_way_back(SIGN_IN, request)
    }
}

impl Authenticator for Door {
    fn check<'a>(&'a self, credential: Credential, _: Option<&'a Origin>, _: Micros) -> Checked<'a> {
        let caller = match credential {
            Credential::Session(text) => self.caller(&text),
            Credential::Token(_) => None,
        };
        Box::pin(async move { Ok(caller) })
    }

    fn refused(&self, why: Denied<'_>, origin: Option<&Origin>, path: &str, _: Micros) {
        let (why, who) = match why {
            Denied::CrossSite => ("another site caused it", String::new()),
            Denied::Token => ("a token that is not good", String::new()),
            Denied::Right(caller) => ("a permission is missing", caller.name.clone()),
        };
        let client = origin.map(|origin| origin.client.to_string()).unwrap_or_default();
        tracing::warn!(user.name = who, client, http.path = path, "refused: {why}");
    }
}

/// Fetches a new assertion for whoever reads a page, before the old one ends.
pub(super) async fn renew(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let pages = request.method() == Method::GET && request.uri().path().starts_with("/ops/releases");
    let through_the_edge = request.headers().contains_key("x-forwarded-for");
    if pages && through_the_edge && door.renewed_by(request.headers()).is_some_and(|by| by <= door.now()) {
        let mut answer = Redirect::to(&with_way_back(PLACE, &request)).into_response();
        answer.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
        return answer;
    }
    next.run(request).await
}

/// How long a stream may go on before its reader fetches a new assertion.
pub(super) fn stream_lasts(door: &Door, headers: &axum::http::HeaderMap) -> Duration {
    let by = door.renewed_by(headers).map_or(HOUR, |by| by.0 - door.now().0 + 2 * SECOND);
    Duration::from_micros(u64::try_from(by.max(SECOND)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use signalbox_core::clock::SystemClock;

    fn door(installation: Option<Arc<Keyring>>, token: &str) -> Arc<Door> {
        let own = Keyring::create(Micros(1)).unwrap();
        let rings = Rings { own, installation: Box::new(move || installation.clone()), role: |_| Some("operator") };
        Door::new(rings, token, Arc::new(SystemClock))
    }

    #[test]
    fn the_token_lets_in_and_a_foreign_cookie_does_not() {
        let door = door(None, "the token of the controller");
        assert!(door.is_token("the token of the controller\n") && !door.is_token("") && !door.is_token("another"));
        let caller = door.caller(&door.admit("ann")).unwrap();
        assert!(caller.name == "ann" && caller.user().is_none() && ALL.iter().all(|one| caller.may(*one)));
        let other = super::tests::door(None, "the token of the controller");
        assert!(other.caller(&door.admit("ann")).is_none() && door.caller("").is_none());
    }

    #[test]
    fn an_assertion_of_the_installation_is_believed_until_it_ends() {
        let ring = Arc::new(Keyring::create(Micros(1)).unwrap());
        let door = door(Some(Arc::clone(&ring)), "token");
        let now = door.now();
        let said = |user: Option<i64>, expires: i64| Assertion {
            user: user.map(signalbox_core::id::UserId),
            name: "ann@example.org".into(),
            role: "operator".into(),
            permissions: vec![Permission::ReleasesRead],
            expires: now.plus(expires),
            mark: door.mark(),
        };
        let caller = door.caller(&said(Some(7), MINUTE).sign(&ring, now)).unwrap();
        assert!(caller.may(Permission::ReleasesRead) && !caller.may(Permission::ReleasesWrite));
        assert!(door.caller(&said(Some(7), -1).sign(&ring, now)).is_none());
        // The installation vouches for its users alone.
        assert!(door.caller(&said(None, MINUTE).sign(&ring, now)).is_none());
    }

    #[test]
    fn wrong_tokens_have_to_wait() {
        let door = door(None, "token");
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        for _ in 0..FREE {
            assert_eq!(door.may_try(one), Ok(()));
            door.was_wrong(one);
        }
        assert_eq!(door.may_try(one), Ok(()));
        door.was_wrong(one);
        assert!(door.may_try(one).is_err() && door.may_try(other).is_ok());
        door.was_right(one);
        assert_eq!(door.may_try(one), Ok(()));
    }
}
