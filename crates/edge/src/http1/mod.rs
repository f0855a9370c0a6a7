//! HTTP/1.1 as the edge reads and writes it: strictly, so that nobody behind it reads it differently.

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod fields;
pub(crate) mod forward;
pub(crate) mod request;
