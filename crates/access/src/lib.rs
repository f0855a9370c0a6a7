//! Who may do what: principals, API tokens and their scopes.
//! It keeps no secret that could be used again: of tokens only a hash.

pub mod principals;
pub mod schema;
pub mod tokens;
