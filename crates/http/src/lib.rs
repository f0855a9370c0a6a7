//! The web shell: routes with their permissions, who is calling, limits, headers, problem details, static files, the description of the API.
//! It knows no feature: they hand it their routes.

pub mod assertion;
pub mod asset;
pub mod caller;
pub mod connection;
pub mod csv;
pub mod extract;
mod headers;
pub mod limit;
pub mod openapi;
pub mod page;
pub mod plain;
mod problem_page;
pub mod reply;
pub mod room;
pub mod route;
mod secure;
pub mod shell;
pub mod standing;
mod stream;

pub use secure::Transport;
