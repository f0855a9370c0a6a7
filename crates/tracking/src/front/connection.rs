//! One connection of the hit listener.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Shutdown};
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::hit::Target;

/// After the answer to what is not readable, what still comes is thrown away for so long, and so many bytes. Closing at once
/// would make the kernel reset the connection, and a peer that is still sending would lose the answer (RFC 9112, section 9.6).
const LINGER: Duration = Duration::from_secs(2);
const MOST_LINGER_BYTES: usize = 1024 * 1024;

/// An answer that waits for its commit.
pub(super) struct Waiting {
    pub(super) event: i64,
    pub(super) target: Target,
    pub(super) head: bool,
    pub(super) close: bool,
    pub(super) since: Instant,
}

pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) peer: IpAddr,
    /// Tells apart the connections that used one slot one after the other.
    pub(super) generation: u32,
    /// Bytes that are read and not yet understood.
    pub(super) input: Vec<u8>,
    /// Bytes that the socket did not take yet.
    pub(super) output: Vec<u8>,
    pub(super) waiting: Option<Waiting>,
    /// The socket may have more to read.
    pub(super) readable: bool,
    /// Close when `output` is gone.
    pub(super) closing: bool,
    /// Before it closes, hear out the peer.
    pub(super) lingers: bool,
    /// Since when it is heard out, and how many bytes that were.
    heard: Option<(Instant, usize)>,
    /// When the last whole request was read, or the first byte of an unfinished one.
    pub(super) active: Instant,
}

/// How a read went.
pub(super) enum Got {
    /// So many bytes are in the scratch buffer.
    Bytes(usize),
    /// Nothing at the moment.
    Nothing,
    /// The peer is gone.
    End,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, peer: IpAddr, generation: u32) -> Self {
        Self {
            stream,
            peer,
            generation,
            input: Vec::new(),
            output: Vec::new(),
            waiting: None,
            readable: false,
            closing: false,
            lingers: false,
            heard: None,
            active: Instant::now(),
        }
    }

    /// One read. A read that does not fill `scratch` has emptied the socket: the next arrival brings a new event.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> Got {
        loop {
            return match self.stream.read(scratch) {
                Ok(0) => Got::End,
                Ok(count) => {
                    self.readable = count == scratch.len();
                    Got::Bytes(count)
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    Got::Nothing
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => Got::End,
            };
        }
    }

    /// Sends `bytes`, keeping what the socket does not take. `false` when the peer is gone.
    pub(super) fn send(&mut self, bytes: &[u8]) -> bool {
        if !self.output.is_empty() {
            self.output.extend_from_slice(bytes);
            return true;
        }
        match write_some(&mut self.stream, bytes) {
            Some(sent) => {
                self.output.extend_from_slice(&bytes[sent..]);
                true
            }
            None => false,
        }
    }

    /// Closes our side and throws away what has come. `false` once that is all.
    pub(super) fn linger(&mut self, scratch: &mut [u8]) -> bool {
        let (since, mut bytes) = self.heard.unwrap_or_else(|| {
            let _ = self.stream.shutdown(Shutdown::Write);
            (Instant::now(), 0)
        });
        while bytes < MOST_LINGER_BYTES && since.elapsed() < LINGER {
            match self.read(scratch) {
                Got::Bytes(count) => bytes += count,
                Got::End => return false,
                Got::Nothing => {
                    self.heard = Some((since, bytes));
                    return true;
                }
            }
        }
        false
    }

    /// Whether the peer had its time to take the last answer.
    pub(super) fn is_heard_out(&self) -> bool {
        self.heard.is_some_and(|(since, _)| since.elapsed() > LINGER)
    }

    /// Sends what is kept. `false` when the peer is gone.
    pub(super) fn flush(&mut self) -> bool {
        if self.output.is_empty() {
            return true;
        }
        match write_some(&mut self.stream, &self.output) {
            Some(sent) => {
                self.output.drain(..sent);
                true
            }
            None => false,
        }
    }
}

fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> Option<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..]) {
            Ok(0) => return None,
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            Err(_) => return None,
        }
    }
    Some(sent)
}
