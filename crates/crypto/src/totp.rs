//! Codes of authenticator apps: TOTP (RFC 6238) with SHA-1, six digits and thirty seconds, which is what all of them do.

use hmac::digest::KeyInit as _;
use hmac::{Hmac, Mac as _};
use sha1::Sha1;
use signalbox_core::time::{Micros, SECOND};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::keyring::KeyringError;
use crate::secret::random;

/// Bytes of a secret: as long as the hash, as RFC 4226 recommends.
pub const SECRET_BYTES: usize = 20;
const STEP: i64 = 30 * SECOND;
/// Clocks of telephones may be off by this many steps.
const SLACK: i64 = 1;
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A fresh secret.
pub fn new_totp_secret() -> Result<Zeroizing<[u8; SECRET_BYTES]>, KeyringError> {
    random()
}

/// The six digits of a step.
fn code_at(secret: &[u8], step: i64) -> [u8; 6] {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let offset = usize::from(hash[19] & 15);
    let number = u32::from_be_bytes([hash[offset] & 0x7f, hash[offset + 1], hash[offset + 2], hash[offset + 3]]);
    let mut digits = [b'0'; 6];
    let mut rest = number % 1_000_000;
    for digit in digits.iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    digits
}

/// The step that `code` belongs to, if it is good at `now` and younger than `last_step`, the one that was used last.
pub fn check(secret: &[u8], code: &str, now: Micros, last_step: i64) -> Option<i64> {
    let present = now.0.div_euclid(STEP);
    // Every step is computed, whichever fits.
    let fits = (present - SLACK..=present + SLACK)
        .filter(|step| bool::from(code_at(secret, *step).as_slice().ct_eq(code.as_bytes())))
        .fold(None, |_, step| Some(step));
    fits.filter(|step| *step > last_step)
}

/// The secret as people type it.
pub fn base32(secret: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(secret.len() * 8 / 5 + 1));
    let (mut bits, mut count) = (0_u32, 0);
    for byte in secret {
        bits = (bits << 8) | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            text.push(BASE32[((bits >> count) & 31) as usize] as char);
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        text.push(BASE32[((bits << (5 - count)) & 31) as usize] as char);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of RFC 6238, appendix B.
    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert!(check(SECRET, code, Micros(seconds * SECOND), 0).is_some(), "{seconds}");
        }
        assert_eq!(*base32(SECRET), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(*base32(b"fo"), "MZXQ");
    }

    #[test]
    fn a_code_works_once_and_near_its_time_only() {
        let now = Micros(59 * SECOND);
        let step = check(SECRET, "287082", now, 0).unwrap();
        assert_eq!(check(SECRET, "287082", now, step), None, "used");
        assert!(check(SECRET, "287082", now.plus(STEP), 0).is_some());
        assert!(check(SECRET, "287082", now.plus(2 * STEP), 0).is_none());
        assert!(check(SECRET, "287082", now.plus(-2 * STEP), 0).is_none());
        for wrong in ["", "28708", "2870820", "287083", "２８７０８２"] {
            assert!(check(SECRET, wrong, now, 0).is_none(), "{wrong}");
        }
    }
}
