//! Errors are problem details: what the framework refuses in plain text is told in their form.

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::reply::Refusal;
use crate::shell::is_hit;

const MOST_WORDS: usize = 4096;

/// The layer around everything.
pub async fn as_problem(request: Request, next: Next) -> Response {
    // Links are followed by people, who are told in plain words.
    let is_hit = is_hit(request.uri().path());
    let response = next.run(request).await;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let is_told =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| !kind.as_bytes().starts_with(b"text/plain"));
    if is_hit || !is_error || is_told {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let said = to_bytes(body, MOST_WORDS).await.ok().and_then(|bytes| String::from_utf8(bytes.into()).ok());
    let said = said.filter(|text| !text.trim().is_empty() && status.is_client_error());
    let (code, title, usual) = words(status);
    let problem = Refusal::new(status, code, title, said.unwrap_or_else(|| usual.to_owned())).into_response();
    let (told, body) = problem.into_parts();
    parts.headers.extend(told.headers);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, body)
}

/// For a method that the path does not have; the header `Allow` says which it has.
pub async fn method_not_allowed() -> Response {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let (code, title, usual) = words(status);
    Refusal::new(status, code, title, usual).into_response()
}

fn words(status: StatusCode) -> (&'static str, &'static str, &'static str) {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => (
            "method-not-allowed",
            "The path does not have this method",
            "The header Allow names the methods that it has.",
        ),
        StatusCode::NOT_FOUND => ("not-found", "Not found", "There is nothing at this address."),
        StatusCode::PAYLOAD_TOO_LARGE => ("too-large", "The body is too large", "Send less at once."),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            ("unsupported-media-type", "The body is of a type that is not read here", "Send application/json.")
        }
        status if status.is_server_error() => {
            ("internal", "Something went wrong here", "It was logged; please try again later.")
        }
        _ => ("bad-request", "The request is not valid", "The request cannot be read."),
    }
}
