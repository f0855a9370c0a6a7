//! Passing the listening sockets from a running edge to a new one. They are never bound again: what waits in a backlog is
//! accepted by whichever of the two comes first, and nobody is refused.
//!
//! 1. old → new: the descriptors (SCM_RIGHTS), then generation and routes.
//! 2. The new one listens. Both accept.
//! 3. new → old: ready. The old one stops accepting, links its admin socket to `edge-GENERATION.sock`, and drains.
//! 4. old → new: its routes at that moment. The new one puts its admin socket in the old one's place.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::routes::Routes;

const MOST_LISTENERS: usize = 8;
const MOST_TEXT: u32 = 4 << 20;
const READY: u8 = b'R';
const PATIENCE: Duration = Duration::from_secs(30);

/// What the old edge says first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Legacy {
    pub(crate) generation: u64,
    pub(crate) routes: Routes,
    /// For each descriptor whether it is for TLS.
    pub(crate) encrypted: Vec<bool>,
}

/// What a new edge has got.
#[derive(Debug)]
pub(crate) struct Taken {
    stream: UnixStream,
    pub(crate) legacy: Legacy,
    pub(crate) listeners: Vec<(TcpListener, bool)>,
}

/// Asks the edge behind `socket` for its listeners.
pub(crate) fn take(socket: &Path) -> io::Result<Taken> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_LISTENERS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let got = recvmsg(&stream, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    if got.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut descriptors: Vec<OwnedFd> = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(sent) = message {
            descriptors.extend(sent);
        }
    }
    let legacy: Legacy = read_text(&mut stream)?;
    if descriptors.len() != legacy.encrypted.len() || descriptors.is_empty() {
        return Err(io::Error::other(format!("{} sockets came of {}", descriptors.len(), legacy.encrypted.len())));
    }
    let listeners = descriptors.into_iter().map(TcpListener::from).zip(legacy.encrypted.iter().copied()).collect();
    Ok(Taken { stream, legacy, listeners })
}

impl Taken {
    /// Says that the new edge accepts; gives the routes of the old one at that moment.
    pub(crate) fn ready(mut self) -> io::Result<Routes> {
        self.stream.write_all(&[READY])?;
        read_text(&mut self.stream)
    }
}

/// Gives the listeners away, and waits until the new edge accepts. An error: it gave up, and nothing changed.
pub(crate) fn give(stream: &mut UnixStream, legacy: &Legacy, listeners: &[TcpListener]) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let descriptors: Vec<_> = listeners.iter().map(|listener| listener.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_LISTENERS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("too many listeners"));
    }
    sendmsg(&*stream, &[IoSlice::new(b"F")], &mut ancillary, SendFlags::empty())?;
    write_text(stream, legacy)?;
    let mut ready = [0];
    stream.read_exact(&mut ready)?;
    if ready[0] == READY { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// The last word of the old edge.
pub(crate) fn tell_routes(stream: &mut UnixStream, routes: &Routes) -> io::Result<()> {
    write_text(stream, routes)
}

fn write_text(stream: &mut UnixStream, value: &impl Serialize) -> io::Result<()> {
    let bytes = serde_json::to_vec(value)?;
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(&bytes)
}

fn read_text<T: DeserializeOwned>(stream: &mut UnixStream) -> io::Result<T> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > MOST_TEXT {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length as usize];
    stream.read_exact(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_changes_hands_without_being_bound_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("handover.sock");
        let doors = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let old = std::thread::spawn(move || {
            let (mut stream, _) = doors.accept().unwrap();
            let legacy = Legacy { generation: 3, routes: Routes::none(), encrypted: vec![false] };
            give(&mut stream, &legacy, &[listener]).unwrap();
            tell_routes(&mut stream, &Routes { epoch: 9, ..Routes::none() }).unwrap();
        });
        let mut taken = take(&path).unwrap();
        assert_eq!(taken.legacy.generation, 3);
        let (listener, encrypted) = taken.listeners.pop().unwrap();
        let waiting = std::net::TcpStream::connect(address).unwrap();
        assert_eq!(taken.ready().unwrap().epoch, 9);
        old.join().unwrap();
        let (_, peer) = listener.accept().unwrap();
        assert_eq!((peer, encrypted), (waiting.local_addr().unwrap(), false));
    }
}
