//! The rules of a release as types and pure functions.

pub mod calendar;
pub mod document;
pub mod exit;
pub mod limits;
pub mod machine;
pub mod manifest;
pub mod migration;
pub mod plan;
pub mod readiness;
pub(crate) mod text;
pub mod value;
