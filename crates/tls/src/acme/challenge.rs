//! What an ACME server fetches over plain HTTP to see that a name leads here (RFC 8555 §8.3).

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// The route of it.
pub const PATH: &str = "/.well-known/acme-challenge/{token}";

/// Challenges that are being asked for at the moment, by token.
#[derive(Debug, Clone, Default)]
pub struct Challenges(Arc<RwLock<HashMap<String, String>>>);

impl Challenges {
    pub(super) fn put(&self, token: &str, answer: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned(), answer.to_owned());
    }

    pub(super) fn clear(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The handler of [`PATH`].
    pub async fn answer(self, Path(token): Path<String>) -> Response {
        match self.0.read().unwrap_or_else(PoisonError::into_inner).get(&token) {
            Some(answer) => ([(header::CONTENT_TYPE, "application/octet-stream")], answer.clone()).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }
}
