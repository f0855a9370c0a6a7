//! Who is calling, and what they may do.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;

use signalbox_core::id::{SessionId, TokenId, UserId};
use signalbox_core::time::Micros;
use signalbox_store::{Scope, StoreError};

use crate::shell::Origin;

/// What a route asks of its caller. The words are also the scopes of API tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    EventsWrite,
    EventsRead,
    ReportsRead,
    MetricsRead,
    UsersRead,
    UsersWrite,
    TokensRead,
    TokensWrite,
    SessionsRead,
    SessionsWrite,
    AuditRead,
    SettingsRead,
    PrincipalsRead,
    PrincipalsWrite,
    ReleasesRead,
    ReleasesWrite,
    ReleasesApprove,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Permission; 17] = [
        Permission::EventsWrite,
        Permission::EventsRead,
        Permission::ReportsRead,
        Permission::MetricsRead,
        Permission::UsersRead,
        Permission::UsersWrite,
        Permission::TokensRead,
        Permission::TokensWrite,
        Permission::SessionsRead,
        Permission::SessionsWrite,
        Permission::AuditRead,
        Permission::SettingsRead,
        Permission::PrincipalsRead,
        Permission::PrincipalsWrite,
        Permission::ReleasesRead,
        Permission::ReleasesWrite,
        Permission::ReleasesApprove,
    ];

    /// Its word: the scope of an API token.
    pub const fn word(self) -> &'static str {
        match self {
            Permission::EventsWrite => "events:write",
            Permission::EventsRead => "events:read",
            Permission::ReportsRead => "reports:read",
            Permission::MetricsRead => "metrics:read",
            Permission::UsersRead => "users:read",
            Permission::UsersWrite => "users:write",
            Permission::TokensRead => "tokens:read",
            Permission::TokensWrite => "tokens:write",
            Permission::SessionsRead => "sessions:read",
            Permission::SessionsWrite => "sessions:write",
            Permission::AuditRead => "audit:read",
            Permission::SettingsRead => "settings:read",
            Permission::PrincipalsRead => "principals:read",
            Permission::PrincipalsWrite => "principals:write",
            Permission::ReleasesRead => "releases:read",
            Permission::ReleasesWrite => "releases:write",
            Permission::ReleasesApprove => "releases:approve",
        }
    }

    /// Whether it changes nothing.
    pub fn only_reads(self) -> bool {
        self.word().ends_with(":read")
    }
}

impl schemars::JsonSchema for Permission {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Permission".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let words = Self::ALL.map(Permission::word);
        schemars::json_schema!({"type": "string", "description": "A permission, and a scope of API tokens.", "enum": words})
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

impl<'de> serde::Deserialize<'de> for Permission {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(input)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Who a caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A program with an API token.
    Token(TokenId),
    /// Somebody who signed in.
    User(UserId),
}

/// A caller whose credentials were checked.
#[derive(Debug, Clone)]
pub struct Caller {
    pub identity: Identity,
    /// What people call it: a user's e-mail address, a token's name.
    pub name: String,
    /// The role of a user.
    pub role: Option<&'static str>,
    /// Empty for a user whose role needs a second factor that is not set up yet.
    pub permissions: Vec<Permission>,
    /// Whose rows the caller reaches.
    pub scope: Scope,
    /// The session of a user.
    pub session: Option<SessionId>,
}

impl Caller {
    /// Whether the caller may do what `permission` names.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }

    /// The user, where it is one.
    pub fn user(&self) -> Option<UserId> {
        match self.identity {
            Identity::User(id) => Some(id),
            Identity::Token(_) => None,
        }
    }

    /// Whether a second factor has to be set up before anything else.
    pub fn must_enrol(&self) -> bool {
        self.role.is_some() && self.permissions.is_empty()
    }
}

/// What came with a request to tell who is calling.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// An API token.
    Token(String),
    /// The value of the session cookie.
    Session(String),
}

/// Why a request was refused before it reached its route.
#[derive(Debug, Clone, Copy)]
pub enum Denied<'a> {
    /// Another site caused it.
    CrossSite,
    /// It brought a token that is not good.
    Token,
    /// The caller lacks the right.
    Right(&'a Caller),
}

/// The answer of [`Authenticator::check`], some time later.
pub type Checked<'a> = Pin<Box<dyn Future<Output = Result<Option<Caller>, StoreError>> + Send + 'a>>;

/// Checks credentials. Implemented by access, wired in the binary.
pub trait Authenticator: Send + Sync {
    /// Who sent `credential`, if it is good. `origin` tells from where.
    fn check<'a>(&'a self, credential: Credential, origin: Option<&'a Origin>, now: Micros) -> Checked<'a>;

    /// Told of every request that was refused before it reached its route.
    fn refused(&self, why: Denied<'_>, origin: Option<&Origin>, path: &str, now: Micros);
}
