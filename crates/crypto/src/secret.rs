//! API tokens: 256 random bits, shown once; only their SHA-256 is kept (they are not guessable, so no slow hash is needed).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::keyring::KeyringError;

/// What every API token starts with, so that secret scanners find leaked ones.
pub const API_TOKEN_PREFIX: &str = "sbx_";

/// A fresh API token.
pub fn new_api_token() -> Result<Zeroizing<String>, KeyringError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|_| KeyringError::Random)?;
    Ok(Zeroizing::new(format!("{API_TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes.as_slice()))))
}

/// What is kept of an API token. Looking it up by this hash tells an attacker nothing about near misses.
pub fn hash_api_token(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_hash_alike() {
        let token = new_api_token().unwrap();
        assert_ne!(*token, *new_api_token().unwrap());
        assert_eq!(token.len(), 47);
        assert_eq!(hash_api_token(&token), hash_api_token(&token.clone()));
    }
}
