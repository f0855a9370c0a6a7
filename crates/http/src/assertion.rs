//! Who is signed in, told to another process that shares the keyring and has no database: signed words in a cookie, good
//! for minutes.

use serde::{Deserialize, Serialize};
use signalbox_core::id::{TokenId, UserId};
use signalbox_core::time::{MINUTE, Micros};
use signalbox_crypto::assertion::{sign_words, verify_words};
use signalbox_crypto::keyring::Keyring;
use signalbox_store::Scope;

use crate::caller::{Caller, Identity, Permission};

/// The cookie that holds it. Its prefix makes browsers insist on `Secure`, `Path=/` and no `Domain`.
pub const COOKIE: &str = "__Host-signalbox-ops";
/// Where a browser gets one: a route of the process that knows who is signed in.
pub const PLACE: &str = "/session/assertion";
/// How long it is good. What was taken from somebody meanwhile is taken when it ends.
pub const LASTS: i64 = 10 * MINUTE;

/// Somebody who is signed in, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// None: whoever has the token of the controller.
    pub user: Option<UserId>,
    pub name: String,
    pub role: String,
    pub permissions: Vec<Permission>,
    pub expires: Micros,
    /// Of whoever has the token: by which token.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mark: String,
}

impl Assertion {
    /// For a user who has signed in.
    pub fn of(caller: &Caller, now: Micros) -> Option<Self> {
        Some(Self {
            user: Some(caller.user()?),
            name: caller.name.clone(),
            role: caller.role.unwrap_or_default().to_owned(),
            permissions: caller.permissions.clone(),
            expires: now.plus(LASTS),
            mark: String::new(),
        })
    }

    /// The value of the cookie.
    pub fn sign(&self, ring: &Keyring, now: Micros) -> String {
        let words = serde_json::to_vec(self).expect("an assertion is plain data");
        sign_words(ring, &words, now)
    }

    /// What was signed, whether or not it has ended.
    pub fn read(ring: &Keyring, text: &str, now: Micros) -> Option<Self> {
        serde_json::from_slice(&verify_words(ring, text, now)?).ok()
    }

    /// As the caller of a request. It reaches no row of anybody.
    pub fn caller(self, role: Option<&'static str>) -> Caller {
        Caller {
            identity: self.user.map_or(Identity::Token(TokenId(0)), Identity::User),
            name: self.name,
            role,
            permissions: self.permissions,
            scope: Scope::principals([]),
            session: None,
        }
    }
}

/// From where a browser may bring it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// Also by a link on another site: it comes with a redirect, which such a link would otherwise repeat for ever.
    Links,
    /// From our own pages alone.
    Here,
}

/// The header that puts it into a browser.
pub fn cookie(value: &str, lasts_s: i64, from: From) -> String {
    let from = if from == From::Links { "Lax" } else { "Strict" };
    format!("{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite={from}; Max-Age={lasts_s}")
}

/// The header that takes it out.
pub fn no_cookie() -> String {
    cookie("", 0, From::Here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_by_whoever_has_the_keyring() {
        let now = Micros(1_780_000_000_000_000);
        let ring = Keyring::create(now).unwrap();
        let said = Assertion {
            user: Some(UserId(7)),
            name: "ann@example.org".into(),
            role: "operator".into(),
            permissions: vec![Permission::ReleasesRead],
            expires: now.plus(LASTS),
            mark: String::new(),
        };
        let text = said.sign(&ring, now);
        assert!(text.len() < 2000 && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';'));
        assert_eq!(Assertion::read(&ring, &text, now), Some(said.clone()));
        assert_eq!(Assertion::read(&Keyring::create(now).unwrap(), &text, now), None);
        let caller = said.caller(Some("operator"));
        assert!(caller.may(Permission::ReleasesRead) && !caller.may(Permission::ReleasesWrite));
        assert!(!caller.scope.contains(1));
    }
}
