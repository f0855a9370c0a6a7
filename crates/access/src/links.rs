//! One-time links: the first set-up, invitations, new passwords, the demo's sign-in. Only their hash is kept.

use signalbox_core::id::UserId;
use signalbox_core::time::{DAY, Micros};
use signalbox_crypto::secret::{hash_secret, new_secret};
use signalbox_store::{Conn, StoreError};
use zeroize::Zeroizing;

use crate::error::AccessError;

/// How long a link is good.
pub const LASTS: i64 = DAY;

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Makes the first owner.
    SetUp,
    /// Sets the password of a user: an invitation, or a reset by an admin.
    Password,
    /// Signs in.
    SignIn,
}

impl Purpose {
    const fn word(self) -> &'static str {
        match self {
            Purpose::SetUp => "set-up",
            Purpose::Password => "password",
            Purpose::SignIn => "sign-in",
        }
    }

    /// The path that takes it.
    pub const fn path(self) -> &'static str {
        match self {
            Purpose::SetUp | Purpose::Password => "/set-up",
            Purpose::SignIn => "/sign-in/link",
        }
    }
}

/// A link that is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    pub purpose: Purpose,
    /// Nobody for the first set-up.
    pub user: Option<UserId>,
}

/// Makes a link; earlier ones of the same purpose and user end. What comes back is its path, to be shown once.
pub fn create(
    conn: &mut Conn<'_>,
    purpose: Purpose,
    user: Option<UserId>,
    now: Micros,
) -> Result<Result<Zeroizing<String>, AccessError>, StoreError> {
    let secret = match new_secret() {
        Ok(secret) => secret,
        Err(error) => return Ok(Err(error.into())),
    };
    let id = user.map_or(0, |user| user.0);
    conn.execute(
        "DELETE FROM one_time_link WHERE purpose = $1 AND COALESCE(user_id, 0) = $2",
        &[purpose.word().into(), id.into()],
    )?;
    conn.execute("DELETE FROM one_time_link WHERE expires_at < $1", &[now.0.into()])?;
    conn.execute(
        "INSERT INTO one_time_link (hash, purpose, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
        &[
            hash_secret(&secret).as_slice().into(),
            purpose.word().into(),
            user.map(|user| user.0).into(),
            now.0.into(),
            now.plus(LASTS).0.into(),
        ],
    )?;
    Ok(Ok(Zeroizing::new(format!("{}?k={}", purpose.path(), *secret))))
}

/// The link behind `secret`, if it is good at `now`.
pub fn find(conn: &mut Conn<'_>, secret: &str, now: Micros) -> Result<Option<Link>, StoreError> {
    let sql = "SELECT purpose, user_id, created_at, expires_at FROM one_time_link WHERE hash = $1";
    let found = conn.first(sql, &[hash_secret(secret).as_slice().into()], |row| {
        let word = row.text(0)?;
        let purpose = [Purpose::SetUp, Purpose::Password, Purpose::SignIn].into_iter().find(|one| one.word() == word);
        Ok((purpose, row.opt_int(1)?.map(UserId), row.int(3)?))
    })?;
    Ok(found.and_then(|(purpose, user, expires)| {
        (now.0 < expires).then_some(())?;
        Some(Link { purpose: purpose?, user })
    }))
}

/// Uses a link up; nothing when it was not good, or when somebody else was faster.
pub fn take(conn: &mut Conn<'_>, secret: &str, now: Micros) -> Result<Option<Link>, StoreError> {
    let Some(link) = find(conn, secret, now)? else { return Ok(None) };
    let taken = conn.execute("DELETE FROM one_time_link WHERE hash = $1", &[hash_secret(secret).as_slice().into()])?;
    Ok((taken == 1).then_some(link))
}

/// Ends all links of a user.
pub fn end_all(conn: &mut Conn<'_>, user: UserId) -> Result<u64, StoreError> {
    conn.execute("DELETE FROM one_time_link WHERE user_id = $1", &[user.0.into()])
}
