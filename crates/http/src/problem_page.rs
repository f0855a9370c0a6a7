//! Problem details as a page, for people whose browser asked for one.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use signalbox_core::problem::Problem;

use crate::asset;
use crate::route::SIGN_IN;

#[derive(Debug, Template)]
#[template(path = "problem.html")]
struct ProblemPage<'p> {
    title: &'p str,
    message: &'p str,
    /// What else may help.
    hint: &'static str,
    /// Where to go on: address and label. Recipients of mail have no business here, so they get none.
    way_on: Option<(&'static str, &'static str)>,
    /// The id under which the request is logged.
    reference: &'p str,
    assets: &'static str,
    asset_version: &'static str,
}

/// Whether a person reads the answer. The API answers programs, whatever they accept.
pub(crate) fn is_wanted(headers: &HeaderMap, path: &str) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    !path.starts_with("/api/") && accepts.is_some_and(|accepts| accepts.contains("text/html"))
}

/// Puts a page in the place of problem details.
pub(crate) fn for_people(mut response: Response, path: &str, request_id: &str) -> Response {
    let Some(problem) = response.extensions().get::<Arc<Problem>>().cloned() else { return response };
    let is_hit = path.starts_with("/o/") || path.starts_with("/c/");
    let of_releases = path.starts_with("/ops");
    let page = ProblemPage {
        title: problem.title,
        message: &problem.detail,
        hint: hint(&problem, is_hit),
        way_on: match problem.status {
            _ if is_hit => None,
            _ if of_releases => Some(("/ops/releases", "Go to the releases")),
            401 => Some((SIGN_IN, "Sign in")),
            _ => Some(("/", "Go to the start page")),
        },
        reference: request_id,
        assets: if of_releases { "/ops/assets" } else { "/assets" },
        asset_version: asset::version(),
    };
    let Ok(text) = page.render() else { return response };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response.headers_mut().remove(header::CONTENT_LENGTH);
    *response.body_mut() = Body::from(text);
    response
}

fn hint(problem: &Problem, is_hit: bool) -> &'static str {
    match problem.status {
        404 if is_hit => "The link may be cut off or too old. Whoever sent the mail can give you a new one.",
        404 => "The address may be mistyped, or what was here may be outside of what you may see.",
        429 => "Wait a moment, then load the page again.",
        500.. => "If it happens again, tell whoever runs this installation the reference below.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::response::IntoResponse as _;

    use super::*;
    use crate::reply::Refusal;

    #[test]
    fn people_get_pages_and_programs_do_not() {
        let mut headers = HeaderMap::new();
        assert!(!is_wanted(&headers, "/"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/html,*/*;q=0.8"));
        assert!(is_wanted(&headers, "/campaigns"));
        assert!(!is_wanted(&headers, "/api/v1/events"));
    }

    #[test]
    fn the_page_keeps_the_status() {
        let page = for_people(Refusal::not_found().into_response(), "/nowhere", "req_1");
        assert_eq!(page.status(), StatusCode::NOT_FOUND);
        assert_eq!(page.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
    }
}
