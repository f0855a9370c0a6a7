//! Errors as answers: problem details for programs, and for people a page (`problem_page.rs`).

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use signalbox_core::problem::Problem;
use signalbox_store::StoreError;

/// A problem on its way out.
#[derive(Debug)]
pub struct Refusal(pub Box<Problem>);

/// What handlers give back.
pub type Reply<T> = Result<T, Refusal>;

impl Refusal {
    /// A refusal with these words.
    pub fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(status.as_u16(), code, title, detail)))
    }

    /// The request is wrong.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request is not valid", detail)
    }

    /// There is no such thing, or not for this caller: the same words for both.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", "There is nothing at this address.")
    }

    /// Credentials are missing or not good.
    pub fn unauthenticated() -> Self {
        let detail = "Send an API token as `Authorization: Bearer …`; `signalbox api-token create` makes one.";
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Sign in first", detail)
    }

    /// Something that may work again soon.
    pub fn unavailable(detail: impl Into<String>, retry_after_s: u32) -> Self {
        let mut refusal =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available at the moment", detail);
        refusal.0.retry_after = Some(retry_after_s);
        refusal
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        if error.is_passing() || matches!(error, StoreError::Poisoned(_)) {
            tracing::warn!(%error, "the store is not available");
            return Self::unavailable("The database is not available.", 5);
        }
        tracing::error!(%error, "a request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong here",
            "It was logged; please try again later.",
        )
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.0.retry_after;
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // The shell turns it into a page where a person asked.
        response.extensions_mut().insert(Arc::new(*self.0));
        response
    }
}
