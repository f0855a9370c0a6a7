//! One keep-alive connection with at most one request under way.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};

use super::response::{Answer, Malformed, Reader};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Down,
    Connecting,
    Idle,
    Busy,
}

pub(crate) struct Connection {
    pub(crate) state: State,
    /// Of the request under way: when it was due, which one it is, how much of it is sent.
    pub(crate) due: Instant,
    request: usize,
    sent: usize,
    stream: Option<TcpStream>,
    source: Option<IpAddr>,
    reader: Reader,
}

pub(crate) enum Failure {
    Closed,
    Malformed(Malformed),
}

impl Connection {
    pub(crate) fn new(source: Option<IpAddr>, now: Instant) -> Self {
        Self { state: State::Down, due: now, request: 0, sent: 0, stream: None, source, reader: Reader::default() }
    }

    /// Starts to connect; an event tells how it went.
    pub(crate) fn connect(&mut self, target: SocketAddr, registry: &Registry, token: Token) -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(target), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(source) = self.source {
            socket.bind(&SocketAddr::new(source, 0).into())?;
        }
        match socket.connect(&target.into()) {
            Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => return Err(error),
            _ => {}
        }
        let mut stream = TcpStream::from_std(socket.into());
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        self.stream = Some(stream);
        self.state = State::Connecting;
        self.reader.reset();
        Ok(())
    }

    /// Whether a connection that was being made is there now.
    pub(crate) fn finish_connect(&mut self) -> io::Result<bool> {
        let Some(stream) = &self.stream else { return Ok(false) };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => self.state = State::Idle,
            Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(false),
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    pub(crate) fn start(&mut self, request: usize, bytes: &[u8], due: Instant) -> Result<(), Failure> {
        self.state = State::Busy;
        (self.request, self.sent, self.due) = (request, 0, due);
        self.send(bytes)
    }

    /// The request under way.
    pub(crate) fn request(&self) -> usize {
        self.request
    }

    /// Sends what is left of the request, as far as the socket takes it.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Some(stream) = &mut self.stream else { return Err(Failure::Closed) };
        while self.sent < bytes.len() {
            match stream.write(&bytes[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Failure::Closed),
            }
        }
        Ok(())
    }

    /// Reads what is there. A short read has emptied the socket, unless the other side `is_closing`: what comes later
    /// is an event of its own.
    pub(crate) fn receive(
        &mut self,
        scratch: &mut [u8],
        is_closing: bool,
        mut on_event_id: impl FnMut(&[u8]),
    ) -> Result<Option<Answer>, Failure> {
        let Some(stream) = &mut self.stream else { return Err(Failure::Closed) };
        loop {
            let count = match stream.read(scratch) {
                Ok(0) => return Err(Failure::Closed),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(Failure::Closed),
            };
            let answer = self.reader.feed(&scratch[..count], &mut on_event_id).map_err(Failure::Malformed)?;
            if answer.is_some() || (count < scratch.len() && !is_closing) {
                return Ok(answer);
            }
        }
    }

    /// The operating system forgets the registration with the socket.
    pub(crate) fn close(&mut self) {
        self.stream = None;
        self.state = State::Down;
    }
}

/// `EINPROGRESS`: a connection that is not blocking is being made.
const IN_PROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();
