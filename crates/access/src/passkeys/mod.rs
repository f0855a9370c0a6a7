//! Passkeys (WebAuthn, level 3): registered by people who are signed in, and good for signing in without a password.
//! Attestation is not asked for: any authenticator that verifies its user will do.

mod ceremony;
mod cose;
mod data;
mod keys;
mod service;
mod web;

pub use keys::{Passkey, forget, remove_all};
pub use service::Passkeys;
pub use web::routes;
