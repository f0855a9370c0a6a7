//! The pages and the API of access.

mod answer;
mod api_rest;
mod api_users;
mod app_codes;
mod audit;
mod confirm;
mod describe;
mod input;
mod listing;
mod parts;
mod profile;
mod routes;
mod sessions;
mod set_up;
mod sign_in;
mod tokens;
mod users;
mod vouch;

pub use answer::{explain, go, refusal, render, safe_next, with_session};
pub(crate) use answer::{render_with, require_secure, retry_after};
pub use input::{Fields, Input};
pub(crate) use parts::{Moment, moment};
pub(crate) use profile::confirm_password;
pub use routes::routes;
pub use sign_in::signed_in_answer;
