//! Recovery codes: ten, each for one sign-in without the authenticator app. Fifty random bits each, so a plain hash will do
//! behind the brake.

use signalbox_core::id::UserId;
use signalbox_core::time::Micros;
use signalbox_crypto::secret::{hash_secret, random};
use signalbox_store::{Conn, StoreError};

use crate::error::AccessError;

const COUNT: usize = 10;
/// No letters that are taken for others.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Fresh codes, to be shown once.
pub fn generate() -> Result<Vec<String>, AccessError> {
    (0..COUNT)
        .map(|_| {
            let bytes = random::<10>()?;
            let letters: String = bytes.iter().map(|byte| LETTERS[usize::from(byte & 31)] as char).collect();
            Ok(format!("{}-{}", &letters[..5], &letters[5..]))
        })
        .collect()
}

/// Puts `codes` in the place of the user's codes.
pub fn replace(conn: &mut Conn<'_>, user: UserId, codes: &[String]) -> Result<(), StoreError> {
    conn.execute("DELETE FROM recovery_code WHERE user_id = $1", &[user.0.into()])?;
    for code in codes {
        conn.execute(
            "INSERT INTO recovery_code (user_id, hash) VALUES ($1, $2)",
            &[user.0.into(), hash(user, code).as_slice().into()],
        )?;
    }
    Ok(())
}

/// Uses a code up; `false` when it is none of the user's, or was used.
pub fn take(conn: &mut Conn<'_>, user: UserId, code: &str, now: Micros) -> Result<bool, StoreError> {
    let sql = "UPDATE recovery_code SET used_at = $3 WHERE user_id = $1 AND hash = $2 AND used_at IS NULL";
    Ok(conn.execute(sql, &[user.0.into(), hash(user, code).as_slice().into(), now.0.into()])? == 1)
}

/// How many are left.
pub fn left(conn: &mut Conn<'_>, user: UserId) -> Result<i64, StoreError> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM recovery_code WHERE user_id = $1 AND used_at IS NULL";
    Ok(conn.first(sql, &[user.0.into()], |row| row.int(0))?.unwrap_or(0))
}

/// However it was typed.
fn hash(user: UserId, code: &str) -> [u8; 32] {
    let plain: String =
        code.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    let plain = plain.replace('o', "0").replace(['i', 'l'], "1");
    hash_secret(&format!("{user}\n{plain}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_differ_and_are_read_however_they_are_typed() {
        let codes = generate().unwrap();
        assert_eq!(codes.len(), COUNT);
        assert!(codes.windows(2).all(|pair| pair[0] != pair[1]) && codes.iter().all(|code| code.len() == 11));
        let user = UserId(1);
        assert_eq!(hash(user, "0123a-b1k3m"), hash(user, " o123A BIk3M"));
        assert_ne!(hash(user, "0123a-b1k3m"), hash(UserId(2), "0123a-b1k3m"));
    }
}
