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
    use super::*;

    #[test]
    fn only_the_right_version_is_well() {
        let rules = manifest::Health {
            path: "/healthz".parse().unwrap(),
            interval: Period::from_secs(1),
            timeout: Period::from_secs(1),
            version: Some("$.version".parse().unwrap()),
            startup: Period::from_secs(1),
        };
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
