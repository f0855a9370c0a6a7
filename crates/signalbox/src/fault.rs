//! Faults of a version, for tests and the demo: `signalbox engage --allow-faults --fault …`. Whatever changes answers is
//! done by a proxy of its own in front of the real listener, so that nothing of it is in the way of a version without faults.

use std::net::{SocketAddr, TcpListener};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use signalbox_core::setting::Period;

const MOST_BYTES: usize = 64 << 20;

/// What is wrong with this version.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// Of so many clicks in a thousand nothing is recorded, and all are answered as if.
    DropClicks(u16),
    /// So many requests in a thousand are answered 500.
    Errors(u16),
    Delay(Duration),
    CrashAfter(Duration),
    NeverHealthy,
    /// Bytes a second.
    Leak(u64),
    HangOnTerm,
    /// Answers with status 200 and something else.
    WrongBody,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let wrong = || format!("{text:?} is no fault");
        let share = || {
            let percent: f64 = value.trim_end_matches('%').parse().map_err(|_| wrong())?;
            if (0.0..=100.0).contains(&percent) { Ok((percent * 10.0).round() as u16) } else { Err(wrong()) }
        };
        let time = || value.parse::<Period>().map(|period| period.0).map_err(|error| error.to_string());
        match name {
            "drop-clicks" => share().map(Self::DropClicks),
            "errors" => share().map(Self::Errors),
            "delay" => time().map(Self::Delay),
            "crash-after" => time().map(Self::CrashAfter),
            "never-healthy" => Ok(Self::NeverHealthy),
            "leak" => {
                let megabytes: u64 = value.strip_suffix("MB/s").and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
                Ok(Self::Leak(megabytes.saturating_mul(1_000_000)))
            }
            "hang-on-term" => Ok(Self::HangOnTerm),
            "wrong-body" => Ok(Self::WrongBody),
            _ => Err(wrong()),
        }
    }
}

/// How many clicks in a thousand are lost.
pub fn lost_clicks(faults: &[Fault]) -> u16 {
    faults.iter().find_map(|fault| if let Fault::DropClicks(share) = fault { Some(*share) } else { None }).unwrap_or(0)
}

/// Begins what happens by itself.
pub fn begin(faults: &[Fault]) {
    for fault in faults.iter().copied() {
        std::thread::spawn(move || match fault {
            Fault::CrashAfter(time) => {
                std::thread::sleep(time);
                std::process::abort();
            }
            Fault::Leak(bytes) => {
                let mut lost: Vec<Vec<u8>> = Vec::new();
                loop {
                    lost.push(vec![1; usize::try_from(bytes / 10).unwrap_or(0)]);
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
            _ => (),
        });
    }
}

/// Whether answers change on their way out.
pub fn change_answers(faults: &[Fault]) -> bool {
    faults
        .iter()
        .any(|fault| matches!(fault, Fault::Errors(_) | Fault::Delay(_) | Fault::NeverHealthy | Fault::WrongBody))
}

struct Proxy {
    faults: Vec<Fault>,
    inner: SocketAddr,
    health: String,
    asked: AtomicU64,
    idle: Mutex<Vec<SendRequest<Body>>>,
}

/// Serves `listener` with what the server at `inner` answers, changed, as long as the process lives.
pub fn proxy(faults: &[Fault], listener: TcpListener, inner: SocketAddr, health: &str) -> anyhow::Result<()> {
    listener.set_nonblocking(true)?;
    let proxy = Proxy {
        faults: faults.to_vec(),
        inner,
        health: health.to_owned(),
        asked: AtomicU64::new(0),
        idle: Mutex::default(),
    };
    let router = axum::Router::new().fallback(answer).with_state(Arc::new(proxy));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("faults".into()).spawn(move || {
        let served =
            runtime.block_on(async { axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await });
        if let Err(error) = served {
            tracing::error!(%error, "the proxy of the faults ended");
        }
    })?;
    Ok(())
}

async fn answer(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    let number = proxy.asked.fetch_add(1, Ordering::Relaxed);
    let is_health = request.uri().path() == proxy.health;
    for fault in &proxy.faults {
        match fault {
            Fault::NeverHealthy if is_health => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
            Fault::Delay(time) if !is_health => tokio::time::sleep(*time).await,
            // Spread evenly, whatever comes in between.
            Fault::Errors(share) if !is_health && number.wrapping_mul(377) % 1000 < u64::from(*share) => {
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
            Fault::WrongBody if !is_health => return (StatusCode::OK, "out of order").into_response(),
            _ => (),
        }
    }
    proxy.ask(request).await.unwrap_or_else(|_| StatusCode::BAD_GATEWAY.into_response())
}

impl Proxy {
    async fn ask(&self, request: Request) -> anyhow::Result<Response> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut sender = match idle.filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => {
                let stream = tokio::net::TcpStream::connect(self.inner).await?;
                let (sender, connection) = handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                sender
            }
        };
        sender.ready().await?;
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = to_bytes(Body::new(body), MOST_BYTES).await?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        Ok(Response::from_parts(head, Body::from(body)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read() {
        let read = |text: &str| text.parse::<Fault>();
        assert_eq!(read("drop-clicks=30%"), Ok(Fault::DropClicks(300)));
        assert_eq!(read("errors=2%"), Ok(Fault::Errors(20)));
        assert_eq!(read("delay=600ms"), Ok(Fault::Delay(Duration::from_millis(600))));
        assert_eq!(read("crash-after=5s"), Ok(Fault::CrashAfter(Duration::from_secs(5))));
        assert!(matches!(read("leak=50MB/s"), Ok(Fault::Leak(50_000_000))));
        assert_eq!(read("hang-on-term"), Ok(Fault::HangOnTerm));
        for wrong in ["errors=120%", "errors", "delay=x", "leak=50", "nothing"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
