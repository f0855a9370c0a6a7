//! What the id in a route's path names, and to whom that belongs.

use anyhow::{Context as _, Result};

/// What the id in a route's path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Principal,
    Campaign,
    Contact,
    Event,
    Token,
    OwnSession,
    OwnPasskey,
    User,
    Session,
    Entry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    Principal,
    Person,
    Installation,
}

impl Kind {
    /// Of a route; none where the path has no id.
    pub fn of(path: &str) -> Result<Option<Self>> {
        if !path.contains("{id}") && !path.contains("{seq}") {
            return Ok(None);
        }
        let kinds = [
            ("/api/v1/principals/", Kind::Principal),
            ("/api/v1/campaigns/", Kind::Campaign),
            ("/campaigns/", Kind::Campaign),
            ("/api/v1/contacts/", Kind::Contact),
            ("/contacts/", Kind::Contact),
            ("/events/", Kind::Event),
            ("/api/v1/api-tokens/", Kind::Token),
            ("/tokens/", Kind::Token),
            ("/profile/sessions/", Kind::OwnSession),
            ("/api/v1/me/sessions/", Kind::OwnSession),
            ("/profile/passkeys/", Kind::OwnPasskey),
            ("/api/v1/users/", Kind::User),
            ("/users/", Kind::User),
            ("/api/v1/sessions/", Kind::Session),
            ("/sessions/", Kind::Session),
            ("/api/v1/audit/", Kind::Entry),
            ("/audit/", Kind::Entry),
        ];
        let found = kinds.into_iter().find(|(start, _)| path.starts_with(start));
        Ok(Some(found.with_context(|| format!("{path}: say here what its id names, and to whom that belongs"))?.1))
    }

    pub fn owner(self) -> Owner {
        match self {
            Kind::Principal | Kind::Campaign | Kind::Contact | Kind::Event | Kind::Token => Owner::Principal,
            Kind::OwnSession | Kind::OwnPasskey => Owner::Person,
            Kind::User | Kind::Session | Kind::Entry => Owner::Installation,
        }
    }

    /// An id of the right form that nobody has.
    pub fn unknown(self) -> &'static str {
        match self {
            Kind::Principal => "pri_0000000000000",
            Kind::Campaign => "cmp_0000000000000",
            Kind::Contact => "con_0000000000000",
            Kind::Event | Kind::Entry => "9000000000",
            Kind::Token => "tok_0000000000000",
            Kind::OwnSession | Kind::Session => "ses_0000000000000",
            Kind::OwnPasskey => "psk_0000000000000",
            Kind::User => "usr_0000000000000",
        }
    }
}
