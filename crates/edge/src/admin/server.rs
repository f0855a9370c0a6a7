//! Answering on the admin socket.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixListener;

use super::client::SUCCESSOR;
use super::wire::{Drain, Refused};
use crate::control::{ApplyError, Control};
use crate::routes::Routes;

const MOST_BODY: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers until it is dropped.
pub(crate) async fn serve(listener: UnixListener, control: Arc<Control>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "an admin connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let control = Arc::clone(&control);
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let control = Arc::clone(&control);
                async move { Ok::<_, Infallible>(answer(&control, request).await) }
            });
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
            if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "an admin connection ended early");
            }
        });
    }
}

type Answer = Response<Full<Bytes>>;

async fn answer(control: &Arc<Control>, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    match (&parts.method, parts.uri.path()) {
        (&Method::GET, "/health") => told(&control.health()),
        (&Method::GET, "/routes") => told(&control.routes().await),
        (&Method::GET, "/stats") => told(&control.stats().await),
        (&Method::GET, "/receipt") => match control.receipt().await {
            Ok(receipt) => told(&receipt),
            Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        },
        (&Method::PUT, "/routes") => match read::<Routes>(body).await {
            Ok(routes) => match control.apply(routes, parts.headers.contains_key(SUCCESSOR)).await {
                Ok(applied) => told(&applied),
                Err(error @ ApplyError::Old { .. }) => refused(StatusCode::CONFLICT, &error.to_string()),
                Err(error @ (ApplyError::Ended | ApplyError::HandedOver)) => {
                    refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
                }
                Err(error) => refused(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
            },
            Err(refused) => refused,
        },
        (&Method::POST, "/drain") => match read::<Drain>(body).await {
            Ok(drain) => match control.drain(&drain).await {
                Ok(drained) => told(&drained),
                Err(why) => refused(StatusCode::CONFLICT, &why),
            },
            Err(refused) => refused,
        },
        (&Method::POST, "/shutdown") => {
            control.finish();
            told(&control.health())
        }
        (_, "/health" | "/routes" | "/stats" | "/receipt" | "/drain" | "/shutdown") => {
            refused(StatusCode::METHOD_NOT_ALLOWED, "this path has another method")
        }
        _ => refused(StatusCode::NOT_FOUND, "/health /routes /stats /receipt /drain /shutdown"),
    }
}

async fn read<T: DeserializeOwned>(body: Incoming) -> Result<T, Answer> {
    let reading = tokio::time::timeout(PATIENCE, Limited::new(body, MOST_BODY).collect()).await;
    let bytes = match reading {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) => return Err(refused(StatusCode::BAD_REQUEST, &error.to_string())),
        Err(_) => return Err(refused(StatusCode::REQUEST_TIMEOUT, "the body did not come")),
    };
    serde_json::from_slice(&bytes).map_err(|error| refused(StatusCode::BAD_REQUEST, &error.to_string()))
}

fn told(value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(bytes) => json(StatusCode::OK, bytes),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn refused(status: StatusCode, detail: &str) -> Answer {
    let title = status.canonical_reason().unwrap_or_default().to_owned();
    let refused = Refused { title, status: status.as_u16(), detail: detail.to_owned() };
    json(status, serde_json::to_vec(&refused).unwrap_or_default())
}

fn json(status: StatusCode, mut bytes: Vec<u8>) -> Answer {
    bytes.push(b'\n');
    let mut answer = Response::new(Full::new(Bytes::from(bytes)));
    *answer.status_mut() = status;
    answer.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    answer
}
