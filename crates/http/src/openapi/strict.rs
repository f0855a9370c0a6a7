//! What the document says is what is taken: unknown parameters, other media types and answers that nobody wants are
//! refused before a handler sees them, and after the caller was checked.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use axum::extract::{MatchedPath, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;

use super::document::{Described, query_names};
use super::operation::Operation;
use crate::reply::{Refusal, Reply};

/// The rules of every described route; set once all of them are there.
pub(crate) type Rules = Arc<OnceLock<HashMap<(Method, String), Rule>>>;

/// What one operation takes and gives.
#[derive(Debug)]
pub(crate) struct Rule {
    query: BTreeSet<String>,
    takes: Vec<&'static str>,
    gives: Vec<&'static str>,
}

impl Rule {
    pub(crate) fn of(described: &[Described]) -> HashMap<(Method, String), Rule> {
        // Health checkers and scrapers ask as they please.
        let api = described.iter().filter(|one| one.path.starts_with("/api/"));
        api.map(|one| ((one.method.clone(), one.path.clone()), Rule::new(&one.operation))).collect()
    }

    fn new(operation: &Operation) -> Self {
        Self {
            query: query_names(operation),
            takes: operation.bodies.iter().map(|body| body.media).collect(),
            gives: operation.answers.iter().filter_map(|answer| answer.media).collect(),
        }
    }

    fn check(&self, request: &Request) -> Reply<()> {
        check_path(request.uri())?;
        self.check_query(request.uri())?;
        self.check_accept(request.headers())?;
        self.check_content_type(request.headers())
    }

    fn check_query(&self, uri: &Uri) -> Reply<()> {
        let raw = uri.query().unwrap_or_default();
        if decoded(raw).is_none() {
            return Err(Refusal::bad_request("The query is not UTF-8, or holds a NUL character."));
        }
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri);
        let Query(pairs) = pairs.map_err(|error| Refusal::bad_request(error.body_text()))?;
        let mut seen = BTreeSet::new();
        for (name, _) in pairs {
            let shown: String = name.chars().take(64).collect();
            if !self.query.contains(&name) {
                let known: Vec<_> = self.query.iter().map(String::as_str).collect();
                let known = if known.is_empty() { "none".into() } else { known.join(", ") };
                return Err(Refusal::bad_request(format!("{shown:?} is not a parameter here; there is {known}")));
            }
            if !seen.insert(name) {
                return Err(Refusal::bad_request(format!("{shown}: given more than once")));
            }
        }
        Ok(())
    }

    fn check_accept(&self, headers: &HeaderMap) -> Reply<()> {
        let wanted = texts(headers, header::ACCEPT);
        if wanted.is_empty() || self.gives.is_empty() || self.gives.iter().any(|media| accepts(&wanted, media)) {
            return Ok(());
        }
        Err(Refusal::new(
            StatusCode::NOT_ACCEPTABLE,
            "not-acceptable",
            "No form of the answer is acceptable",
            format!("The answer is {}; accept it.", self.gives.join(" or ")),
        ))
    }

    /// A body without a type is taken as what it looks like.
    fn check_content_type(&self, headers: &HeaderMap) -> Reply<()> {
        let Some(value) = headers.get(header::CONTENT_TYPE).filter(|_| !self.takes.is_empty()) else { return Ok(()) };
        let text = value.to_str().unwrap_or("?");
        let media = essence(text);
        if self.takes.iter().any(|taken| taken.eq_ignore_ascii_case(media)) {
            return Ok(());
        }
        let shown: String = text.chars().take(64).collect();
        Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "The body is of a type that is not read here",
            format!("content-type {shown:?} is not read here; send {}.", self.takes.join(" or ")),
        ))
    }
}

/// The layer of every route.
pub(crate) async fn enforce(State(rules): State<Rules>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    let rule = rules.get().zip(path).and_then(|(rules, path)| rules.get(&(method, path)));
    match rule.map_or(Ok(()), |rule| rule.check(&request)) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// No id and no name holds a NUL or bytes that are no text.
fn check_path(uri: &Uri) -> Reply<()> {
    decoded(uri.path()).map(drop).ok_or_else(Refusal::not_found)
}

/// The text behind percent signs, if it is one that a database can hold.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok().filter(|text| !text.contains('\0'))
}

fn texts(headers: &HeaderMap, name: HeaderName) -> String {
    let all: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    all.join(",")
}

/// A media type without its parameters.
fn essence(text: &str) -> &str {
    text.split(';').next().unwrap_or_default().trim()
}

/// Whether a header `Accept` (RFC 9110 §12.5.1) lets `media` through.
fn accepts(wanted: &str, media: &str) -> bool {
    let (family, _) = media.split_once('/').unwrap_or((media, ""));
    let is_refused = |parameter: &str| {
        parameter.trim().strip_prefix("q=").is_some_and(|weight| weight.trim_matches(['0', '.']).is_empty())
    };
    wanted.split(',').any(|range| {
        let named = essence(range);
        let fits = named == "*/*"
            || named == "*"
            || named.eq_ignore_ascii_case(essence(media))
            || named.strip_suffix("/*").is_some_and(|one| one.eq_ignore_ascii_case(family));
        fits && !range.split(';').skip(1).any(is_refused)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_acceptable() {
        for wanted in
            ["application/json", "text/html, */*;q=0.1", "APPLICATION/*", "text/html;q=1, application/json; q=0.5"]
        {
            assert!(accepts(wanted, "application/json"), "{wanted}");
        }
        for wanted in ["text/html", "application/json;q=0", "*/*; q=0.000", "application/xml, text/*"] {
            assert!(!accepts(wanted, "application/json"), "{wanted}");
        }
    }

    #[test]
    fn only_texts_are_decoded() {
        assert_eq!(decoded("a%20b%c3%a4").as_deref(), Some("a bä"));
        assert_eq!(decoded("100%").as_deref(), Some("100%"));
        assert_eq!(decoded("%ff"), None);
        assert_eq!(decoded("a%00"), None);
    }
}
