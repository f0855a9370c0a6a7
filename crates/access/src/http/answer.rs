//! What handlers give back: pages, the session's cookie, refusals.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use signalbox_http::assertion;
use signalbox_http::reply::{Refusal, Reply};
use signalbox_http::route::COOKIE;

use crate::error::AccessError;
use crate::sessions::Started;
use crate::sign_in::{Browser, Refused};

/// A page.
pub fn render(page: &impl askama::Template) -> Reply<Response> {
    render_with(StatusCode::OK, page)
}

/// A page that tells of something that went wrong.
pub fn render_with(status: StatusCode, page: &impl askama::Template) -> Reply<Response> {
    match page.render() {
        Ok(text) => Ok((status, Html(text)).into_response()),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            Err(Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something went wrong here",
                "It was logged.",
            ))
        }
    }
}

/// A page that a form leads to.
pub fn go(path: &str) -> Response {
    Redirect::to(path).into_response()
}

/// Puts the session into the browser.
pub fn with_session(mut response: Response, started: &Started) -> Response {
    let cookie =
        format!("{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={}", *started.secret, started.lasts_s);
    if let Ok(mut value) = HeaderValue::from_str(&cookie) {
        value.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// Takes the session out of the browser.
pub fn without_session(mut response: Response) -> Response {
    let cookie = format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
    for cookie in [cookie, assertion::no_cookie()] {
        if let Ok(value) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

/// Where to go after signing in: a path of this server and nothing else.
pub fn safe_next(wanted: &str) -> &str {
    let inside = wanted.starts_with('/')
        && !wanted.starts_with("//")
        && wanted.len() <= 512
        && wanted.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && !["/sign-", "/set-up", "/api/"].iter().any(|path| wanted.starts_with(path));
    if inside { wanted } else { "/" }
}

/// Refuses to take a password where others can read it.
pub fn require_secure(browser: &Browser) -> Result<(), &'static str> {
    if browser.origin.secure {
        return Ok(());
    }
    Err("Signing in needs an encrypted connection (TLS): open this page with https://. \
        Behind a proxy, name it in server.trusted_proxies and let it send X-Forwarded-Proto.")
}

/// What a failed change says beside a form: the field that is wrong (or none), status and words.
pub fn explain(error: AccessError) -> Reply<(StatusCode, &'static str, String)> {
    match error {
        AccessError::Invalid { field, detail } => Ok((StatusCode::UNPROCESSABLE_ENTITY, field, detail)),
        AccessError::Taken => {
            let detail = "There is a user with this address already.";
            Ok((StatusCode::CONFLICT, "email", detail.into()))
        }
        AccessError::LastOwner => {
            let detail = "This is the last owner. Make somebody else an owner first.";
            Ok((StatusCode::CONFLICT, "", detail.into()))
        }
        AccessError::NotAllowed(detail) => Ok((StatusCode::FORBIDDEN, "", detail)),
        AccessError::Busy => Ok((
            StatusCode::SERVICE_UNAVAILABLE,
            "",
            "Many people sign in at the moment. Try again in a few seconds.".into(),
        )),
        other => Err(refusal(other)),
    }
}

/// A refused change as problem details.
pub fn refusal(error: AccessError) -> Refusal {
    let problem = |status, code, title, detail: String| Refusal::new(status, code, title, detail);
    match error {
        AccessError::Store(error) => error.into(),
        AccessError::Random(error) => {
            tracing::error!(%error, "no random bytes");
            Refusal::unavailable("The system's random source failed.", 5)
        }
        AccessError::Invalid { field, detail } => {
            problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "A value is not valid", format!("{field}: {detail}"))
        }
        AccessError::Taken => {
            let detail = "There is a user with this e-mail address already.".into();
            problem(StatusCode::CONFLICT, "taken", "This address is taken", detail)
        }
        AccessError::LastOwner => {
            let detail = "This is the last owner; make somebody else an owner first.".into();
            problem(StatusCode::CONFLICT, "last-owner", "There must be an owner", detail)
        }
        AccessError::NotAllowed(detail) => problem(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail),
        AccessError::NotFound => Refusal::not_found(),
        AccessError::Busy => Refusal::unavailable("Too many passwords are checked at the moment.", 5),
    }
}

/// A refused sign-in: status, words for the page, seconds to wait.
pub fn explain_refused(refused: Refused) -> Reply<(StatusCode, String, Option<u32>)> {
    match refused {
        Refused::Wrong => Ok((StatusCode::UNAUTHORIZED, String::new(), None)),
        Refused::TooSoon(wait) => {
            let text = format!("Too many attempts. Try again in {}.", duration(wait.retry_after_s));
            Ok((StatusCode::TOO_MANY_REQUESTS, text, Some(wait.retry_after_s)))
        }
        Refused::Failed(AccessError::Busy) => {
            let text = "Many people sign in at the moment. Try again in a few seconds.";
            Ok((StatusCode::SERVICE_UNAVAILABLE, text.into(), Some(5)))
        }
        Refused::Failed(error) => Err(refusal(error)),
    }
}

/// `page` with the time after which to try again.
pub fn retry_after(mut page: Response, seconds: Option<u32>) -> Response {
    if let Some(seconds) = seconds {
        page.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    page
}

fn duration(seconds: u32) -> String {
    match seconds {
        1 => "a second".into(),
        2..120 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_nowhere_else() {
        assert_eq!(safe_next("/campaigns/cmp_1?range=7d"), "/campaigns/cmp_1?range=7d");
        for wrong in [
            "",
            "x",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\r\nSet-Cookie: x",
            "/sign-in?next=/",
            "/\t/evil.example",
            "javascript:alert(1)",
            "/api/v1/me",
        ] {
            assert_eq!(safe_next(wrong), "/", "{wrong:?}");
        }
    }
}
