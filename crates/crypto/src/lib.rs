//! Keys and what is made with them: the keyring, link tokens, hashes of API tokens, signed assertions, the hash chain of
//! the audit log and its signed checkpoints.
//! It does no I/O: callers read and write the key file.

pub mod assertion;
pub mod chain;
pub mod checkpoint;
pub mod keyring;
pub mod link;
pub mod seal;
pub mod secret;
pub mod signature;
pub mod totp;
