//! What handlers read from requests; what cannot be read is a problem that says why.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::reply::Refusal;

/// The parameters of the query, read into `T`. Use `deny_unknown_fields` there.
#[derive(Debug, Clone, Copy)]
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(value)) => Ok(Self(value)),
            // axum's preface adds nothing to the parameter's name and what is wrong with it.
            Err(error) => {
                let text = error.body_text();
                let words = text.split_once("query string: ").map_or(text.as_str(), |(_, words)| words);
                Err(Refusal::bad_request(words))
            }
        }
    }
}
