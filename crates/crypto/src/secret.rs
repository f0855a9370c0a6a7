//! Secrets of 256 random bits: API tokens, sessions, one-time links. Shown once; only their SHA-256 is kept
//! (they are not guessable, so no slow hash is needed).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::keyring::KeyringError;

/// What every API token starts with, so that secret scanners find leaked ones.
pub const API_TOKEN_PREFIX: &str = "sbx_";

/// Random bytes from the operating system.
pub fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, KeyringError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|_| KeyringError::Random)?;
    Ok(bytes)
}

/// A fresh secret of 43 letters, digits, `-` and `_`.
pub fn new_secret() -> Result<Zeroizing<String>, KeyringError> {
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(random::<32>()?.as_slice())))
}

/// A fresh API token.
pub fn new_api_token() -> Result<Zeroizing<String>, KeyringError> {
    Ok(Zeroizing::new(format!("{API_TOKEN_PREFIX}{}", *new_secret()?)))
}

/// What is kept of a secret. Looking it up by this hash tells an attacker nothing about near misses.
pub fn hash_secret(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_hash_alike() {
        let token = new_api_token().unwrap();
        assert_ne!(*token, *new_api_token().unwrap());
        assert_eq!(token.len(), 47);
        assert_eq!(hash_secret(&token), hash_secret(&token.clone()));
    }
}
