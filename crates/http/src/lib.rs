//! The web shell: routes with their permissions, who is calling, limits, headers, problem details, static files.
//! It knows no feature: they hand it their routes.

pub mod asset;
pub mod caller;
pub mod limit;
pub mod reply;
pub mod route;
pub mod shell;
