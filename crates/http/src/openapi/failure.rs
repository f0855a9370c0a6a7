//! The refusals that operations have in common, each described once.

use serde_json::{Value, json};

/// A way in which an operation can refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    BadRequest,
    /// In place of [`Failure::BadRequest`], where a batch is taken.
    EventsRefused,
    Unauthenticated,
    Forbidden,
    NotFound,
    NotAcceptable,
    Timeout,
    Conflict,
    TooLarge,
    UnsupportedMediaType,
    Invalid,
    TooManyRequests,
    Internal,
    Unavailable,
}

/// What the document says about it: status, code, title, when, and the detail of the example.
struct Words(u16, &'static str, &'static str, &'static str, &'static str);

impl Failure {
    pub(super) const ALL: [Failure; 14] = [
        Failure::BadRequest,
        Failure::EventsRefused,
        Failure::Unauthenticated,
        Failure::Forbidden,
        Failure::NotFound,
        Failure::NotAcceptable,
        Failure::Timeout,
        Failure::Conflict,
        Failure::TooLarge,
        Failure::UnsupportedMediaType,
        Failure::Invalid,
        Failure::TooManyRequests,
        Failure::Internal,
        Failure::Unavailable,
    ];

    const fn words(self) -> Words {
        match self {
            Self::BadRequest => Words(
                400,
                "bad-request",
                "The request is not valid",
                "A parameter or the body is wrong, or a parameter is unknown; `detail` says which.",
                "limit: from 1 to 1000",
            ),
            Self::EventsRefused => Words(
                400,
                "events-refused",
                "No event was recorded",
                "The body cannot be read (`/problems/bad-request`), or every event of it is wrong \
                 (`/problems/events-refused`; `errors` says what).",
                "Every event of the request is wrong; see errors.",
            ),
            Self::Unauthenticated => Words(
                401,
                "unauthenticated",
                "Sign in first",
                "No credentials, or not good ones.",
                "Send an API token as `Authorization: Bearer …`; `signalbox api-token create` makes one.",
            ),
            Self::Forbidden => Words(
                403,
                "forbidden",
                "Not allowed",
                "The credentials are good and lack the permission.",
                "The API token lacks the scope reports:read.",
            ),
            Self::NotFound => Words(
                404,
                "not-found",
                "Not found",
                "No such thing, or not for this caller.",
                "There is nothing at this address.",
            ),
            Self::NotAcceptable => Words(
                406,
                "not-acceptable",
                "No form of the answer is acceptable",
                "The header `Accept` leaves out every form that the answer has.",
                "The answer is application/json; accept it.",
            ),
            Self::Timeout => Words(
                408,
                "timeout",
                "The request took too long",
                "The body stopped coming.",
                "Nothing of the body came for 10 seconds.",
            ),
            Self::Conflict => Words(
                409,
                "conflict",
                "Not as things are",
                "The request is right, and what it asks for does not go together with what is there; `detail` says why.",
                "There is one of that name.",
            ),
            Self::TooLarge => Words(
                413,
                "too-large",
                "The body is too large",
                "The body is larger than allowed, before or after decompression.",
                "At most 16777216 bytes, after decompression.",
            ),
            Self::UnsupportedMediaType => Words(
                415,
                "unsupported-media-type",
                "The body is of a type that is not read here",
                "The content type (`/problems/unsupported-media-type`) or the content encoding \
                 (`/problems/unsupported-encoding`) is not one that is read here.",
                "content-type \"text/plain\" is not read here; send application/json.",
            ),
            Self::Invalid => Words(
                422,
                "invalid",
                "A value is not valid",
                "The body has the right form, and a value of it cannot be; `detail` says which.",
                "expires_at: must be in the future",
            ),
            Self::TooManyRequests => Words(
                429,
                "too-many-requests",
                "Too many requests",
                "Over the limit of the source; try again after `Retry-After` seconds.",
                "Slow down and try again.",
            ),
            Self::Internal => Words(
                500,
                "internal",
                "Something went wrong here",
                "A mistake here; it was logged.",
                "It was logged; please try again later.",
            ),
            Self::Unavailable => Words(
                503,
                "unavailable",
                "Not available at the moment",
                "The database is not available, or too much happens at once; try again after `Retry-After` seconds.",
                "The database is not available.",
            ),
        }
    }

    pub(super) const fn status(self) -> u16 {
        self.words().0
    }

    /// Its name among the components of the document.
    pub(super) fn component(self) -> String {
        format!("{self:?}")
    }

    /// The component of the document.
    pub(super) fn response(self) -> Value {
        let Words(status, code, title, when, detail) = self.words();
        let kind = format!("/problems/{code}");
        let mut example = json!({"type": kind, "title": title, "status": status, "detail": detail});
        let mut headers = json!({"X-Request-Id": {"$ref": "#/components/headers/RequestId"}});
        if self == Self::EventsRefused {
            example["errors"] = json!([{"index": 0, "detail": "unknown field `colour`"}]);
        }
        if matches!(self, Self::TooManyRequests | Self::Unavailable) {
            example["retry_after"] = json!(1);
            headers["Retry-After"] = json!({"$ref": "#/components/headers/RetryAfter"});
        }
        if self == Self::Unauthenticated {
            headers["WWW-Authenticate"] = json!({"$ref": "#/components/headers/Authenticate"});
        }
        json!({
            "description": when,
            "headers": headers,
            "content": {"application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {"usual": {"value": example}},
            }},
        })
    }
}
