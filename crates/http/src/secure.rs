//! What is different over TLS: HSTS there, and a redirect to it from everywhere else.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::reply::Refusal;

/// The port at which HTTPS can be had at this moment, if at all.
pub type HttpsPort = Arc<dyn Fn() -> Option<u16> + Send + Sync>;

/// What the shell knows about TLS.
#[derive(Clone, Default)]
pub struct Transport {
    /// Plain requests are sent there.
    pub https: Option<HttpsPort>,
    /// The max-age of HSTS; 0: no such header.
    pub hsts_seconds: u64,
    /// Paths, or beginnings of paths that end in `/`, that plain requests may have all the same.
    pub plain: Vec<String>,
}

impl Transport {
    /// The answer to a plain request that belongs on HTTPS.
    pub(crate) fn redirect(&self, request: &Request) -> Option<Response> {
        let path = request.uri().path();
        let is_plain = |plain: &String| path == plain || (plain.ends_with('/') && path.starts_with(plain.as_str()));
        if self.plain.iter().any(is_plain) {
            return None;
        }
        let port = self.https.as_ref()?()?;
        let said = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
        let Some(host) = said.or_else(|| request.uri().authority().map(|host| host.as_str())).and_then(host) else {
            let detail = "Say with a Host header which site you want, or use https://.";
            return Some(Refusal::bad_request(detail).into_response());
        };
        let port = if port == 443 { String::new() } else { format!(":{port}") };
        let rest = request.uri().path_and_query().map_or("/", |rest| rest.as_str());
        let place = HeaderValue::from_str(&format!("https://{host}{port}{rest}")).ok()?;
        let headers = [(header::LOCATION, place), (header::CONTENT_LENGTH, HeaderValue::from_static("0"))];
        Some((StatusCode::PERMANENT_REDIRECT, headers).into_response())
    }

    /// The value of Strict-Transport-Security.
    pub(crate) fn hsts(&self) -> Option<HeaderValue> {
        let seconds = Some(self.hsts_seconds).filter(|seconds| *seconds > 0)?;
        HeaderValue::from_str(&format!("max-age={seconds}")).ok()
    }
}

/// The host of an authority, without its port; nothing that is no host.
fn host(authority: &str) -> Option<&str> {
    let end = match authority.strip_prefix('[') {
        Some(inside) => inside.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let inside = host.strip_prefix('[').map_or(host, |host| &host[..host.len() - 1]);
    let good = |letter: char| {
        letter.is_ascii_alphanumeric() || "-._".contains(letter) || (end != inside.len() && letter == ':')
    };
    let port_is_good =
        port.is_empty() || port[1..].chars().all(|digit| digit.is_ascii_digit()) && port.starts_with(':');
    (!inside.is_empty() && inside.len() <= 253 && inside.chars().all(good) && port_is_good).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn redirect(port: u16, uri: &str, host: Option<&str>) -> (u16, String) {
        let transport = Transport {
            https: Some(Arc::new(move || Some(port))),
            hsts_seconds: 0,
            plain: vec!["/o/".into(), "/health".into()],
        };
        let mut request = Request::builder().uri(uri);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        match transport.redirect(&request.body(Body::empty()).unwrap()) {
            None => (0, String::new()),
            Some(response) => {
                let place = response.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
                (response.status().as_u16(), place.unwrap_or_default())
            }
        }
    }

    #[test]
    fn plain_requests_are_sent_to_the_same_host_and_path() {
        let to = |place: &str| (308, place.to_owned());
        assert_eq!(redirect(443, "/a?b=c%20d", Some("t.example.org")), to("https://t.example.org/a?b=c%20d"));
        assert_eq!(redirect(8443, "/", Some("t.example.org:8080")), to("https://t.example.org:8443/"));
        assert_eq!(
            redirect(443, "//evil.example/x", Some("t.example.org")),
            to("https://t.example.org//evil.example/x")
        );
        assert_eq!(redirect(443, "/", Some("[2001:db8::1]:80")), to("https://[2001:db8::1]/"));
        assert_eq!(redirect(443, "/o/token.gif", Some("t.example.org")).0, 0);
        assert_eq!(redirect(443, "/health", Some("t.example.org")).0, 0);
        assert_eq!(redirect(443, "/health2", Some("t.example.org")).0, 308);
    }

    #[test]
    fn what_is_no_host_leads_nowhere() {
        let hosts = [
            "",
            "a/b",
            "user@evil.example",
            "evil.example/..",
            "a b",
            "[::1",
            "[x]y",
            "a:80:90",
            "a:x",
            ":80",
            "a?b",
            "a#b",
            "a\\b",
        ];
        for host in hosts {
            assert_eq!(redirect(443, "/", Some(host)).0, 400, "{host}");
        }
        assert_eq!(redirect(443, "/", None).0, 400);
    }

    #[test]
    fn hsts_can_be_switched_off() {
        assert_eq!(Transport::default().hsts(), None);
        let year = Transport { hsts_seconds: 31_536_000, ..Transport::default() };
        assert_eq!(year.hsts().unwrap(), "max-age=31536000");
    }
}
