//! Who somebody is, here, whom a provider vouches for: by issuer and subject; at the first time by a verified address.

use serde_json::Value;
use signalbox_core::id::UserId;
use signalbox_store::{Conn, StoreError};

use super::id_token::Claims;
use super::settings::{ProviderSettings, RoleMap};
use crate::email::Email;
use crate::error::AccessError;
use crate::reach::Reach;
use crate::role::Role;
use crate::trail::{Act, Actor, By, Deed, note};
use crate::users::{Authority, Change, NewUser, User};
use crate::{sessions, users};

/// Somebody of whom a provider has told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    subject: String,
    /// Only an address that the provider has verified.
    email: Option<Email>,
    name: String,
    role: Mapped,
}

/// What the settings make of the claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mapped {
    /// The settings map no roles: users keep theirs.
    Unmapped,
    /// No value of the claim is in the map.
    Nothing,
    Role(Role),
}

/// Why somebody whom the provider knows does not get in. The words go into log and audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stranger {
    #[error("no user here belongs to this account, and the provider gave no verified e-mail address")]
    NoVerifiedEmail,
    #[error("no user here has this e-mail address")]
    Unknown,
    #[error("the user with this address signs in with a password, or with another account")]
    NotLinked,
    #[error("the user is disabled")]
    Disabled,
    #[error("the provider's claim gives no role here")]
    NoRole,
    #[error("the provider's name or address for this person is not usable")]
    Unusable,
}

impl Person {
    pub(crate) fn of(claims: &Claims, settings: &ProviderSettings) -> Self {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        let is_verified = match claims.get("email_verified") {
            Some(Value::Bool(verified)) => *verified,
            // Some providers write words.
            Some(Value::String(word)) => word == "true",
            _ => false,
        };
        let name: String = text("name").chars().filter(|letter| !letter.is_control()).take(200).collect();
        Self {
            subject: text("sub").to_owned(),
            email: is_verified.then(|| Email::parse(text("email")).ok()).flatten(),
            name,
            role: settings.roles.as_ref().map_or(Mapped::Unmapped, |roles| map_role(roles, claims)),
        }
    }

    /// What the audit log calls them before they are known here.
    pub(crate) fn label(&self) -> &str {
        self.email.as_ref().map_or(self.subject.as_str(), Email::as_str)
    }
}

/// The highest role that a value of the claim gives.
fn map_role(roles: &RoleMap, claims: &Claims) -> Mapped {
    let one = |value: &Value| roles.map.get(value.as_str()?)?.parse::<Role>().ok();
    let best = match claims.get(&roles.claim) {
        Some(Value::Array(values)) => values.iter().filter_map(one).min(),
        Some(value) => one(value),
        None => None,
    };
    best.map_or(Mapped::Nothing, Mapped::Role)
}

/// The user that `person` is. Links, creates and changes the role as the settings say.
pub(crate) fn recognise(
    conn: &mut Conn<'_>,
    act: &Act,
    provider: &ProviderSettings,
    person: &Person,
) -> Result<Result<User, Stranger>, StoreError> {
    // What the provider's word changes is a deed of the program, told with this request's id.
    let by = By { actor: Actor::System, name: format!("provider {}", provider.id), ..act.by.clone() };
    let act = &Act { by, ..act.clone() };
    let known = linked(conn, &provider.issuer, &person.subject)?;
    let (user, given) = match known {
        Some((id, given)) => (users::get(conn, id)?, given),
        None => (None, None),
    };
    let user = match user {
        Some(user) => user,
        None => match first_time(conn, act, provider, person)? {
            Ok(user) => user,
            Err(stranger) => return Ok(Err(stranger)),
        },
    };
    if user.disabled {
        return Ok(Err(Stranger::Disabled));
    }
    apply_role(conn, act, provider, person, user, given)
}

/// Forgets the accounts of a user who is removed.
pub(crate) fn forget(conn: &mut Conn<'_>, user: UserId) -> Result<u64, StoreError> {
    conn.execute("DELETE FROM oidc_identity WHERE user_id = $1", &[user.0.into()])
}

/// The user of an account, and the role that the provider's claim gave last.
fn linked(conn: &mut Conn<'_>, issuer: &str, subject: &str) -> Result<Option<(UserId, Option<String>)>, StoreError> {
    let sql = "SELECT user_id, role FROM oidc_identity WHERE issuer = $1 AND subject = $2";
    conn.first(sql, &[issuer.into(), subject.into()], |row| Ok((UserId(row.int(0)?), row.opt_text(1)?)))
}

fn first_time(
    conn: &mut Conn<'_>,
    act: &Act,
    provider: &ProviderSettings,
    person: &Person,
) -> Result<Result<User, Stranger>, StoreError> {
    let Some(email) = &person.email else { return Ok(Err(Stranger::NoVerifiedEmail)) };
    let user = match users::find(conn, email)? {
        Some(user) if user.disabled => return Ok(Err(Stranger::Disabled)),
        Some(user) if user.has_password || has_account(conn, user.id)? => {
            return Ok(Err(Stranger::NotLinked));
        }
        Some(user) => user,
        None => match create(conn, act, provider, person, email)? {
            Ok(user) => user,
            Err(stranger) => return Ok(Err(stranger)),
        },
    };
    conn.execute(
        "INSERT INTO oidc_identity (issuer, subject, user_id, created_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (issuer, subject) DO UPDATE SET user_id = excluded.user_id, role = NULL",
        &[provider.issuer.as_str().into(), person.subject.as_str().into(), user.id.0.into(), act.now.0.into()],
    )?;
    let after = serde_json::json!({ "provider": provider.id, "subject": person.subject });
    note(
        conn,
        act,
        Deed { action: "user.provider_linked", object: &user.id.to_string(), before: None, after: Some(after) },
    )?;
    Ok(Ok(user))
}

/// Whether a user is linked to any account of any provider: then another provider's word for the address is not enough.
fn has_account(conn: &mut Conn<'_>, user: UserId) -> Result<bool, StoreError> {
    let sql = "SELECT user_id FROM oidc_identity WHERE user_id = $1 LIMIT 1";
    Ok(conn.first(sql, &[user.0.into()], |row| row.int(0))?.is_some())
}

fn create(
    conn: &mut Conn<'_>,
    act: &Act,
    provider: &ProviderSettings,
    person: &Person,
    email: &Email,
) -> Result<Result<User, Stranger>, StoreError> {
    if !provider.create_users {
        return Ok(Err(Stranger::Unknown));
    }
    let Mapped::Role(role) = person.role else { return Ok(Err(Stranger::NoRole)) };
    let new = NewUser { email: email.clone(), name: person.name.clone(), role, reach: Reach::All, password: None };
    Ok(users::create(conn, act, &Authority::root(), &new)?.map_err(|_| Stranger::Unusable))
}

/// Gives the user the role of the claim. Who had it from there and has it no more loses it and does not get in, until
/// the claim, or somebody here, gives another one.
fn apply_role(
    conn: &mut Conn<'_>,
    act: &Act,
    provider: &ProviderSettings,
    person: &Person,
    user: User,
    given: Option<String>,
) -> Result<Result<User, Stranger>, StoreError> {
    let was_given = given.as_deref() == Some(user.role.word());
    let wanted = match person.role {
        Mapped::Role(role) => role,
        Mapped::Nothing if was_given => Role::Viewer,
        // An own role, set here, stays.
        Mapped::Nothing | Mapped::Unmapped => return Ok(Ok(user)),
    };
    // Owners who were made here are not unmade by a map that does not speak of owners.
    let maps_owners = provider.roles.iter().any(|roles| roles.map.values().any(|role| role == Role::Owner.word()));
    let mut user = user;
    if wanted != user.role && (user.role != Role::Owner || maps_owners) {
        let change = Change { role: Some(wanted), ..Change::default() };
        match users::change(conn, act, &Authority::root(), user.id, &change)? {
            Ok(changed) => user = changed,
            Err(AccessError::LastOwner) => {
                tracing::warn!(user.id = %user.id, "the provider takes the role of the last owner; it stays");
            }
            Err(_) => return Ok(Err(Stranger::Unusable)),
        }
    }
    let sql = "UPDATE oidc_identity SET role = $3 WHERE issuer = $1 AND subject = $2";
    conn.execute(sql, &[provider.issuer.as_str().into(), person.subject.as_str().into(), user.role.word().into()])?;
    if person.role == Mapped::Nothing {
        sessions::end_all(conn, user.id, None)?;
        return Ok(Err(Stranger::NoRole));
    }
    Ok(Ok(user))
}
