//! How many bytes a request may send and how long it may take; a route that needs more says so.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use http_body_util::{Full, LengthLimitError, Limited};
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

use crate::reply::Refusal;

/// What a request may use until its answer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes of its body.
    pub body_bytes: u64,
    /// From its head to the head of the answer, the body included. What is streamed afterwards is not counted.
    pub time: Duration,
}

impl Default for Room {
    fn default() -> Self {
        Self { body_bytes: 64 << 10, time: Duration::from_secs(30) }
    }
}

impl Room {
    /// Gives the requests of `handler` this room instead of the usual one.
    pub fn give(self, handler: MethodRouter) -> MethodRouter {
        handler.layer(from_fn_with_state(self, widen))
    }
}

/// The room of one request, widened on its way to the handler.
struct Grant {
    body_bytes: AtomicU64,
    time_ms: AtomicU64,
    /// The body has come to its end.
    received: AtomicBool,
}

#[derive(Clone)]
struct Granted(Arc<Grant>);

impl Grant {
    fn set(&self, room: Room) {
        self.body_bytes.store(room.body_bytes, Ordering::Relaxed);
        self.time_ms.store(u64::try_from(room.time.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

async fn widen(State(room): State<Room>, request: Request, next: Next) -> Response {
    if let Some(Granted(grant)) = request.extensions().get() {
        grant.set(room);
    }
    next.run(request).await
}

/// Runs a request within its room.
pub(crate) async fn bounded(mut request: Request, next: Next) -> Response {
    let room = Room::default();
    let grant = Arc::new(Grant {
        body_bytes: AtomicU64::new(0),
        time_ms: AtomicU64::new(0),
        received: AtomicBool::new(request.body().is_end_stream()),
    });
    grant.set(room);
    request.extensions_mut().insert(Granted(Arc::clone(&grant)));
    let request = request.map(|body| Body::new(Bounded { body, seen: 0, grant: Arc::clone(&grant) }));
    let start = Instant::now();
    let mut answer = std::pin::pin!(next.run(request));
    loop {
        let allowed = Duration::from_millis(grant.time_ms.load(Ordering::Relaxed));
        match tokio::time::timeout_at(start + allowed, &mut answer).await {
            Ok(response) => return response,
            // The route may have asked for more in the meantime.
            Err(_) if Duration::from_millis(grant.time_ms.load(Ordering::Relaxed)) > allowed => (),
            Err(_) => return late(grant.received.load(Ordering::Relaxed)).into_response(),
        }
    }
}

fn late(received: bool) -> Refusal {
    if received {
        return Refusal::unavailable("The answer took too long; try again later.", 5);
    }
    let detail = "The body did not arrive in time; send it again over a faster connection, or in smaller parts.";
    Refusal::new(StatusCode::REQUEST_TIMEOUT, "timeout", "The request took too long", detail)
}

/// A body that fails when it becomes longer than its room.
struct Bounded {
    body: Body,
    seen: u64,
    grant: Arc<Grant>,
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let most = self.grant.body_bytes.load(Ordering::Relaxed);
        // What was announced counts at once.
        if self.seen.saturating_add(self.body.size_hint().lower()) > most {
            self.seen = u64::MAX;
            return Poll::Ready(Some(Err(too_long())));
        }
        match std::task::ready!(Pin::new(&mut self.body).poll_frame(context)) {
            None => {
                self.grant.received.store(true, Ordering::Relaxed);
                Poll::Ready(None)
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error.into()))),
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                self.seen = self.seen.saturating_add(length);
                if self.seen > most {
                    self.seen = u64::MAX;
                    return Poll::Ready(Some(Err(too_long())));
                }
                if self.body.is_end_stream() {
                    self.grant.received.store(true, Ordering::Relaxed);
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Whether a body could not be read because it is longer than its room.
pub fn is_too_long(error: &axum::Error) -> bool {
    let chain = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    chain.into_iter().any(|error| error.is::<LengthLimitError>())
}

/// The error that extractors turn into 413; only a body that is too long makes one.
fn too_long() -> Box<dyn std::error::Error + Send + Sync> {
    let mut body = Limited::new(Full::new(Bytes::from_static(b"x")), 0);
    match Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Err(error))) => error,
        _ => "the body is too long".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::post;
    use tower::ServiceExt as _;

    fn router() -> Router {
        let wide = Room { body_bytes: 1 << 20, time: Duration::from_secs(300) };
        let echo = |body: Bytes| async move { body.len().to_string() };
        let slow = || async {
            tokio::time::sleep(Duration::from_secs(100)).await;
            "done"
        };
        Router::new()
            .route("/narrow", post(echo))
            .route("/wide", wide.give(post(echo)))
            .route("/slow", post(slow))
            .route("/patient", wide.give(post(slow)))
            .layer(from_fn(bounded))
    }

    async fn status(path: &str, body: Body) -> u16 {
        let request = Request::builder().method("POST").uri(path).body(body).unwrap();
        router().oneshot(request).await.unwrap().status().as_u16()
    }

    /// A body whose length is not announced.
    fn stream(chunks: usize) -> Body {
        struct Chunks(usize);
        impl HttpBody for Chunks {
            type Data = Bytes;
            type Error = std::convert::Infallible;
            fn poll_frame(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
                if self.0 == 0 {
                    return Poll::Ready(None);
                }
                self.0 -= 1;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 1024])))))
            }
        }
        Body::new(Chunks(chunks))
    }

    #[tokio::test]
    async fn a_body_has_its_room_and_no_more() {
        assert_eq!(status("/narrow", Body::from(vec![0; 64 << 10])).await, 200);
        assert_eq!(status("/narrow", Body::from(vec![0; (64 << 10) + 1])).await, 413);
        assert_eq!(status("/narrow", stream(64)).await, 200);
        assert_eq!(status("/narrow", stream(65)).await, 413);
        assert_eq!(status("/narrow", stream(usize::MAX)).await, 413);
        assert_eq!(status("/wide", stream(1024)).await, 200);
        assert_eq!(status("/wide", stream(1025)).await, 413);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_has_its_time_and_no_more() {
        assert_eq!(status("/slow", Body::empty()).await, 503);
        assert_eq!(status("/patient", Body::empty()).await, 200);
    }
}
