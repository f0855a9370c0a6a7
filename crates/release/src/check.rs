//! One health check over HTTP: status 200, and the right version where the manifest says where it stands.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use signalbox_core::setting::Period;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::driver::Health;
use crate::model::manifest;
use crate::model::value::Version;

/// An answer that is longer tells no version.
const MOST_BYTES: usize = 1 << 20;

/// Asks the instance there. It never takes longer than the manifest's `timeout`, and follows no redirect.
pub(crate) async fn ask(address: SocketAddr, rules: &manifest::Health, version: &Version) -> Health {
    let began = Instant::now();
    match timeout(rules.timeout.0, answer(address, rules)).await {
        Ok(Ok(body)) => judge(rules, version, &body, Period::from_millis(began.elapsed().as_millis() as u64)),
        Ok(Err(said)) => Health::Unwell { said },
        Err(_) => Health::Unwell { said: format!("{} did not answer within {}", rules.path, rules.timeout) },
    }
}

/// The body of an answer with status 200; empty where nobody looks at it.
async fn answer(address: SocketAddr, rules: &manifest::Health) -> Result<Bytes, String> {
    let failed = |what: &str, error: &dyn std::error::Error| format!("{}: {what}: {error}", rules.path);
    let stream = TcpStream::connect(address).await.map_err(|error| failed("no connection", &error))?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| failed("no HTTP", &error))?;
    // Driven here, so that nothing of it is left when the time is over.
    let asking = async {
        let request = Request::get(rules.path.to_string())
            .header(HOST, address.to_string())
            .header(USER_AGENT, "signalbox-health")
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|error| failed("no request", &error))?;
        let answer = sender.send_request(request).await.map_err(|error| failed("no answer", &error))?;
        if answer.status() != StatusCode::OK {
            return Err(format!("{} answered {} instead of 200", rules.path, answer.status().as_u16()));
        }
        if rules.version.is_none() {
            return Ok(Bytes::new());
        }
        let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
        body.map(|body| body.to_bytes()).map_err(|error| format!("{}: the answer: {error}", rules.path))
    };
    tokio::pin!(asking, connection);
    tokio::select! {
        answer = &mut asking => answer,
        ended = &mut connection => {
            // What it read before it ended may be the whole answer.
            drop(ended);
            asking.await
        }
    }
}

fn judge(rules: &manifest::Health, version: &Version, body: &[u8], took: Period) -> Health {
    let Some(place) = &rules.version else { return Health::Well { version: None, took } };
    let Ok(document) = serde_json::from_slice(body) else {
        return Health::WrongVersion { said: format!("the answer of {} is not JSON: it tells no version", rules.path) };
    };
    match place.find_text(&document) {
        Some(found) if found == version.as_str() => Health::Well { version: Some(version.clone()), took },
        Some(found) => {
            let found: String = found.chars().take(80).collect();
            Health::WrongVersion { said: format!("{} of {} is {found:?} instead of {version}", place, rules.path) }
        }
        None => Health::WrongVersion { said: format!("the answer of {} has no {place}", rules.path) },
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn rules() -> manifest::Health {
        manifest::Health {
            path: "/healthz?full=1".parse().unwrap(),
            interval: Period::from_secs(1),
            timeout: Period::from_secs(60),
            version: Some("$.version".parse().unwrap()),
            database: None,
            startup: Period::from_secs(1),
        }
    }

    /// Asks somebody who answers every request with these bytes; with nothing it never answers.
    async fn asked(rules: &manifest::Health, answer: &'static str) -> (String, bool) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let count = stream.read(&mut request).await.unwrap();
            assert!(request[..count].starts_with(b"GET /healthz?full=1 HTTP/1.1\r\n"));
            if answer.is_empty() {
                std::future::pending::<()>().await;
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let health = ask(address, rules, &"1.5.0".parse().unwrap()).await;
        serving.abort();
        (health.to_string(), health.is_well())
    }

    #[tokio::test]
    async fn whatever_is_answered_is_told_apart() {
        let body = "{\"version\":\"1.5.0\"}";
        assert_eq!(body.len(), 19);
        for well in [
            "HTTP/1.1 200 OK\r\ncontent-length: 19\r\n\r\n{\"version\":\"1.5.0\"}",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n13\r\n{\"version\":\"1.5.0\"}\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\n{\"version\":\"1.5.0\"}",
        ] {
            let (said, is_well) = asked(&rules(), well).await;
            assert!(is_well, "{well}: {said}");
        }
        for (unwell, wanted) in [
            ("HTTP/1.1 503 No\r\ncontent-length: 19\r\n\r\n{\"version\":\"1.5.0\"}", "answered 503 instead of 200"),
            ("HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n", "answered 302 instead of 200"),
            ("HTTP/1.1 204 Nothing\r\n\r\n", "answered 204 instead of 200"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"version\":\"1.5.0\"}", "the answer: "),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", "is not JSON"),
            ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "no answer: "),
        ] {
            let (said, is_well) = asked(&rules(), unwell).await;
            assert!(!is_well && said.contains(wanted), "{unwell}: {said}");
        }
        let hasty = manifest::Health { timeout: Period::from_millis(100), ..rules() };
        assert_eq!(asked(&hasty, "").await, ("/healthz?full=1 did not answer within 100ms".into(), false));
        let nobody = ask("127.0.0.1:1".parse().unwrap(), &rules(), &"1.5.0".parse().unwrap()).await;
        assert!(nobody.to_string().contains("no connection"), "{nobody}");
    }

    #[test]
    fn only_the_right_version_is_well() {
        let rules = rules();
        let version: Version = "1.5.0".parse().unwrap();
        let judged = |body: &str| judge(&rules, &version, body.as_bytes(), Period::from_millis(1));
        assert!(judged("{\"version\": \"1.5.0\"}").is_well());
        for wrong in ["{\"version\": \"1.5\"}", "{\"version\": \"1.5.0-rc.1\"}", "{}", "ok", "", "[\"1.5.0\"]"] {
            assert!(matches!(judged(wrong), Health::WrongVersion { .. }), "{wrong}");
        }
        let rules = manifest::Health { version: None, ..rules };
        assert!(judge(&rules, &version, b"", Period::from_millis(1)).is_well());
    }
}
