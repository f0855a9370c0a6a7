//! Sign-in through OpenID Connect providers: authorization code flow with PKCE.

mod fetch;
mod flow;
mod id_token;
mod jwk;
mod metadata;
pub(crate) mod people;
mod pins;
mod provider;
mod service;
pub mod settings;
mod web;

pub use service::{Button, Oidc};
pub use web::routes;
