//! Who is calling: API tokens from access, cookies signed with the keyring.

use signalbox_access::tokens::Tokens;
use signalbox_core::id::TokenId;
use signalbox_core::time::Micros;
use signalbox_crypto::assertion;
use signalbox_http::caller::{Authenticator, Checked, Credential};
use signalbox_tracking::hit::Keys;

pub struct SignIn {
    pub tokens: Tokens,
    pub keys: Keys,
}

impl Authenticator for SignIn {
    fn check(&self, credential: Credential, now: Micros) -> Checked<'_> {
        Box::pin(async move {
            match credential {
                Credential::Token(token) => self.tokens.by_secret(&token, now).await,
                Credential::Cookie(text) => match assertion::verify(&self.keys.get(), &text, now) {
                    Some(id) => self.tokens.by_id(id, now).await,
                    None => Ok(None),
                },
            }
        })
    }

    fn cookie(&self, token: TokenId, expires: Micros, now: Micros) -> String {
        assertion::sign(&self.keys.get(), token.0, expires, now)
    }
}
