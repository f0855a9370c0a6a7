//! Opening a connection, and what may be tried again.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::deadline::Deadline;

/// Why an upstream gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection: not a byte was sent.
    Connect,
    /// No connection in time: not a byte was sent.
    ConnectTimeout,
    /// The connection ended before the first byte of an answer.
    Closed,
    /// It ended, or went wrong, within the head of the answer.
    Broken,
    /// No answer in time.
    Timeout,
    /// The client left meanwhile.
    ClientGone,
    /// The client sent a body that is not one, too much of it, or too slowly.
    ClientBody(u16),
}

impl Failure {
    /// What the client is told.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Timeout | Self::ConnectTimeout => 504,
            Self::ClientBody(status) => status,
            _ => 502,
        }
    }
}

/// A connection within `patience`.
pub(crate) async fn connect(
    address: SocketAddr,
    deadline: &Deadline,
    patience: Duration,
) -> Result<TcpStream, Failure> {
    deadline.set(patience);
    let mut connecting = pin!(TcpStream::connect(address));
    let connected = poll_fn(|context| match connecting.as_mut().poll(context) {
        Poll::Ready(connected) => Poll::Ready(connected),
        Poll::Pending if deadline.passed(context) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
        Poll::Pending => Poll::Pending,
    });
    match connected.await {
        Ok(stream) => {
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(Failure::ConnectTimeout),
        Err(_) => Err(Failure::Connect),
    }
}
