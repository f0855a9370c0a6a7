//! Keys and what is made with them: the keyring, link tokens, hashes of API tokens, signed assertions.
//! It does no I/O: callers read and write the key file.

pub mod assertion;
pub mod keyring;
pub mod link;
pub mod secret;
