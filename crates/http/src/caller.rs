//! Who is calling, and what they may do.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;

use signalbox_core::id::TokenId;
use signalbox_core::time::Micros;
use signalbox_store::{Scope, StoreError};

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    EventsWrite,
    EventsRead,
    ReportsRead,
    MetricsRead,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Permission; 4] =
        [Permission::EventsWrite, Permission::EventsRead, Permission::ReportsRead, Permission::MetricsRead];

    /// Its word: the scope of an API token.
    pub const fn word(self) -> &'static str {
        match self {
            Permission::EventsWrite => "events:write",
            Permission::EventsRead => "events:read",
            Permission::ReportsRead => "reports:read",
            Permission::MetricsRead => "metrics:read",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

impl FromStr for Permission {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|permission| permission.word() == word).ok_or_else(|| {
            let words = Self::ALL.map(Permission::word).join(", ");
            format!("{word:?} is not a scope; it is one of {words}")
        })
    }
}

impl serde::Serialize for Permission {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.word())
    }
}

/// A caller whose credentials were checked.
#[derive(Debug, Clone)]
pub struct Caller {
    pub token: TokenId,
    pub name: String,
    pub permissions: Vec<Permission>,
    /// Whose rows the caller reaches.
    pub scope: Scope,
}

impl Caller {
    /// Whether the caller may do what `permission` names.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }
}

/// What came with a request to tell who is calling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// An API token.
    Token(String),
    /// A signed cookie.
    Cookie(String),
}

/// The answer of [`Authenticator::check`], some time later.
pub type Checked<'a> = Pin<Box<dyn Future<Output = Result<Option<Caller>, StoreError>> + Send + 'a>>;

/// Checks credentials. Implemented by access, wired in the binary.
pub trait Authenticator: Send + Sync {
    /// Who sent `credential`, if it is good.
    fn check(&self, credential: Credential, now: Micros) -> Checked<'_>;

    /// A signed cookie for the owner of `token`, good until `expires`.
    fn cookie(&self, token: TokenId, expires: Micros, now: Micros) -> String;
}
