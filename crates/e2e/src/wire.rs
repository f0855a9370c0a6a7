//! HTTP/1.1 as the services of tests speak it: gullible, and byte by byte.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Request line and fields, each with its line end.
    pub head: String,
    pub body: Vec<u8>,
}

impl Seen {
    /// The values of a field, by its name in lower case.
    pub fn fields(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The path and the query of what is asked for.
    pub fn target(&self) -> (&str, &str) {
        let target = self.line().split(' ').nth(1).unwrap_or_default();
        target.split_once('?').unwrap_or((target, ""))
    }
}

/// An event every 50 ms until nobody listens any more.
pub fn send_events(stream: &mut TcpStream) -> Option<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).ok()?;
    for number in 0_u64.. {
        let event = format!("data: {number}\n\n");
        stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).ok()?;
        std::thread::sleep(Duration::from_millis(50));
    }
    None
}

/// Takes a WebSocket, whatever its key: the handshake is the one for the key of RFC 6455. Reads frames and sends their
/// payloads back.
pub fn echo_frames(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
                sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    stream.write_all(head.as_bytes()).ok()?;
    loop {
        while buffer.len() < 6 || buffer.len() < 6 + usize::from(buffer[1] & 0x7f) {
            more(stream, buffer)?;
        }
        let length = usize::from(buffer[1] & 0x7f);
        let mask = [buffer[2], buffer[3], buffer[4], buffer[5]];
        let payload: Vec<u8> =
            buffer[6..6 + length].iter().enumerate().map(|(place, byte)| byte ^ mask[place % 4]).collect();
        let mut frame = vec![buffer[0], length as u8];
        frame.extend_from_slice(&payload);
        stream.write_all(&frame).ok()?;
        let closing = buffer[0] == 0x88;
        buffer.drain(..6 + length);
        if closing {
            return None;
        }
    }
}

fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let mut bytes = [0; 16 * 1024];
    let count = stream.read(&mut bytes).ok().filter(|count| *count > 0)?;
    buffer.extend_from_slice(&bytes[..count]);
    Some(())
}

/// Believes the last length that it is told, and any coding that contains the word.
pub fn next_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Seen> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        more(stream, buffer)?;
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end);
    let mut seen = Seen { head, body: Vec::new() };
    let chunked = seen.fields("transfer-encoding").iter().any(|value| value.contains("chunked"));
    if chunked {
        loop {
            let line = loop {
                if let Some(end) = buffer.windows(2).position(|window| window == b"\r\n") {
                    break end;
                }
                more(stream, buffer)?;
            };
            let size = String::from_utf8_lossy(&buffer[..line]).into_owned();
            let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
            buffer.drain(..line + 2);
            while buffer.len() < size + 2 {
                more(stream, buffer)?;
            }
            seen.body.extend_from_slice(&buffer[..size]);
            buffer.drain(..size + 2);
            if size == 0 {
                return Some(seen);
            }
        }
    }
    let length: usize = seen.fields("content-length").last().and_then(|value| value.parse().ok()).unwrap_or(0);
    while buffer.len() < length {
        more(stream, buffer)?;
    }
    seen.body = buffer.drain(..length).collect();
    Some(seen)
}
