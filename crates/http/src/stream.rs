//! The bytes of one connection: its first ones may have been read by somebody else, a peer that does not read is cut off,
//! and a request that hyper cannot read may still get an answer of its own (a pixel is a pixel).

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A peer that takes nothing for this long is gone.
const STALLED: Duration = Duration::from_secs(60);
/// After the last answer, what still comes is thrown away until nothing has come for this long …
const QUIET: Duration = Duration::from_millis(500);
/// … or this long has passed. Closing at once would make the kernel reset the connection, and a peer that is still
/// sending would lose the answer (RFC 9112, section 9.6).
const LINGER: Duration = Duration::from_secs(5);

/// So much of the start of a request is remembered.
const MOST_START: usize = 16;
/// How hyper begins its answers to what it cannot read. Ours carry a request id.
const UNREADABLE: [&[u8]; 3] = [b"HTTP/1.1 400 ", b"HTTP/1.1 414 ", b"HTTP/1.1 431 "];
const OURS: &[u8] = b"x-request-id";

/// The answer to a request that begins with these bytes and is not readable, where 400, 414 or 431 will not do.
pub type Unreadable = fn(&[u8]) -> Option<Vec<u8>>;

pub(crate) struct Watched<S> {
    head: Bytes,
    stream: S,
    unreadable: Unreadable,
    /// The first bytes that were read after the last answer.
    start: Vec<u8>,
    /// What is written instead of hyper's answer.
    instead: Bytes,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Once our side is closed: when to stop waiting for the peer's, and the end of the present silence.
    closing: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<S> Watched<S> {
    pub(crate) fn new(head: Vec<u8>, stream: S, unreadable: Unreadable) -> Self {
        let (start, instead) = (Vec::with_capacity(MOST_START), Bytes::new());
        Self { head: Bytes::from(head), stream, unreadable, start, instead, stalled: None, closing: None }
    }

    /// Whether `bytes` are hyper's answer to what should be answered otherwise.
    fn replaces(&mut self, bytes: &[u8]) -> bool {
        if bytes.is_empty() {
            return false;
        }
        let refused = UNREADABLE.iter().any(|start| bytes.starts_with(start))
            && !bytes.windows(OURS.len()).any(|window| window == OURS);
        let answer = if refused { (self.unreadable)(&self.start) } else { None };
        self.start.clear();
        let replaced = answer.is_some();
        self.instead = answer.map_or(Bytes::new(), Bytes::from);
        replaced
    }

    fn progress<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let sleep = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + STALLED)));
        match sleep.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> Watched<S> {
    fn poll_instead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.instead.is_empty() {
            let polled = Pin::new(&mut self.stream).poll_write(context, &self.instead);
            let count = std::task::ready!(self.progress(context, polled))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            drop(self.instead.split_to(count));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> Watched<S> {
    /// Reads and throws away until the peer closes its side, falls silent, or takes too long.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (until, silence) = self.closing.get_or_insert_with(|| {
            let now = Instant::now();
            (now + LINGER, Box::pin(tokio::time::sleep_until(now + QUIET)))
        });
        let mut scratch = [0; 8192];
        // Now and then others must have their turn.
        for _ in 0..64 {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() && Instant::now() < *until => {
                    silence.as_mut().reset(Instant::now() + QUIET);
                }
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return silence.as_mut().poll(context).map(Ok),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if self.head.is_empty() {
            std::task::ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        } else {
            let count = self.head.len().min(buffer.remaining());
            buffer.put_slice(&self.head.split_to(count));
        }
        let room = MOST_START - self.start.len();
        self.start.extend(buffer.filled()[before..].iter().take(room));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.replaces(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.progress(context, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.poll_instead(context))?;
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.progress(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.poll_instead(context))?;
        if self.closing.is_none() {
            let polled = Pin::new(&mut self.stream).poll_shutdown(context);
            std::task::ready!(self.progress(context, polled))?;
        }
        self.poll_linger(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if parts.iter().find(|part| !part.is_empty()).is_some_and(|part| self.replaces(part)) {
            return Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()));
        }
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.progress(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_is_cut_off() {
        let (near, mut far) = tokio::io::duplex(1024);
        let mut near = Watched::new(b"first ".to_vec(), near, |_| None);
        far.write_all(b"second").await.unwrap();
        let mut read = [0; 12];
        near.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"first second");
        // Slow, but it reads.
        let reading = tokio::spawn(async move {
            let mut bytes = [0; 512];
            for _ in 0..4 {
                tokio::time::sleep(STALLED / 2).await;
                far.read_exact(&mut bytes).await.unwrap();
            }
            far
        });
        near.write_all(&[0; 3072]).await.unwrap();
        let _far = reading.await.unwrap();
        let error = near.write_all(&[0; 1024]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_is_still_sending_is_heard_out_for_a_while() {
        let (near, mut far) = tokio::io::duplex(1024);
        let mut near = Watched::new(Vec::new(), near, |_| None);
        let start = Instant::now();
        let closing = tokio::spawn(async move {
            near.write_all(b"no").await.unwrap();
            near.shutdown().await.unwrap();
            start.elapsed()
        });
        far.write_all(&[0; 100_000]).await.unwrap();
        let mut got = String::new();
        far.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "no");
        let took = closing.await.unwrap();
        assert!((QUIET..LINGER).contains(&took), "it was silent, and waited for {took:?}");
        // Who never stops is not heard out for ever.
        let (near, mut far) = tokio::io::duplex(1024);
        let mut near = Watched::new(Vec::new(), near, |_| None);
        let start = Instant::now();
        let dripping = tokio::spawn(async move {
            while far.write_all(b"x").await.is_ok() {
                tokio::time::sleep(QUIET / 2).await;
            }
        });
        near.shutdown().await.unwrap();
        assert!((LINGER..LINGER + QUIET).contains(&start.elapsed()), "{:?}", start.elapsed());
        drop(near);
        dripping.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_hyper_cannot_read_may_get_another_answer() {
        let pixel: Unreadable = |start| start.starts_with(b"GET /o/").then(|| b"a pixel".to_vec());
        for (asked, answered, comes) in [
            ("GET /o/\u{e4}", "HTTP/1.1 400 Bad Request\r\n\r\n", "a pixel"),
            ("GET /o/aaaaaa", "HTTP/1.1 414 URI Too Long\r\n\r\n", "a pixel"),
            ("GET /o/aaaaaa", "HTTP/1.1 431 Request Header Fields Too Large\r\n\r\n", "a pixel"),
            ("GET /x/\u{e4}", "HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n"),
            (
                "GET /o/a",
                "HTTP/1.1 400 Bad Request\r\nx-request-id: 1\r\n\r\n",
                "HTTP/1.1 400 Bad Request\r\nx-request-id: 1\r\n\r\n",
            ),
            ("GET /o/a", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
        ] {
            let (near, mut far) = tokio::io::duplex(1024);
            let mut near = Watched::new(Vec::new(), near, pixel);
            far.write_all(asked.as_bytes()).await.unwrap();
            let mut read = vec![0; asked.len()];
            near.read_exact(&mut read).await.unwrap();
            near.write_all(answered.as_bytes()).await.unwrap();
            near.shutdown().await.unwrap();
            drop(near);
            let mut got = String::new();
            far.read_to_string(&mut got).await.unwrap();
            assert_eq!(got, comes, "{asked}");
        }
    }
}
