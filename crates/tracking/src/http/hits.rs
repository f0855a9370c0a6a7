//! `GET|HEAD /o/{token}.gif`, `GET|HEAD /c/{token}` for connections that the hit listener handed over.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use signalbox_core::id::EventId;
use signalbox_events::chunk::Packed;
use signalbox_http::shell::Origin;

use super::Tracking;
use crate::answer::{CSP, EVENT_ID_HEADER, GIF, INVALID_PAGE, NO_STORE};
use crate::hit::{self, Headers, Path, Target, Verdict};
use crate::intake::Outcome;

pub(super) async fn hit(State(tracking): State<Tracking>, request: Request) -> Response {
    let Some(path) = Path::parse(request.uri().path()) else { return StatusCode::NOT_FOUND.into_response() };
    let Some(origin) = request.extensions().get::<Origin>() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut headers = Headers::default();
    for (name, value) in request.headers() {
        headers.note(name.as_str(), value.as_bytes());
    }
    let asked = hit::Request {
        path,
        head: request.method() == Method::HEAD,
        client: origin.client,
        user_agent: headers.user_agent,
        request_id: if origin.trusted { headers.request_id } else { "" },
        hints: headers.hints,
    };
    let mut packed = Packed::default();
    let gate = &tracking.gate;
    let verdict = gate.judge(&gate.keys.get(), &asked, gate.clock.now(), &mut packed);
    match verdict {
        Verdict::Record { event, target } => {
            let recorded = match tracking.intake.record(packed, tracking.patience).await {
                Ok(Outcome::Recorded) => Some(event),
                Ok(Outcome::Unrecorded) => {
                    tracking.counters.unrecorded_store.inc();
                    None
                }
                Err(_) => {
                    tracking.counters.unrecorded_overload.inc();
                    None
                }
            };
            answer(&target, recorded)
        }
        Verdict::Limited(target) => {
            tracking.counters.unrecorded_limit.inc();
            answer(&target, None)
        }
        Verdict::Invalid => {
            tracking.counters.invalid.inc();
            match path {
                Path::Open(_) => answer(&Target::Pixel, None),
                Path::Click(_) => {
                    let headers =
                        [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, CSP)];
                    (StatusCode::NOT_FOUND, headers, INVALID_PAGE).into_response()
                }
            }
        }
    }
}

fn answer(target: &Target, recorded: Option<i64>) -> Response {
    let mut response = match target {
        Target::Pixel => ([(header::CONTENT_TYPE, "image/gif")], GIF.as_slice()).into_response(),
        // What was signed is printable ASCII, so it always is a header value.
        Target::Redirect(destination) => {
            (StatusCode::FOUND, [(header::LOCATION, destination.as_str())]).into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(NO_STORE));
    if let Some(value) = recorded.and_then(|event| HeaderValue::from_str(&EventId(event).to_string()).ok()) {
        headers.insert(EVENT_ID_HEADER, value);
    }
    response
}
