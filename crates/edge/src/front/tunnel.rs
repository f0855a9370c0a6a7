//! After a change of protocol: bytes both ways, until one side ends or the edge has to.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::buffer::{Buffer, Io, Outgoing, ROOM, Work};
use crate::deadline::Deadline;
use crate::settings::Limits;
use crate::worker::Registered;

/// When one side has ended, the other may take so long.
const HALF_OPEN: Duration = Duration::from_secs(30);
/// Told to close, it waits so long for the end of a frame.
const LAST_FRAME: Duration = Duration::from_secs(2);
/// A WebSocket close frame with status 1001, going away (RFC 6455 §7.4.1).
const GOING_AWAY: [u8; 4] = [0x88, 0x02, 0x03, 0xe9];

/// Moves bytes until the end; answers how many went to the client.
pub(crate) async fn tunnel<S: Io>(
    io: &mut S,
    mut stream: TcpStream,
    deadline: &Deadline,
    work: &mut Work,
    limits: &Limits,
    registered: &Registered,
) -> u64 {
    let is_websocket = is_websocket(&work.to_client.bytes);
    let (mut out, mut frames, mut told) = (0, Frames::default(), false);
    let (mut there, mut back) = (false, false);
    deadline.set(limits.stream_idle);
    poll_fn(|context| {
        let mut moved = false;
        let client_out = &mut work.to_client;
        let ended = pass(context, &mut stream, io, &mut work.answer, client_out, &mut back, &mut moved, |bytes| {
            out += bytes.len() as u64;
            frames.see(bytes);
        });
        if ended.is_err() {
            return Poll::Ready(());
        }
        let upstream_out = &mut work.to_upstream;
        let ended = pass(context, io, &mut stream, &mut work.input, upstream_out, &mut there, &mut moved, |_| ());
        if ended.is_err() || (there && back) {
            return Poll::Ready(());
        }
        if moved && !told {
            deadline.set(if there || back { HALF_OPEN } else { limits.stream_idle });
        }
        let passed = deadline.passed(context);
        if !registered.is_closing() || !(passed || told) {
            return if passed { Poll::Ready(()) } else { Poll::Pending };
        }
        let between = work.to_client.is_empty() && (!is_websocket || frames.is_between());
        if between || (told && passed) {
            return Poll::Ready(());
        }
        if !told {
            // Looked at again whenever something moves.
            told = true;
            deadline.silence();
            deadline.set(LAST_FRAME);
            context.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await;
    if registered.is_closing() && is_websocket && frames.is_between() && work.to_client.is_empty() {
        work.to_client.bytes.extend_from_slice(&GOING_AWAY);
        deadline.silence();
        deadline.set(LAST_FRAME);
        poll_fn(|context| {
            let sent = work.to_client.poll_send(io, context, &mut false);
            if sent.is_ready() || deadline.passed(context) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
    // The last bytes must arrive before the end.
    deadline.silence();
    deadline.set(LAST_FRAME);
    poll_fn(|context| {
        let shut = Pin::new(&mut *io).poll_shutdown(context).is_ready();
        if shut || deadline.passed(context) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    out
}

/// Moves what there is from one side to the other. An end is passed on as an end.
#[expect(clippy::too_many_arguments, reason = "two connections, two buffers, and what is to be told of them")]
fn pass<A: Io, B: Io>(
    context: &mut Context<'_>,
    from: &mut A,
    to: &mut B,
    buffer: &mut Buffer,
    out: &mut Outgoing,
    ended: &mut bool,
    moved: &mut bool,
    mut seen: impl FnMut(&[u8]),
) -> Result<(), ()> {
    loop {
        if !buffer.is_empty() {
            seen(buffer.bytes());
            out.bytes.extend_from_slice(buffer.bytes());
            buffer.clear();
        }
        match out.poll_send(to, context, moved) {
            Poll::Ready(Ok(())) => (),
            Poll::Ready(Err(_)) => return Err(()),
            Poll::Pending => return Ok(()),
        }
        if *ended {
            return Ok(());
        }
        buffer.make_room(ROOM);
        match buffer.poll_fill(from, context) {
            Poll::Ready(Ok(0)) => {
                *ended = true;
                if let Poll::Ready(Err(_)) = Pin::new(&mut *to).poll_shutdown(context) {
                    return Err(());
                }
                return Ok(());
            }
            Poll::Ready(Ok(_)) => *moved = true,
            Poll::Ready(Err(_)) => return Err(()),
            Poll::Pending => return Ok(()),
        }
    }
}

fn is_websocket(head: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n').any(|line| {
        let line = line.trim_ascii();
        line.len() == 18 && line.eq_ignore_ascii_case(b"upgrade: websocket")
    })
}

/// Follows the frames of a WebSocket from the server (RFC 6455 §5.2), to know where one may be put in.
#[derive(Debug, Default)]
struct Frames {
    /// Bytes of the present header, at most 14.
    header: [u8; 14],
    have: usize,
    left: u64,
}

impl Frames {
    fn is_between(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    fn see(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let skip = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= skip as u64;
                bytes = &bytes[skip..];
                continue;
            }
            self.header[self.have] = bytes[0];
            self.have += 1;
            bytes = &bytes[1..];
            if let Some(length) = self.length() {
                (self.have, self.left) = (0, length);
            }
        }
    }

    /// The length of the payload, once the header is whole.
    fn length(&self) -> Option<u64> {
        if self.have < 2 {
            return None;
        }
        let (short, mask) = (self.header[1] & 0x7f, usize::from(self.header[1] >> 7) * 4);
        let extended = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if self.have < 2 + extended + mask {
            return None;
        }
        let number = self.header[2..2 + extended].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        Some(if extended == 0 { short.into() } else { number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_followed_however_they_are_cut() {
        let mut wire = vec![0x81, 5];
        wire.extend_from_slice(b"hello");
        wire.extend_from_slice(&[0x82, 126, 1, 0]);
        wire.extend_from_slice(&[7; 256]);
        wire.extend_from_slice(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0, 1, 9, 0x89, 0]);
        let ends = [7, 7 + 260, 7 + 260 + 11, 7 + 260 + 13];
        for cut in [1, 2, 3, 50, 1000] {
            let (mut frames, mut seen) = (Frames::default(), 0);
            for piece in wire.chunks(cut) {
                frames.see(piece);
                seen += piece.len();
                assert_eq!(frames.is_between(), ends.contains(&seen), "cut {cut}, at {seen}");
            }
        }
    }

    #[test]
    fn a_websocket_is_known_by_its_answer() {
        assert!(is_websocket(b"HTTP/1.1 101 x\r\nUpgrade: WebSocket\r\n\r\n"));
        assert!(!is_websocket(b"HTTP/1.1 101 x\r\nupgrade: other\r\n\r\n"));
    }
}
