//! The API's own description: OpenAPI 3.1 at `/api/openapi.json`, a page to read at `/api/docs`, and the rules of both
//! enforced on requests. Everything comes from the routing table and the [`Operation`] beside each route.

mod document;
mod failure;
mod operation;
mod page;
mod serve;
mod strict;
mod words;

pub use document::{Described, document};
pub use failure::Failure;
pub use operation::{Answer, Body, Operation, Shape, Tag, shape};
pub use serve::{DOCS_PATH, DOCUMENT_PATH, routes};
pub(crate) use strict::{Rule, Rules, enforce};
