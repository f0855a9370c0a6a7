//! Signing in by OpenID Connect, against npm's oidc-provider: accepted when everything is right, refused whatever is not.

mod accepted;
mod linking;
mod person;
mod refused;
mod rig;
