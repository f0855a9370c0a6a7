//! Buffers that are filled from a socket and emptied from the front, and what one request needs of them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Room for heads and for one read.
pub(crate) const ROOM: usize = 16 * 1024;
/// Works that a thread keeps for the next requests.
const MOST_KEPT: usize = 256;

/// What a connection is read from and written to.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Io for S {}

#[derive(Debug)]
pub(crate) struct Buffer {
    data: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub(crate) fn new() -> Self {
        Self { data: vec![0; ROOM], start: 0, end: 0 }
    }

    /// One that holds `bytes` already.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut buffer = Self::new();
        buffer.data.resize(bytes.len().max(ROOM), 0);
        buffer.data[..bytes.len()].copy_from_slice(bytes);
        buffer.end = bytes.len();
        buffer
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
        if self.start >= self.end {
            self.clear();
        }
    }

    pub(crate) fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
        // A buffer that grew for one large head does not stay large.
        if self.data.len() > ROOM {
            self.data.truncate(ROOM);
            self.data.shrink_to_fit();
        }
    }

    /// Makes room for more; false when there are `most` bytes already.
    pub(crate) fn make_room(&mut self, most: usize) -> bool {
        if self.end < self.data.len() {
            return true;
        }
        if self.start > 0 {
            self.data.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            return true;
        }
        if self.data.len() >= most {
            return false;
        }
        self.data.resize((self.data.len() * 2).min(most), 0);
        true
    }

    /// One read into the free room, which must not be empty. 0 is the end.
    pub(crate) fn poll_fill<S: Io>(&mut self, io: &mut S, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(&mut self.data[self.end..]);
        ready!(Pin::new(io).poll_read(context, &mut room))?;
        let count = room.filled().len();
        self.end += count;
        Poll::Ready(Ok(count))
    }
}

/// Bytes to be written, and how many of them are.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    pub(crate) bytes: Vec<u8>,
    sent: usize,
}

impl Outgoing {
    pub(crate) fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.sent = 0;
    }

    /// Writes until everything is out. `true` in between when something was written.
    pub(crate) fn poll_send<S: Io>(
        &mut self,
        io: &mut S,
        context: &mut Context<'_>,
        moved: &mut bool,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let count = ready!(Pin::new(&mut *io).poll_write(context, &self.bytes[self.sent..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *moved = true;
            self.sent += count;
        }
        self.clear();
        Pin::new(io).poll_flush(context)
    }
}

/// What one request needs while it is served. An idle connection holds none.
#[derive(Debug)]
pub(crate) struct Work {
    /// From the client.
    pub(crate) input: Buffer,
    /// From the upstream.
    pub(crate) answer: Buffer,
    /// The head (and a small body) for the upstream, kept for a second attempt.
    pub(crate) head: Vec<u8>,
    pub(crate) to_upstream: Outgoing,
    pub(crate) to_client: Outgoing,
    /// The first half of the line in the access log.
    pub(crate) note: Vec<u8>,
}

impl Work {
    fn new() -> Box<Self> {
        Box::new(Self {
            input: Buffer::new(),
            answer: Buffer::new(),
            head: Vec::with_capacity(1024),
            to_upstream: Outgoing::default(),
            to_client: Outgoing::default(),
            note: Vec::with_capacity(512),
        })
    }

    fn reset(&mut self) {
        self.input.clear();
        self.forget_request();
    }

    /// Ready for the next request of the same connection, which may have begun in `input`.
    pub(crate) fn forget_request(&mut self) {
        self.answer.clear();
        self.to_upstream.clear();
        self.to_client.clear();
        for kept in [&mut self.head, &mut self.note, &mut self.to_client.bytes, &mut self.to_upstream.bytes] {
            kept.clear();
            if kept.capacity() > 4 * ROOM {
                kept.shrink_to(ROOM);
            }
        }
    }
}

/// Works that wait for a request.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "they move between connections, and are large")]
pub(crate) struct Works(std::cell::RefCell<Vec<Box<Work>>>);

impl Works {
    pub(crate) fn take(&self) -> Box<Work> {
        self.0.borrow_mut().pop().unwrap_or_else(Work::new)
    }

    pub(crate) fn give_back(&self, mut work: Box<Work>) {
        let mut kept = self.0.borrow_mut();
        if kept.len() < MOST_KEPT {
            work.reset();
            kept.push(work);
        }
    }
}
