//! What handlers read from requests: forms, JSON, the browser behind them.

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use percent_encoding::percent_decode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use signalbox_http::reply::Refusal;
use signalbox_http::route::session_cookie;
use signalbox_http::shell::Origin;

use crate::sign_in::Browser;

/// No form and no body of this feature is larger.
const MOST_BYTES: usize = 64 * 1024;

/// What a page is asked to confirm after a form was sent.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    pub(super) done: String,
}

/// The fields of a form, in order; a field may come several times.
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// The first value of a field, or nothing.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// Every value of a field.
    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        let is_form = content_type(&request) == "application/x-www-form-urlencoded";
        let body = body(request).await?;
        if !is_form && !body.is_empty() {
            return Err(unsupported("Send a form (application/x-www-form-urlencoded)."));
        }
        serde_urlencoded(&body).map(Self)
    }
}

/// A JSON body. Unknown members are refused by the type.
pub struct Input<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Input<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        if content_type(&request) != "application/json" {
            return Err(unsupported("Send JSON with the content type application/json."));
        }
        let body = body(request).await?;
        let value = serde_json::from_slice(&body);
        value.map(Self).map_err(|error| Refusal::bad_request(format!("the body is not what this expects: {error}")))
    }
}

fn content_type(request: &Request) -> &str {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

fn unsupported(detail: &str) -> Refusal {
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "This kind of body is not read", detail)
}

async fn body(request: Request) -> Result<bytes::Bytes, Refusal> {
    to_bytes(request.into_body(), MOST_BYTES).await.map_err(|_| {
        let detail = format!("The body is larger than {MOST_BYTES} bytes, or it was cut off.");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is too large", detail)
    })
}

fn serde_urlencoded(body: &[u8]) -> Result<Vec<(String, String)>, Refusal> {
    let wrong = || Refusal::bad_request("the form is not readable");
    let decode = |text: &[u8]| -> Option<String> {
        // What follows a percent sign is two digits; the library would leave anything else as it is.
        let mut after = text.split(|byte| *byte == b'%').skip(1);
        let digits = |part: &[u8]| part.get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
        let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        after.all(digits).then(|| percent_decode(&spaced).collect()).and_then(|bytes| String::from_utf8(bytes).ok())
    };
    let parts = body.split(|byte| *byte == b'&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let middle = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
            let value = part.get(middle + 1..).unwrap_or_default();
            Some((decode(&part[..middle])?, decode(value)?))
        })
        .collect::<Option<_>>()
        .ok_or_else(wrong)
}

impl<S: Send + Sync> FromRequestParts<S> for Browser {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        let origin = parts.extensions.get::<Origin>().cloned();
        let origin = origin.ok_or_else(|| Refusal::bad_request("the address of the client is not known"))?;
        let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let cookie = session_cookie(&parts.headers).map(str::to_owned);
        Ok(Self { origin, agent: agent.to_owned(), cookie })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_browsers_write_them() {
        let fields = Fields(serde_urlencoded(b"a=1+2&b=%C3%BC%0D%0A&a=&c").unwrap());
        assert_eq!((fields.get("a"), fields.get("b"), fields.get("c")), ("1 2", "ü\r\n", ""));
        assert_eq!(fields.all("a").collect::<Vec<_>>(), ["1 2", ""]);
        for wrong in ["a=%", "a=%G0", "a=%+f", "a=%FF"] {
            assert!(serde_urlencoded(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
