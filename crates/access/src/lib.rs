//! Who may do what: users, roles, sessions, second factors, API tokens, principals and grants; and their pages.
//! It keeps no secret that could be used again: of passwords, sessions, links and tokens only hashes, and the secrets of
//! authenticator apps sealed under a key that the database does not hold.

mod authenticate;
mod believed;
pub mod brake;
pub mod email;
pub mod error;
pub mod http;
mod last_use;
pub mod links;
pub mod oidc;
pub mod passkeys;
pub mod password;
pub mod principals;
pub mod reach;
pub mod recovery;
pub mod role;
pub mod schema;
pub mod second_factor;
mod seldom;
pub mod sessions;
pub mod settings;
pub mod sign_in;
pub(crate) mod ticket;
pub mod tokens;
pub mod trail;
pub mod users;
