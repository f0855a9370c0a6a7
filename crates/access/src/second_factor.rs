//! The second factor: an authenticator app, and recovery codes for the day when it is lost.

use signalbox_core::id::UserId;
use signalbox_core::time::Micros;
use signalbox_crypto::keyring::Keyring;
use signalbox_crypto::seal;
use signalbox_crypto::totp::{base32, check, new_totp_secret};
use signalbox_store::{Conn, StoreError};
use zeroize::Zeroizing;

use crate::error::{AccessError, Outcome};
use crate::recovery;
use crate::trail::{Act, Deed, note};

/// What the page of an enrolment shows, once.
pub struct Enrolment {
    /// For typing.
    pub secret: Zeroizing<String>,
    /// `otpauth://…`, for the QR code.
    pub uri: Zeroizing<String>,
}

/// How somebody proved the second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    App,
    RecoveryCode,
}

fn context(user: UserId) -> String {
    format!("totp:{user}")
}

/// Begins an enrolment, or shows again the one that was begun. It counts once a code was typed.
pub fn begin(conn: &mut Conn<'_>, ring: &Keyring, user: UserId, email: &str, now: Micros) -> Outcome<Enrolment> {
    let sql = "SELECT totp_pending FROM user_account WHERE id = $1";
    let Some(found) = conn.first(sql, &[user.0.into()], |row| row.opt_bytes(0))? else {
        return Ok(Err(AccessError::NotFound));
    };
    let secret = match found.and_then(|sealed| seal::open(ring, &context(user), &sealed)) {
        Some(secret) => secret,
        None => {
            let sealed = new_totp_secret()
                .and_then(|secret| Ok((seal::seal(ring, &context(user), secret.as_slice(), now)?, secret)));
            let (sealed, secret) = match sealed {
                Ok(made) => made,
                Err(error) => return Ok(Err(error.into())),
            };
            let sql = "UPDATE user_account SET totp_pending = $2 WHERE id = $1";
            conn.execute(sql, &[user.0.into(), sealed.as_slice().into()])?;
            Zeroizing::new(secret.to_vec())
        }
    };
    let secret = base32(&secret);
    let label: String = email
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' => (byte as char).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    let uri = Zeroizing::new(format!("otpauth://totp/Signalbox:{label}?secret={}&issuer=Signalbox", *secret));
    Ok(Ok(Enrolment { secret, uri }))
}

/// Ends an enrolment with a code of the app: from now on sign-in asks for one. Gives the recovery codes, to be shown once.
pub fn confirm(conn: &mut Conn<'_>, act: &Act, ring: &Keyring, user: UserId, code: &str) -> Outcome<Vec<String>> {
    let sql = "SELECT totp_pending FROM user_account WHERE id = $1";
    let sealed = conn.first(sql, &[user.0.into()], |row| row.opt_bytes(0))?.flatten();
    let secret = sealed.as_deref().and_then(|sealed| seal::open(ring, &context(user), sealed));
    let Some(secret) = secret else {
        return Ok(Err(AccessError::invalid("code", "Begin again: this set-up is no longer known.")));
    };
    let Some(step) = check(&secret, &digits(code), act.now, 0) else {
        return Ok(Err(AccessError::invalid(
            "code",
            "This code is not right. Wait for the next one; if it goes on, check the clock of your device.",
        )));
    };
    let codes = match recovery::generate() {
        Ok(codes) => codes,
        Err(error) => return Ok(Err(error)),
    };
    conn.execute(
        "UPDATE user_account SET totp = totp_pending, totp_pending = NULL, totp_step = $2 WHERE id = $1",
        &[user.0.into(), step.into()],
    )?;
    recovery::replace(conn, user, &codes)?;
    note(conn, act, Deed { action: "second_factor.enabled", object: &user.to_string(), ..Deed::default() })?;
    Ok(Ok(codes))
}

/// Checks a code of the app or a recovery code; each works once.
pub fn verify(
    conn: &mut Conn<'_>,
    ring: &Keyring,
    user: UserId,
    code: &str,
    now: Micros,
) -> Result<Option<Proof>, StoreError> {
    let sql = "SELECT totp, totp_step FROM user_account WHERE id = $1";
    let found = conn.first(sql, &[user.0.into()], |row| Ok((row.opt_bytes(0)?, row.int(1)?)))?;
    let Some((Some(sealed), last_step)) = found else { return Ok(None) };
    let digits = digits(code);
    if digits.len() == 6 && digits.len() == code.chars().filter(|letter| letter.is_ascii_alphanumeric()).count() {
        let Some(secret) = seal::open(ring, &context(user), &sealed) else { return Ok(None) };
        let Some(step) = check(&secret, &digits, now, last_step) else { return Ok(None) };
        let sealed = seal::renewed(ring, &context(user), &secret, sealed, now);
        // Of two that come at once with one code, one is too late.
        let sql = "UPDATE user_account SET totp_step = $2, totp = $3 WHERE id = $1 AND totp_step < $2";
        let counted = conn.execute(sql, &[user.0.into(), step.into(), sealed.as_slice().into()])? == 1;
        return Ok(counted.then_some(Proof::App));
    }
    Ok(recovery::take(conn, user, code, now)?.then_some(Proof::RecoveryCode))
}

/// Whether this user has an authenticator app.
pub fn has_app(conn: &mut Conn<'_>, user: UserId) -> Result<bool, StoreError> {
    let sql = "SELECT id FROM user_account WHERE id = $1 AND totp IS NOT NULL";
    Ok(conn.first(sql, &[user.0.into()], |row| row.int(0))?.is_some())
}

/// Whether sign-in asks this user for a second factor: a code of the app, or a passkey. A stolen password alone must not
/// be enough for somebody who has either.
pub fn is_on(conn: &mut Conn<'_>, user: UserId) -> Result<bool, StoreError> {
    let sql = "SELECT id FROM passkey WHERE user_id = $1 LIMIT 1";
    Ok(has_app(conn, user)? || conn.first(sql, &[user.0.into()], |row| row.int(0))?.is_some())
}

/// Switches it off.
pub fn disable(conn: &mut Conn<'_>, act: &Act, user: UserId) -> Result<bool, StoreError> {
    let sql = "UPDATE user_account SET totp = NULL, totp_pending = NULL WHERE id = $1 AND totp IS NOT NULL";
    let was_on = conn.execute(sql, &[user.0.into()])? == 1;
    conn.execute("DELETE FROM recovery_code WHERE user_id = $1", &[user.0.into()])?;
    conn.execute("UPDATE user_session SET proved = 0 WHERE user_id = $1", &[user.0.into()])?;
    if was_on {
        note(conn, act, Deed { action: "second_factor.disabled", object: &user.to_string(), ..Deed::default() })?;
    }
    Ok(was_on)
}

/// Makes new recovery codes; the old ones end.
pub fn renew_codes(conn: &mut Conn<'_>, act: &Act, user: UserId) -> Outcome<Vec<String>> {
    let codes = match recovery::generate() {
        Ok(codes) => codes,
        Err(error) => return Ok(Err(error)),
    };
    recovery::replace(conn, user, &codes)?;
    note(conn, act, Deed { action: "second_factor.codes_renewed", object: &user.to_string(), ..Deed::default() })?;
    Ok(Ok(codes))
}

fn digits(code: &str) -> String {
    code.chars().filter(char::is_ascii_digit).collect()
}
