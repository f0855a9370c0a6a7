//! Roles: named sets of permissions.

use std::fmt;
use std::str::FromStr;

use signalbox_http::caller::Permission;

/// What a user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Owner,
    Admin,
    Operator,
    Marketer,
    Analyst,
    Viewer,
    Auditor,
}

/// What may be shown of a role.
#[derive(Debug, Clone, serde::Serialize, schemars::JsonSchema)]
pub struct RoleInfo {
    pub name: &'static str,
    pub summary: &'static str,
    pub permissions: &'static [Permission],
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 7] =
        [Role::Owner, Role::Admin, Role::Operator, Role::Marketer, Role::Analyst, Role::Viewer, Role::Auditor];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Admin => "admin",
            Role::Operator => "operator",
            Role::Marketer => "marketer",
            Role::Analyst => "analyst",
            Role::Viewer => "viewer",
            Role::Auditor => "auditor",
        }
    }

    /// What it is for, in a sentence.
    pub const fn summary(self) -> &'static str {
        match self {
            Role::Owner => "Everything, also making and changing owners.",
            Role::Admin => "Everything but making and changing owners.",
            Role::Operator => "Runs the installation: releases, metrics, settings, events, reports, sessions.",
            Role::Marketer => "Sends and reads events, reads reports.",
            Role::Analyst => "Reads events and reports.",
            Role::Viewer => "Reads reports.",
            Role::Auditor => "Reads the audit log, users, tokens, sessions, settings, principals and releases.",
        }
    }

    /// What it allows.
    pub const fn permissions(self) -> &'static [Permission] {
        use Permission::*;
        match self {
            Role::Owner | Role::Admin => &Permission::ALL,
            Role::Operator => &[
                MetricsRead,
                ReportsRead,
                EventsRead,
                SettingsRead,
                SessionsRead,
                ReleasesRead,
                ReleasesWrite,
                ReleasesApprove,
            ],
            Role::Marketer => &[EventsWrite, EventsRead, ReportsRead],
            Role::Analyst => &[EventsRead, ReportsRead],
            Role::Viewer => &[ReportsRead],
            Role::Auditor => {
                &[AuditRead, UsersRead, TokensRead, SessionsRead, SettingsRead, PrincipalsRead, ReleasesRead]
            }
        }
    }

    /// Whether it always reaches all principals: who may grant must not be able to grant more than they have, and the
    /// audit log is one for all of them.
    pub const fn reaches_all(self) -> bool {
        matches!(self, Role::Owner | Role::Admin | Role::Auditor)
    }

    /// What may be shown of it.
    pub fn info(self) -> RoleInfo {
        RoleInfo { name: self.word(), summary: self.summary(), permissions: self.permissions() }
    }
}

impl schemars::JsonSchema for Role {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Role".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "description": "What a user is.", "enum": Self::ALL.map(Role::word)})
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.word() == word).ok_or_else(|| {
            let words = Self::ALL.map(Role::word).join(", ");
            format!("{word:?} is not a role; it is one of {words}")
        })
    }
}

impl serde::Serialize for Role {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.word())
    }
}

impl<'de> serde::Deserialize<'de> for Role {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(input)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_owners_and_admins_change_who_may_do_what() {
        use Permission::*;
        for role in Role::ALL {
            let writes = [UsersWrite, TokensWrite, SessionsWrite, PrincipalsWrite];
            let any = writes.iter().any(|permission| role.permissions().contains(permission));
            assert_eq!(any || role.permissions().contains(&AuditRead), role.reaches_all(), "{role}");
            assert!(!role.permissions().is_empty(), "no permissions mean that a second factor is missing");
            assert_eq!(role.word().parse::<Role>().unwrap(), role);
        }
    }
}
